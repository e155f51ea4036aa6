"""Calls to services that are slow, dying, lying or endless."""

import asyncio
import gzip
from collections.abc import AsyncGenerator
from contextlib import suppress
from uuid import uuid4

import httpx
import pytest
from tests.support.raw_server import Talk, raw_server, says, says_for_ever
from tests.support.servers import eventually

from workbench.adapters.assistants.addresses import ANYWHERE
from workbench.adapters.assistants.answers import MAX_ANSWER_BYTES
from workbench.adapters.assistants.breaker import BreakerPolicy, CircuitBreakers
from workbench.adapters.assistants.client import HttpAssistantClient, Patience, make_http_client
from workbench.adapters.assistants.network import CheckedNetwork, CheckedTransport, NotCalledError
from workbench.adapters.clock import SystemClock
from workbench.adapters.keys.local import LocalModeKeys
from workbench.domain.assistant_services.model import AssistantAddress, ServiceAddress
from workbench.domain.errors import BadAnswerError, UpstreamError

OK = b"HTTP/1.1 200 OK\r\n"
CONFIG = b'{"config":{"greeting":"hello"}}'


def answer(body: bytes, *headers: str, length: int | None = None) -> bytes:
    """A whole answer, of which the length may be a lie."""
    lines = [f"Content-Length: {len(body) if length is None else length}", *headers]
    return OK + "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


@pytest.fixture
async def client() -> AsyncGenerator[HttpAssistantClient]:
    breakers = CircuitBreakers(BreakerPolicy(), lambda: 0.0)
    patience = Patience(event_seconds=1, call_seconds=2)
    async with make_http_client() as http:
        yield HttpAssistantClient(http, breakers, LocalModeKeys(), SystemClock(), patience)


def at(port: int) -> AssistantAddress:
    service = ServiceAddress(assistant_service_id="bot.example", url=f"http://127.0.0.1:{port}/", knows_its_key=True)
    return AssistantAddress(assistant_id=uuid4(), service=service)


async def failure(client: HttpAssistantClient, talk: Talk) -> UpstreamError:
    async with raw_server(talk) as server:
        with pytest.raises(UpstreamError) as failure:
            await client.config(at(server.port))
    return failure.value


async def test_a_good_answer_is_read(client: HttpAssistantClient) -> None:
    async with raw_server(says(answer(CONFIG, "Connection: close"))) as server:
        assert (await client.config(at(server.port))).config == {"greeting": "hello"}


@pytest.mark.parametrize(
    ("talk", "complaint"),
    [
        (says(answer(b'{"not": json')), "is not as expected"),
        (says(answer(b'{"config": 3}')), "is not as expected: Expected `object`, got `int`"),
        (says(answer(b"")), "is not as expected"),
        (says(answer(CONFIG, length=10)), "is not as expected"),
        (says(answer(b"", length=MAX_ANSWER_BYTES + 1)), "is larger than 10485760 bytes"),
        (says_for_ever(OK + b"\r\n", b" " * (1 << 20)), "is larger than 10485760 bytes"),
        (
            says_for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"100000\r\n" + b" " * (1 << 20) + b"\r\n"),
            "is larger than 10485760 bytes",
        ),
        (says(answer(gzip.compress(b" " * (1 << 20)), "Content-Encoding: gzip")), "is encoded (gzip)"),
    ],
)
async def test_an_answer_that_cannot_be_used_is_a_bad_one(
    client: HttpAssistantClient, talk: Talk, complaint: str
) -> None:
    error = await failure(client, talk)
    assert isinstance(error, BadAnswerError)
    assert complaint in error.detail


@pytest.mark.parametrize(
    ("talk", "reason"),
    [
        (says(), "RemoteProtocolError"),
        (says(OK[:9]), "RemoteProtocolError"),
        (says(answer(CONFIG, length=1000)), "RemoteProtocolError"),
        (says(b"SSH-2.0-OpenSSH_9.9\r\n"), "RemoteProtocolError"),
        (says(OK + b"Content-Length: -5\r\n\r\n"), "RemoteProtocolError"),
        (says_for_ever(OK, b"X-Endless: header\r\n"), "RemoteProtocolError"),
        (says_for_ever(OK + b"\r\n", b" ", 0.01), "ReadTimeout: no whole answer within 2 seconds"),
        (says_for_ever(b"", b"", 0.01), "ReadTimeout: no whole answer within 2 seconds"),
    ],
)
async def test_a_call_that_comes_to_no_end_has_failed(client: HttpAssistantClient, talk: Talk, reason: str) -> None:
    error = await failure(client, talk)
    assert not isinstance(error, BadAnswerError)
    assert error.status is None
    assert reason in error.detail


async def test_a_redirect_is_not_followed(client: HttpAssistantClient) -> None:
    async with raw_server(says(answer(CONFIG))) as elsewhere:
        location = f"Location: http://127.0.0.1:{elsewhere.port}/\r\n\r\n"
        error = await failure(client, says(b"HTTP/1.1 307 X\r\nContent-Length: 0\r\n" + location.encode()))
        assert (error.status, elsewhere.heads) == (307, [])


async def test_an_error_is_passed_on_up_to_a_length(client: HttpAssistantClient) -> None:
    error = await failure(client, says_for_ever(b"HTTP/1.1 500 X\r\n\r\n", b"alas " * 1000))
    assert error.status == 500
    assert error.detail.startswith("Assistant responded with error; response: alas alas")
    assert len(error.detail) < 66_000


async def test_an_event_waits_less_long_than_a_question(client: HttpAssistantClient) -> None:
    async with raw_server(says_for_ever(b"", b"", 0.01)) as server:
        with pytest.raises(UpstreamError, match="ReadTimeout"):
            await client.post_event(at(server.port), uuid4(), b"{}")


async def test_a_service_has_not_failed_because_all_our_connections_were_taken() -> None:
    breakers = CircuitBreakers(BreakerPolicy(failures=1), lambda: 0.0)
    limits = httpx.Limits(max_connections=1)
    transport = CheckedTransport(ANYWHERE, CheckedNetwork(ANYWHERE), limits=limits, retries=0)
    async with (
        raw_server(says_for_ever(b"", b"", 0.01)) as server,
        httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(5, pool=0.05)) as http,
    ):
        client = HttpAssistantClient(http, breakers, LocalModeKeys(), SystemClock(), Patience(event_seconds=1))
        first = asyncio.create_task(client.config(at(server.port)))
        await eventually(lambda: server.heads)
        with pytest.raises(NotCalledError, match="PoolTimeout"):
            await client.config(at(server.port))
        assert breakers.state("bot.example") == "closed"
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
