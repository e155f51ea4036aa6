"""A large file up and down: how fast, and how much memory the server takes for it."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass

import httpx

from benchmarks.scenarios import Effort, Figure
from benchmarks.servers import Server

BLOCK = os.urandom(1 << 20)
HEAD = b'--x\r\nContent-Disposition: form-data; name="files"; filename="large"\r\n\r\n'
TAIL = b"\r\n--x--\r\n"


@dataclass
class Peak:
    """The most memory seen."""

    kib: float


async def transferring(server: Server, effort: Effort) -> list[Figure]:
    """Upload a file of `file_mib` in a form, and download it again, through one connection each."""
    return await _transferred(server, effort, HEAD, TAIL)


async def transferring_bare(server: Server, effort: Effort) -> list[Figure]:
    """The same of the floor, which takes what comes for the file."""
    return await _transferred(server, effort, b"", b"")


async def _transferred(server: Server, effort: Effort, head: bytes, tail: bytes) -> list[Figure]:
    headers = {"Authorization": f"Bearer {server.token}"}
    size = f"{effort.file_mib:,} MiB"
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", headers=headers, timeout=600) as client:
        conversation = (await client.post("/conversations", json={})).json()["id"]
        path = f"/conversations/{conversation}/files"
        idle = server.memory_kib()
        with watching(server) as peak:
            begun = time.perf_counter()
            form = {"Content-Type": "multipart/form-data; boundary=x"}
            (await client.put(path, content=_content(head, effort.file_mib, tail), headers=form)).raise_for_status()
            up = effort.file_mib / (time.perf_counter() - begun)
        figures = [Figure(f"upload of {size}", up, "MiB/s")]
        figures.append(Figure(f"memory for an upload of {size}", (peak.kib - idle) / 1024, "MiB"))
        with watching(server) as peak:
            begun, received = time.perf_counter(), 0
            async with client.stream("GET", f"{path}/large") as answer:
                async for chunk in answer.aiter_raw():
                    received += len(chunk)
            down = effort.file_mib / (time.perf_counter() - begun)
        if received != effort.file_mib << 20:
            raise RuntimeError(f"{received} bytes came back")
        figures.append(Figure(f"download of {size}", down, "MiB/s"))
        figures.append(Figure(f"memory for a download of {size}", (peak.kib - idle) / 1024, "MiB"))
    return figures


@contextlib.contextmanager
def watching(server: Server) -> Generator[Peak]:
    """Look at the server's memory every 10 ms until the end of the block."""
    peak = Peak(server.memory_kib())

    async def look() -> None:
        while True:
            peak.kib = max(peak.kib, server.memory_kib())
            await asyncio.sleep(0.01)

    looking = asyncio.create_task(look())
    try:
        yield peak
    finally:
        looking.cancel()


async def _content(head: bytes, file_mib: int, tail: bytes) -> AsyncIterator[bytes]:
    yield head
    for _ in range(file_mib):
        yield BLOCK
    yield tail
