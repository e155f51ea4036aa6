"""Who is connected and silent is let go; who is only slow, or waits for us, is not."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import httpx
import pytest
import uvicorn
from tests.support.servers import Receive, Scope, Send, send_response, serve
from uvicorn.server import ServerState

from workbench.entrypoints.http.patience import PatientProtocol

LOOK_SECONDS = 0.2
"""Who has not moved for twice that is let go."""
LONG_SECONDS = 5 * LOOK_SECONDS


class QuickProtocol(PatientProtocol):
    silence_seconds = LOOK_SECONDS


class Application:
    """Answers with as much as the request sent, and remembers which requests ended otherwise."""

    def __init__(self) -> None:
        self.cut_off = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        if scope["path"] == "/late":
            await asyncio.sleep(LONG_SECONDS)
        if scope["path"] == "/large":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while (await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})) is None:
                if receive.__self__.disconnected:  # type: ignore[attr-defined]
                    self._loop.call_soon_threadsafe(self.cut_off.set)
                    return
        size, more = 0, True
        while more:
            part = await receive()
            if part["type"] == "http.disconnect":
                self._loop.call_soon_threadsafe(self.cut_off.set)
                return
            size, more = size + len(part["body"]), part["more_body"]
        await send_response(send, 200, str(size).encode())


@pytest.fixture
async def application() -> Application:
    return Application()


@contextlib.asynccontextmanager
async def connected(application: Application) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with serve(application, protocol=QuickProtocol) as url:
        at = httpx.URL(url)
        reader, writer = await asyncio.open_connection(at.host, at.port)
        async with asyncio.timeout(20):
            yield reader, writer
        writer.close()


def head_of(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: here", *headers, "", ""]).encode()


async def test_who_never_asks_is_let_go(application: Application) -> None:
    async with connected(application) as (reader, _):
        assert await reader.read() == b""


async def test_half_a_head_is_answered_with_408(application: Application) -> None:
    async with connected(application) as (reader, writer):
        writer.write(head_of("GET", "/")[:-2])
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in answer


async def test_a_head_that_drips_is_no_better_than_half_a_head(application: Application) -> None:
    async with connected(application) as (reader, writer):
        reading = asyncio.create_task(reader.read())
        writer.write(b"GET / HTTP/1.1\r\nx: ")
        while not reading.done():
            writer.write(b"x")
            await asyncio.sleep(LOOK_SECONDS / 10)
        assert reading.result().startswith(b"HTTP/1.1 408 ")


async def test_half_a_head_behind_a_request_is_answered_with_408_after_its_answer(application: Application) -> None:
    async with connected(application) as (reader, writer):
        writer.write(head_of("GET", "/") + head_of("GET", "/")[:-2])
        answers = (await reader.read()).split(b"HTTP/1.1 ")
        assert [answer[:3] for answer in answers[1:]] == [b"200", b"408"]


async def test_who_stops_in_the_middle_of_a_body_has_left(application: Application) -> None:
    async with connected(application) as (reader, writer):
        writer.write(head_of("POST", "/", "content-length: 9") + b"half")
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        await application.cut_off.wait()


async def test_a_body_that_drips_is_read(application: Application) -> None:
    async with connected(application) as (reader, writer):
        writer.write(head_of("POST", "/", "content-length: 40", "connection: close"))
        for _ in range(40):
            writer.write(b"x")
            await asyncio.sleep(LONG_SECONDS / 40)
        assert (await reader.read()).endswith(b"\r\n\r\n40")


async def test_who_does_not_read_the_answer_is_let_go(application: Application) -> None:
    async with connected(application) as (_, writer):
        writer.write(head_of("GET", "/large"))
        await application.cut_off.wait()


async def test_who_reads_the_answer_slowly_is_not_let_go(application: Application) -> None:
    async with connected(application) as (reader, writer):
        writer.write(head_of("GET", "/large"))
        loop = asyncio.get_running_loop()
        end = loop.time() + LONG_SECONDS
        while loop.time() < end:
            assert await reader.readexactly(1 << 20)
            await asyncio.sleep(LOOK_SECONDS / 20)
        assert not application.cut_off.is_set()


class Full(asyncio.Transport):
    """Has always the same left to send, as it may be whenever it is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = asyncio.Event()

    def write(self, data: object) -> None:
        assert data

    def get_write_buffer_size(self) -> int:
        return 65536

    def is_closing(self) -> bool:
        return self.aborted.is_set()

    def abort(self) -> None:
        self.aborted.set()

    close = abort


async def test_as_much_left_as_before_is_no_silence_where_some_was_read(application: Application) -> None:
    loop, transport = asyncio.get_running_loop(), Full()
    config = uvicorn.Config(application, interface="asgi3", log_config=None)
    config.load()
    protocol = QuickProtocol(config, ServerState(), {}, loop)
    protocol.connection_made(transport)
    protocol.data_received(head_of("GET", "/late"))
    end = loop.time() + LONG_SECONDS
    while loop.time() < end:
        protocol.pause_writing()
        await asyncio.sleep(LOOK_SECONDS / 2)
        assert not transport.is_closing()
        protocol.resume_writing()
    protocol.pause_writing()
    async with asyncio.timeout(20):
        await transport.aborted.wait()
    protocol.connection_lost(None)


@pytest.mark.parametrize("size", [4, 400_000], ids=["at-once", "more-than-is-read-ahead"])
@pytest.mark.parametrize("expecting", [False, True], ids=["", "expecting"])
async def test_who_waits_for_us_is_not_let_go(size: int, expecting: bool, application: Application) -> None:
    async with connected(application) as (reader, writer):
        headers = [f"content-length: {size}", "connection: close", *(["expect: 100-continue"] if expecting else [])]
        writer.write(head_of("POST", "/late", *headers))
        if expecting:
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(b"x" * size)
        assert (await reader.read()).endswith(f"\r\n\r\n{size}".encode())


async def test_between_two_requests_nothing_is_due(application: Application) -> None:
    async with connected(application) as (reader, writer):
        for _ in range(2):
            writer.write(head_of("GET", "/"))
            assert (await reader.readuntil(b"\r\n\r\n0")).startswith(b"HTTP/1.1 200 ")
            await asyncio.sleep(LONG_SECONDS)
