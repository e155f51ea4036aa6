"""A small load client: raw HTTP/1.1 on asyncio streams, so that the client costs little beside the server."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

Request = tuple[str, str, Any]


class Connection:
    """One keep-alive connection."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"

    async def open(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=64 << 20)
        return self

    def close(self) -> None:
        self._writer.close()

    async def request(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Send one request and read its answer, which must say its length."""
        content = b"" if body is None else json.dumps(body).encode()
        kind = "" if body is None else "Content-Type: application/json\r\n"
        head = f"{method} {path} HTTP/1.1\r\n{self._head}{kind}Content-Length: {len(content)}\r\n\r\n"
        self._writer.write(head.encode() + content)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        at = answer.find(b"content-length:")
        length = int(answer[at + 15 : answer.find(b"\r\n", at)]) if at >= 0 else 0
        return int(answer[9:12]), await self._reader.readexactly(length) if length else b""

    async def json(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request that must succeed, and decode its answer."""
        status, content = await self.request(method, path, body)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {content[:300]!r}")
        return json.loads(content)


class Stream:
    """One event stream; keeps the time at which each event arrived."""

    def __init__(self, port: int, token: str, path: str) -> None:
        self._port, self._token, self._path = port, token, path
        self.arrivals: list[float] = []
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Read until cancelled or ended by the server."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=16 << 20)
        try:
            await self._read(reader, writer)
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self._token}\r\n\r\n"
        writer.write(head.encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in answer[:20]:
            raise RuntimeError(answer[:300])
        self.ready.set()
        tail = b""
        while chunk := await reader.read(1 << 16):
            seen = tail + chunk
            self.arrivals.extend([time.perf_counter()] * seen.count(b"event: message.created"))
            cut = seen.rfind(b"event: message.created")
            tail = seen[cut + 22 :][-40:] if cut >= 0 else seen[-40:]


async def closed_loop(
    connections: Sequence[Connection], make: Callable[[int, int], Request], seconds: float
) -> tuple[float, list[float]]:
    """Let each connection send its next request as soon as the last is answered; requests a second, and times."""
    end = time.perf_counter() + seconds
    took: list[float] = []

    async def one(connection: Connection, number: int) -> None:
        count = 0
        while (begun := time.perf_counter()) < end:
            status, content = await connection.request(*make(number, count))
            took.append(time.perf_counter() - begun)
            count += 1
            if status >= 300:
                raise RuntimeError(f"{status} {content[:300]!r}")

    begun = time.perf_counter()
    await asyncio.gather(*(one(connection, number) for number, connection in enumerate(connections)))
    return len(took) / (time.perf_counter() - begun), took


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")
