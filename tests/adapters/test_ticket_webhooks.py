"""Signed webhooks to real listeners. The numbers are those of the specification of sessions (16)."""

import base64
import ssl
import subprocess
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from tests.support.clocks import SettableClock
from tests.support.ticket_systems import OTHER_KEY, WEBHOOK_KEY, WebhookServer, listener

from workbench.adapters.tickets.calls import TicketHttp
from workbench.adapters.tickets.webhook import PREFIX, Webhook, signature
from workbench.domain.errors import InvalidError
from workbench.domain.tickets.model import Note, TicketSystemError, WebhookConfig, WebhookSecret

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOTE = Note(
    push_id=UUID(int=1),
    workspace_id="default",
    session_id=UUID(int=2),
    ticket_id="4711",
    kind="resolution",
    visibility="internal",
    body="It works again\n[wb:m]",
    marker="m",
    author_id="ann",
    occurred_at=NOW,
)


@pytest.fixture
async def hook() -> AsyncGenerator[WebhookServer]:
    async with listener() as server:
        yield server


def http_to(*allowed: str, **options: Any) -> TicketHttp:
    return TicketHttp(allowed, ssl.create_default_context(), SettableClock(NOW), **options)


@pytest.fixture
async def http() -> AsyncGenerator[TicketHttp]:
    opened = http_to("127.0.0.1", call_seconds=2)
    yield opened
    await opened.close()


def webhook(http: TicketHttp, url: str, *keys: str) -> Webhook:
    return Webhook(http, "default", WebhookConfig(url=url), WebhookSecret(keys=keys or (WEBHOOK_KEY,)))


def openssl_signature(key: str, signed: bytes) -> str:
    """Signed by somebody else's program."""
    hexadecimal = base64.b64decode(key.removeprefix(PREFIX)).hex()
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{hexadecimal}", "-binary"]
    made = subprocess.run(command, input=signed, capture_output=True, check=True)
    return f"v1,{base64.b64encode(made.stdout).decode()}"


def test_61_the_signature_is_that_of_the_published_example() -> None:
    made = signature((WEBHOOK_KEY,), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_61_a_note_comes_signed_with_both_keys(hook: WebhookServer, http: TicketHttp) -> None:
    assert await webhook(http, f"{hook.url}/hook", WEBHOOK_KEY, OTHER_KEY).post_note(NOTE) is None
    (request,) = hook.requests
    assert request.json == {
        "type": "session.note",
        "id": str(NOTE.push_id),
        "workspace": "default",
        "session_id": str(NOTE.session_id),
        "ticket_id": "4711",
        "kind": "resolution",
        "visibility": "internal",
        "body": NOTE.body,
        "occurred_at": "2026-03-02T09:00:00Z",
    }
    headers = request.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request.body
    assert headers["webhook-signature"].split() == [openssl_signature(key, signed) for key in (WEBHOOK_KEY, OTHER_KEY)]
    assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))


async def test_61_the_id_is_the_same_at_each_try(hook: WebhookServer, http: TicketHttp) -> None:
    system = webhook(http, hook.url)
    hook.faults = ["cut"]
    with pytest.raises(TicketSystemError) as lost:
        await system.post_note(NOTE)
    assert lost.value.is_ambiguous
    assert await system.find_note("4711", "m") is None
    await system.post_note(NOTE)
    assert [request.headers["webhook-id"] for request in hook.requests] == [str(NOTE.push_id)] * 2
    assert list(hook.notes) == [str(NOTE.push_id)]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1", "[fd00::1]"])
async def test_61_addresses_inside_are_not_called(host: str) -> None:
    http = http_to()
    with pytest.raises(TicketSystemError) as refused:
        await webhook(http, f"https://{host}:9/").post_note(NOTE)
    assert (refused.value.failure, refused.value.is_ambiguous) == ("address_refused", False)
    assert host not in refused.value.detail
    await http.close()


async def test_61_a_name_is_resolved_once_and_its_address_checked() -> None:
    asked: list[str] = []

    async def inside(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["192.168.0.1"]

    http = http_to(resolve=inside)
    with pytest.raises(TicketSystemError) as refused:
        await webhook(http, "https://hooks.example/").post_note(NOTE)
    assert (refused.value.failure, asked) == ("address_refused", ["hooks.example"])
    await http.close()


async def test_61_a_host_that_is_not_listed_is_not_called_in_the_clear(hook: WebhookServer) -> None:
    http = http_to("elsewhere.example")
    with pytest.raises(InvalidError):
        http.require_callable(hook.url)
    with pytest.raises(TicketSystemError) as refused:
        await webhook(http, hook.url).post_note(NOTE)
    assert (refused.value.failure, hook.requests) == ("address_refused", [])
    await http.close()


async def test_61_a_redirect_is_not_followed(hook: WebhookServer, http: TicketHttp) -> None:
    hook.faults = [(302, {"Location": f"{hook.url}/elsewhere"})]
    with pytest.raises(TicketSystemError) as refused:
        await webhook(http, hook.url).post_note(NOTE)
    assert (refused.value.failure, len(hook.requests)) == ("redirected", 1)


FAULTS = [
    (401, "auth_failed", False),
    (403, "auth_failed", False),
    (404, "refused", False),
    (408, "timeout", False),
    (410, "gone", False),
    (425, "rate_limited", False),
    (429, "rate_limited", False),
    (500, "server_error", True),
    ("cut", "unreachable", True),
    ("hang", "timeout", True),
]


@pytest.mark.parametrize(("fault", "failure", "is_ambiguous"), FAULTS)
async def test_each_answer_means_something(
    hook: WebhookServer, http: TicketHttp, fault: Any, failure: str, is_ambiguous: bool
) -> None:
    hook.faults = [fault]
    with pytest.raises(TicketSystemError) as error:
        await webhook(http, hook.url).post_note(NOTE)
    assert (error.value.failure, error.value.is_ambiguous) == (failure, is_ambiguous)
    assert "secret text" not in error.value.detail


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7), ("Mon, 02 Mar 2026 09:01:00 GMT", 60), ("soon", None), ("99999999", 86_400), ("-1", None)],
)
async def test_how_long_to_wait_is_read(hook: WebhookServer, http: TicketHttp, said: str, seconds: float) -> None:
    hook.faults = [(429, {"Retry-After": said})]
    with pytest.raises(TicketSystemError) as error:
        await webhook(http, hook.url).post_note(NOTE)
    assert error.value.retry_after_seconds == seconds


async def test_a_test_says_what_it_is(hook: WebhookServer, http: TicketHttp) -> None:
    await webhook(http, hook.url).verify()
    (request,) = hook.requests
    assert request.json["type"] == "connection.test"
    assert request.headers["webhook-id"] == request.json["id"]
