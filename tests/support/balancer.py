"""A small load balancer: takes connections, and passes each to the next replica that says that it is ready."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from urllib.parse import urlsplit

import httpx
from tests.support.servers import LOOPBACK

LOOK_SECONDS = 0.1


class Balancer:
    """Asks `/readyz` of every replica, like those that are bought; where nobody answers it closes the connection."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = list(urls)
        self._ready: list[str] = []
        self._turn = 0
        self._under_way: set[asyncio.Task[None]] = set()

    async def look(self) -> None:
        """See who is ready, for ever."""
        async with httpx.AsyncClient(timeout=2, verify=False) as client:
            while True:
                answers = await asyncio.gather(
                    *(client.get(f"{url}/readyz") for url in self._urls), return_exceptions=True
                )
                pairs = zip(self._urls, answers, strict=True)
                self._ready = [url for url, said in pairs if isinstance(said, httpx.Response) and said.is_success]
                await asyncio.sleep(LOOK_SECONDS)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass a connection on."""
        for _ in self._urls:
            if not self._ready:
                await asyncio.sleep(LOOK_SECONDS)
                continue
            self._turn += 1
            place = urlsplit(self._ready[self._turn % len(self._ready)])
            with contextlib.suppress(OSError):
                answers, requests = await asyncio.open_connection(place.hostname, place.port)
                for passing in (_pass_on(reader, requests), _pass_on(answers, writer)):
                    task = asyncio.create_task(passing)
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)
                return
        writer.close()

    async def close(self) -> None:
        """Cut what is open."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # one side was cut off, and so is the other
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def balanced(urls: Sequence[str]) -> AsyncGenerator[str]:
    """Run a balancer before the replicas; gives its URL."""
    balancer = Balancer(urls)
    looking = asyncio.create_task(balancer.look())
    server = await asyncio.start_server(balancer.accept, LOOPBACK, 0, backlog=1024)
    try:
        yield f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        looking.cancel()
        await balancer.close()
