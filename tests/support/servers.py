"""Real HTTP servers on loopback: what is swapped for a fake connection never shows how connections fail."""

import asyncio
import json
import socket
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import uvicorn
from multipart import MultipartParser, parse_options_header

T = TypeVar("T")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

LOOPBACK = "127.0.0.1"


class ReservedPort:
    """A port that stays ours while nothing listens on it: bound, so that a call to it is refused."""

    def __init__(self) -> None:
        self._placeholder = socket.socket()
        self._placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._placeholder.bind((LOOPBACK, 0))
        self.number: int = self._placeholder.getsockname()[1]
        self.url = f"http://{LOOPBACK}:{self.number}"
        self.release = weakref.finalize(self, self._placeholder.close)


class _Server(uvicorn.Server):
    """Starts without being polled, stops at once and cuts what is still open, as a dying process would."""

    def __init__(self, app: ASGIApp, grace_seconds: float, certificate: Path | None, protocol: Any) -> None:
        config = uvicorn.Config(
            app,
            http=protocol,
            interface="asgi3",
            log_config=None,
            log_level="error",
            access_log=False,
            ssl_certfile=certificate,
            # The clients here keep theirs for five seconds: who closes first may do so while a request is on its way.
            timeout_keep_alive=75,
        )
        super().__init__(config)
        self.ready = Future[None]()
        self.finished = Future[None]()
        self._grace_seconds = grace_seconds

    def run_in_thread(self, listener: socket.socket) -> None:
        try:
            self.run(sockets=[listener])
            fault = "it did not stop in good order" if self.lifespan.should_exit else ""
        except BaseException as error:  # noqa: BLE001 - uvicorn leaves with SystemExit, which a thread swallows
            fault = repr(error)
        listener.close()
        if fault:
            unmet = self.finished if self.ready.done() else self.ready
            unmet.set_exception(RuntimeError(f"the server failed: {fault}"))
        if not self.finished.done():
            self.finished.set_result(None)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        await super().startup(sockets)
        self.ready.set_result(None)

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()  # closes the idle ones
        with suppress(TimeoutError):
            await eventually(lambda: not self._busy(), timeout_seconds=self._grace_seconds)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
        with suppress(TimeoutError):
            await eventually(lambda: not self._busy(), timeout_seconds=1.0)
        await self.lifespan.shutdown()

    def _busy(self) -> bool:
        return bool(self.server_state.connections or self.server_state.tasks)

    def stop(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: it has stopped by itself
            self._loop.call_soon_threadsafe(self._stopping.set)


@asynccontextmanager
async def serve(
    app: ASGIApp,
    *,
    port: int = 0,
    grace_seconds: float = 0.05,
    certificate: Path | None = None,
    protocol: type[asyncio.Protocol] | str = "auto",
) -> AsyncGenerator[str]:
    """Run an ASGI app, with its lifespan, in a thread with a loop of its own; yields its base URL.

    `port` 0 takes a free one. With a `certificate`, a PEM file with its key, it speaks TLS; `protocol` is what speaks
    HTTP, where that is not to be uvicorn's own. At the end no connection
    is accepted any more, what runs may go on for `grace_seconds`, and then the connections are cut. Raises
    RuntimeError if the app fails to start or to stop.
    """
    listener = socket.create_server((LOOPBACK, port))
    server = _Server(app, grace_seconds, certificate, protocol)
    thread = threading.Thread(target=server.run_in_thread, args=(listener,), daemon=True)
    url = f"{'https' if certificate else 'http'}://{LOOPBACK}:{listener.getsockname()[1]}"
    thread.start()
    try:
        await asyncio.wrap_future(server.ready)
        yield url
    finally:
        if server.ready.done() and not server.ready.exception():
            server.stop()
        try:
            await asyncio.wrap_future(server.finished)
        finally:
            thread.join()


@dataclass(kw_only=True)
class ReceivedRequest:
    """A request as it arrived, and how it was answered."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes
    form: dict[str, Any] = field(default_factory=dict)  # text parts as str, files as bytes
    json: Any = None
    at_seconds: float = field(default_factory=time.monotonic)
    status: int | None = None  # None while unanswered, and for ever if the connection was cut


async def read_request(scope: Scope, receive: Receive) -> ReceivedRequest:
    """Read a request to its end."""
    body, more = b"", True
    while more:
        part = await receive()
        body += part.get("body", b"")
        more = part.get("more_body", False)
    request = ReceivedRequest(
        method=scope["method"],
        path=scope["path"],
        query=dict(parse_qsl(scope["query_string"].decode())),
        headers={name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=body,
    )
    request.form, request.json = _parse(request.headers.get("content-type", ""), body)
    return request


def _parse(content_type: str, body: bytes) -> tuple[dict[str, Any], Any]:
    kind, options = parse_options_header(content_type)
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(body.decode(), keep_blank_values=True)), None
    if kind == "multipart/form-data":
        parts = MultipartParser(BytesIO(body), options["boundary"]).parts()
        return {part.name: part.raw if part.filename else part.value for part in parts}, None
    with suppress(ValueError):
        return {}, json.loads(body)
    return {}, None


async def send_response(send: Send, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
    """Send a whole answer; its length is stated, except with 204, which has none."""
    length = {} if status == 204 else {"content-length": str(len(body))}
    pairs = [(name.lower().encode(), value.encode()) for name, value in {**length, **(headers or {})}.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


async def close_connection(receive: Receive) -> None:
    """Close a request's connection from the server's side.

    ASGI knows no way to do this. The `receive` that uvicorn hands out is a method of an object that has the transport.
    """
    cycle: Any = receive.__self__  # type: ignore[attr-defined]
    cycle.transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_json(send: Send, status: int, value: Any) -> None:
    """Send an answer in JSON."""
    await send_response(send, status, json.dumps(value).encode(), {"content-type": "application/json"})


async def until(look: Callable[[], Awaitable[T | None]], *, timeout_seconds: float = 10.0) -> T:
    """Look until there is something to be seen, and give it back; raises TimeoutError where nothing comes."""
    async with asyncio.timeout(timeout_seconds):
        while not (found := await look()):  # noqa: ASYNC110 - what is waited for is elsewhere
            await asyncio.sleep(0.02)
    return found


async def eventually(true: Callable[[], object], *, timeout_seconds: float = 5.0, reason: str = "") -> None:
    """Wait until something has become true, looking every 5 ms; raises TimeoutError if it does not."""
    deadline = time.monotonic() + timeout_seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(reason or f"not true within {timeout_seconds} s")
        await asyncio.sleep(0.005)
