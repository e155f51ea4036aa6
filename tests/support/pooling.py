"""What a proxy that pools PostgreSQL's connections does to those who listen: no notification ever reaches them."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from sqlalchemy.engine import make_url

SOCKET = ".s.PGSQL.5432"
NOTIFICATION = b"A"
HEAD_BYTES = 5


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def _pass_answers_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers are messages of a letter, their length, and the rest; those that notify are dropped."""
    try:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(HEAD_BYTES)
                rest = await reader.readexactly(int.from_bytes(head[1:]) - 4)
                if head[:1] != NOTIFICATION:
                    writer.write(head + rest)
                    await writer.drain()
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def pooled(url: str, folder: Path) -> AsyncGenerator[str]:
    """The URL of the same database by way of the proxy, whose socket is in the folder; at the end all is cut."""
    host = make_url(url).query["host"]
    assert isinstance(host, str)
    under_way: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_unix_connection(f"{host}/{SOCKET}")
        for passing in (_pass_on(reader, requests), _pass_answers_on(answers, writer)):
            under_way.add(asyncio.create_task(passing))

    server = await asyncio.start_unix_server(accept, folder / SOCKET)
    try:
        yield make_url(url).update_query_dict({"host": str(folder)}).render_as_string(hide_password=False)
    finally:
        server.close()
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
