"""How long it takes from a post until an assistant is told, and how fast conversations are exported."""

import asyncio

import httpx

from benchmarks import deep
from benchmarks.client import Connection, quantile
from benchmarks.inbox import Inbox
from benchmarks.pacing import post_at_pace
from benchmarks.scenarios import Effort, Figure, statements
from benchmarks.seats import assistants_of, seated
from benchmarks.servers import Server
from benchmarks.words import say

ASSISTANTS = 4
RATE = 50
NAME = f"{RATE} posts a second to assistants"
PATIENCE_SECONDS = 30


async def delivering(server: Server, services: Inbox, effort: Effort) -> list[Figure]:
    """Post at a steady rate to conversations with an assistant each; see when each is told."""
    ann = await Connection(server.port, server.token).open()
    assistants = await assistants_of(server, ann, services.urls, "lag")
    seats = await seated(ann, 2 * len(assistants), assistants, 1)
    ann.close()
    before = server.sent()
    posted = await post_at_pace(server, list(seats), RATE, effort.seconds)
    told = await services.collect()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(told) < len(posted.stored):
            await asyncio.sleep(0.05)
            told += await services.collect()
    return [
        *_late([arrival.late_seconds for arrival in told]),
        Figure(f"{NAME}, statements a post and its delivery", (server.sent() - before) / len(told), ""),
    ]


async def telling(services: Inbox, effort: Effort) -> list[Figure]:
    """Tell the assistants without any service between: what the call alone takes."""
    async with httpx.AsyncClient() as client:
        for number in range(int(RATE * effort.seconds)):
            url = services.urls[number % len(services.urls)]
            await client.post(f"{url}floor/conversations/floor/events", json={"content": say(number)})
            await asyncio.sleep(1 / RATE)
    return _late([arrival.late_seconds for arrival in await services.collect()])


def _late(late: list[float]) -> list[Figure]:
    return [Figure(f"{NAME}, told after, p{share}", quantile(late, share / 100) * 1e3, "ms") for share in (50, 99)]


async def exporting(server: Server, conversation: str, messages: int) -> list[Figure]:
    """Export a deep conversation as an archive."""
    path = "/conversations/export"
    return await _fetching(server, path, {"id": conversation}, messages)


async def dumping(server: Server, messages: int) -> list[Figure]:
    """Read the same rows from the bare table, as JSON."""
    return await _fetching(server, f"/conversations/{deep.BARE}/dump", {"count": str(messages)}, messages)


async def _fetching(server: Server, path: str, query: dict[str, str], messages: int) -> list[Figure]:
    headers = {"Authorization": f"Bearer {server.token}"}
    base = f"http://127.0.0.1:{server.port}"
    before = server.sent()
    begun, received = asyncio.get_running_loop().time(), 0
    async with (
        httpx.AsyncClient(base_url=base, headers=headers, timeout=600) as client,
        client.stream("GET", path, params=query) as answer,
    ):
        answer.raise_for_status()
        async for chunk in answer.aiter_raw():
            received += len(chunk)
    took = asyncio.get_running_loop().time() - begun
    name = f"export of {messages:,} messages"
    return [
        Figure(name, messages / took, "messages/s"),
        Figure(f"{name}, bytes", received / took / (1 << 20), "MiB/s"),
        *statements(name, server.sent() - before, 1),
    ]
