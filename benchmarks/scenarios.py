"""What is measured, and how."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.client import Connection, Stream, closed_loop, quantile
from benchmarks.servers import Server
from benchmarks.targets import MANY, ONE

OPENED_AT_ONCE = 50


@dataclass
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str


@dataclass
class Effort:
    """How long each scenario runs, and how large it is."""

    starts: int = 5
    seconds: float = 8.0
    depth: int = 1000
    streams: int = 1000
    file_mib: int = 1024
    turns: int = 100
    turn_seconds: float = 60.0
    conversations: tuple[int, ...] = (100, 500, 5000)
    exported: int = 20_000


async def connect(server: Server, count: int) -> list[Connection]:
    """Open so many connections."""
    return [await Connection(server.port, server.token).open() for _ in range(count)]


async def new_conversation(connection: Connection) -> str:
    """Make a conversation and give its id."""
    return (await connection.json("POST", "/conversations", {"title": "bench"}))["id"]


async def posting(server: Server, effort: Effort, among: int = 0) -> list[Figure]:
    """Post messages from 1 and from 16 clients, each in a conversation of its own; `among` so many others, to be named."""
    figures: list[Figure] = []
    there = f", {among:,} conversations there" if among else ""
    for count in (1, 16):
        connections = await connect(server, count)
        ids = [await new_conversation(connections[0]) for _ in range(count)]
        before = server.sent()
        rate, took = await closed_loop(
            connections,
            lambda number, n, ids=ids: ("POST", f"/conversations/{ids[number]}/messages", {"content": f"hello {n}"}),
            effort.seconds,
        )
        clients = f"post, {count} client{'s' if count > 1 else ''}{there}"
        figures += [Figure(clients, rate, "/s"), Figure(f"{clients}, p99", quantile(took, 0.99) * 1e3, "ms")]
        figures += statements(clients, server.sent() - before, len(took))
        for connection in connections:
            connection.close()
    return figures


async def answering(server: Server, effort: Effort) -> list[Figure]:
    """Ask the floor for answers that take no statement: how fast the machine is just now."""
    figures: list[Figure] = []
    for name, count in ((ONE, 1), (MANY, 16)):
        connections = await connect(server, count)
        rate, _ = await closed_loop(connections, lambda _number, _n: ("GET", "/bare", None), effort.seconds / 2)
        figures.append(Figure(name, rate, "/s"))
        for connection in connections:
            connection.close()
    return figures


async def fill(server: Server, conversation: str, count: int) -> None:
    """Post so many messages of 200 bytes from 16 clients."""
    numbers = iter(range(count))

    async def one(connection: Connection) -> None:
        for number in numbers:
            body = {"content": f"message {number} " + "x" * 190}
            await connection.json("POST", f"/conversations/{conversation}/messages", body)

    connections = await connect(server, 16)
    await asyncio.gather(*map(one, connections))
    for connection in connections:
        connection.close()


async def reading(server: Server, effort: Effort, conversation: str | None = None, note: str = "") -> list[Figure]:
    """Read the newest 100 messages from 4 clients."""
    if conversation is None:
        (writer,) = await connect(server, 1)
        conversation = await new_conversation(writer)
        writer.close()
        await fill(server, conversation, effort.depth)
    # Opened only now: the server closes what is idle for five seconds, and filling may take longer.
    connections = await connect(server, 4)
    path = f"/conversations/{conversation}/messages?limit=100"
    before = server.sent()
    rate, took = await closed_loop(connections, lambda _number, _n: ("GET", path, None), effort.seconds)
    sent = server.sent() - before
    for connection in connections:
        connection.close()
    name = f"read 100 of {note or f'{effort.depth:,}'}, 4 clients"
    p99 = Figure(f"{name}, p99", quantile(took, 0.99) * 1e3, "ms")
    return [Figure(name, rate, "/s"), p99, *statements(name, sent, len(took))]


async def listing(server: Server, effort: Effort, settle: Callable[[], Awaitable[None]]) -> list[Figure]:
    """List all of a user's conversations, each with a message, and a page of the most that there are.

    `settle` is called whenever many have been made.
    """
    connections = await connect(server, 16)
    have = len((await connections[0].json("GET", "/conversations?limit=500"))["conversations"])
    figures: list[Figure] = []
    for count in effort.conversations:
        await _have_conversations(connections, count - have)
        await settle()
        have = max(have, count)
        figures += await _listing(server, effort, "/conversations", f"list {count:,} conversations")
    name = f"list 100 of {have:,} conversations"
    figures += await _listing(server, effort, "/conversations?limit=100", name)
    for connection in connections:
        connection.close()
    return figures


async def _have_conversations(connections: list[Connection], count: int) -> None:
    """Make so many more, from all connections."""
    numbers = iter(range(count))

    async def one(connection: Connection) -> None:
        for _ in numbers:
            conversation = await new_conversation(connection)
            await connection.json("POST", f"/conversations/{conversation}/messages", {"content": "hi"})

    await asyncio.gather(*map(one, connections))


async def _listing(server: Server, effort: Effort, path: str, name: str) -> list[Figure]:
    """List from one client, which has a connection of its own: an idle one would be closed."""
    connection = await Connection(server.port, server.token).open()
    before = server.sent()
    rate, took = await closed_loop([connection], lambda _number, _n: ("GET", path, None), effort.seconds / 2)
    connection.close()
    return [Figure(name, 1e3 / rate, "ms"), *statements(name, server.sent() - before, len(took))]


async def listing_bare(server: Server, effort: Effort) -> list[Figure]:
    """Read as many rows from the floor's table."""
    figures: list[Figure] = []
    for count in effort.conversations:
        figures += await _listing(server, effort, f"/conversations?limit={count}", f"list {count:,} conversations")
    return figures


def statements(name: str, sent: float, requests: int) -> list[Figure]:
    """Say how many statements a request took, where the server counts them."""
    return [] if math.isnan(sent) else [Figure(f"{name}, statements a request", sent / max(requests, 1), "")]


async def streaming(server: Server, effort: Effort) -> list[Figure]:
    """Open many streams on one conversation; memory of an idle one, latency of one post, events a second of a burst."""
    connection = (await connect(server, 1))[0]
    conversation = await new_conversation(connection)
    path = f"/conversations/{conversation}"
    before = server.memory_kib()
    opened = await open_streams(server, path, effort.streams)
    streams = list(opened)
    figures = [Figure("memory a stream", (server.memory_kib() - before) / effort.streams, "KiB")]
    latencies: list[float] = []
    for number in range(20):
        begun = time.perf_counter()
        await connection.json("POST", f"{path}/messages", {"content": f"one {number}"})
        await all_have(streams, number + 1)
        latencies += [stream.arrivals[number] - begun for stream in streams]
    figures.append(Figure(f"post to {effort.streams:,} streams, p99", quantile(latencies, 0.99) * 1e3, "ms"))
    sent = server.sent()
    begun, posts = time.perf_counter(), 0
    while time.perf_counter() - begun < effort.seconds:
        await connection.json("POST", f"{path}/messages", {"content": "burst"})
        posts += 1
    await all_have(streams, 20 + posts)
    rate = posts * effort.streams / (time.perf_counter() - begun)
    name = f"events to {effort.streams:,} streams"
    figures += [Figure(name, rate, "/s"), *statements(name, server.sent() - sent, posts)]
    await close_streams(opened)
    connection.close()
    return figures


async def open_streams(server: Server, path: str, count: int) -> dict[Stream, asyncio.Task[None]]:
    """Open so many streams on a conversation, some at a time, and let the server come to rest.

    What a thousand that come in the same instant take while they wait for their turn is not what a stream takes.
    """
    opened: dict[Stream, asyncio.Task[None]] = {}
    for begin in range(0, count, OPENED_AT_ONCE):
        streams = [
            Stream(server.port, server.token, f"{path}/events")
            for _ in range(begin, min(begin + OPENED_AT_ONCE, count))
        ]
        opened |= {stream: asyncio.create_task(stream.run()) for stream in streams}
        await asyncio.gather(*(stream.ready.wait() for stream in streams))
    await asyncio.sleep(1)
    return opened


async def close_streams(opened: dict[Stream, asyncio.Task[None]]) -> None:
    """Read them no more."""
    for task in opened.values():
        task.cancel()
    await asyncio.gather(*opened.values(), return_exceptions=True)


async def all_have(streams: list[Stream], count: int) -> None:
    """Wait until each stream has seen so many messages. Raises TimeoutError."""
    async with asyncio.timeout(60):
        while min(len(stream.arrivals) for stream in streams) < count:  # noqa: ASYNC110 - a thousand events to wait for
            await asyncio.sleep(0.002)
