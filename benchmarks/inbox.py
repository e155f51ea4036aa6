"""Assistant services in a process of their own: real HTTP, which takes everything and notes what it was told."""

import asyncio
import contextlib
import re
import time
from collections.abc import Generator
from functools import partial
from typing import NamedTuple

from benchmarks.processes import Pipe, spawned
from benchmarks.words import hear

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_PATH = re.compile(rb"POST /(?P<assistant>[^/]+)/conversations/(?P<conversation>[^/]+)/events")
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Arrival(NamedTuple):
    """A message of which an assistant was told, when it was sent, and how long the telling took."""

    assistant: str
    conversation: str
    number: int
    late_seconds: float


class Inbox:
    """The services' process, seen from the one that measures."""

    def __init__(self, pipe: Pipe, urls: list[str]) -> None:
        self.urls = urls
        self._pipe = pipe

    async def collect(self) -> list[Arrival]:
        """Take what has arrived since the last time."""
        self._pipe.send("collect")
        return await asyncio.to_thread(self._pipe.recv)


@contextlib.contextmanager
def inbox(count: int) -> Generator[Inbox]:
    """Run so many assistant services, each on a port of its own."""
    with spawned(_serve, count) as pipe:
        yield Inbox(pipe, pipe.recv())


def _serve(pipe: Pipe, count: int) -> None:
    asyncio.run(_serve_all(pipe, count))


async def _serve_all(pipe: Pipe, count: int) -> None:
    arrivals: list[Arrival] = []
    servers = [await asyncio.start_server(partial(_take, arrivals), "127.0.0.1", 0) for _ in range(count)]
    pipe.send([f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/" for server in servers])

    is_over = asyncio.Event()

    def give() -> None:
        try:
            pipe.recv()
            pipe.send(arrivals)
        except (EOFError, BrokenPipeError):
            # Who measured was killed; this would go on for ever.
            is_over.set()
        arrivals.clear()

    asyncio.get_running_loop().add_reader(pipe.fileno(), give)
    await is_over.wait()


async def _take(arrivals: list[Arrival], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionResetError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            found = _LENGTH.search(head)
            body = await reader.readexactly(int(found[1]) if found else 0)
            if path := _PATH.match(head):
                assistant, conversation = path["assistant"].decode(), path["conversation"].decode()
                now = time.monotonic()
                arrivals.extend(Arrival(assistant, conversation, number, now - sent) for sent, number in hear(body))
            writer.write(_ANSWER)
    writer.close()
