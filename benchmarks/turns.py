"""Turns that stream at once: assistants elsewhere make 50 deltas a second each, and two watch every one of them."""

import asyncio
import math
import random
import re
import time
from collections.abc import Sequence

from benchmarks.client import Connection, quantile
from benchmarks.scenarios import Effort, Figure, new_conversation
from benchmarks.servers import Server

SERVICE = "bench.workbench.example"
DELTA_SECONDS = 1 / 50
BATCH = 4
"""Deltas that gather in 80 ms, which is how long a producer may hold them."""
WATCHERS = 2
ARRIVAL_LOOK_SECONDS = 0.002
COMMITS = "workbench_commits_total"

_DELTA = re.compile(rb'"delta":"([\d ]+)"')
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Producer(Connection):
    """A connection of an assistant, or, without one, of its service."""

    def __init__(self, port: int, assistant: str = "") -> None:
        super().__init__(port, "")
        self.be(SERVICE)
        if assistant:
            self._head += f"X-Assistant-ID: {assistant}\r\n"

    def be(self, service: str) -> None:
        """Speak for the service from now on."""
        self._head = f"Host: 127.0.0.1:{self._port}\r\nX-Assistant-Service-ID: {service}\r\nX-API-Key: \r\n"


class Watcher:
    """Watches a turn; keeps when each delta arrived."""

    def __init__(self, port: int, token: str, path: str) -> None:
        self._port, self._token, self._path = port, token, path
        self.arrivals: dict[int, float] = {}
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Watch until the turn's end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=16 << 20)
        head = f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self._token}\r\n\r\n"
        writer.write(head.encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in answer[:20]:
            raise RuntimeError(answer[:300])
        self.ready.set()
        while line := await reader.readline():
            if line.startswith(b"event: turn.finalized"):
                break
            if found := _DELTA.search(line):
                now = time.perf_counter()
                self.arrivals |= dict.fromkeys(map(int, found[1].split()), now)
        writer.close()


class Streaming:
    """One turn: its producer, its watchers, and when each delta was made."""

    def __init__(self, server: Server, assistant: str, path: str) -> None:
        self._producer = Producer(server.port, assistant)
        self._path = path
        self.watchers = [Watcher(server.port, server.token, f"{path}/stream") for _ in range(WATCHERS)]
        self.made: dict[int, float] = {}
        self._watching: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Become the producer, and have it watched."""
        await self._producer.open()
        await self._producer.json("PUT", f"{self._path}/lease", {"producer_id": "bench"})
        self._watching = [asyncio.create_task(watcher.run()) for watcher in self.watchers]
        await asyncio.gather(*(watcher.ready.wait() for watcher in self.watchers))

    async def send(self, batch: int) -> None:
        """Send the deltas of a batch; batches count from 1."""
        numbers = range((batch - 1) * BATCH, batch * BATCH)
        events = [{"type": "text.delta", "id": "t", "delta": f"{number} "} for number in numbers]
        await self._producer.json("POST", f"{self._path}/events", {"epoch": 1, "batch": batch, "events": events})

    async def send_at_once(self, batches: range) -> None:
        """Send these one after the other, and wait until they have arrived."""
        for batch in batches:
            await self.send(batch)
        for watcher in self.watchers:
            while batches[-1] * BATCH - 1 not in watcher.arrivals:  # noqa: ASYNC110 - another process sends it
                await asyncio.sleep(ARRIVAL_LOOK_SECONDS)

    async def run(self, seconds: float) -> None:
        """Make deltas at their pace, and send what has gathered."""
        await self.begin()
        # Nobody's tokens keep step with another's.
        await asyncio.sleep(random.random() * BATCH * DELTA_SECONDS)
        begun = time.perf_counter()
        for batch in range(1, int(seconds / DELTA_SECONDS / BATCH) + 1):
            first = (batch - 1) * BATCH
            for number in range(first, first + BATCH):
                self.made[number] = begun + number * DELTA_SECONDS
            await asyncio.sleep(max(0.0, self.made[first + BATCH - 1] - time.perf_counter()))
            await self.send(batch)
        await self._producer.json("POST", f"{self._path}/finalize", {"epoch": 1, "outcome": "completed"})
        await asyncio.gather(*self._watching)
        self._producer.close()


class Stage:
    """Open turns, and what has to stay there for them."""

    def __init__(self, turns: Sequence[Streaming], service: asyncio.Server, connections: Sequence[Connection]) -> None:
        self.turns = turns
        self._service = service
        self._connections = connections

    def close(self) -> None:
        """Leave."""
        for connection in self._connections:
            connection.close()
        self._service.close()


async def set_up(server: Server, count: int) -> Stage:
    """Open so many turns of a service's assistants, which answer nothing by themselves."""
    service = await asyncio.start_server(_answer_all, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{service.sockets[0].getsockname()[1]}/"
    ann = await Connection(server.port, server.token).open()
    await ann.json(
        "POST", "/assistant-service-registrations", {"assistant_service_id": SERVICE, "name": "b", "description": ""}
    )
    heart = await Producer(server.port).open()
    beat = {"name": "b", "description": "", "url": url, "online_expires_in_seconds": 3600}
    await heart.json("PUT", f"/assistant-service-registrations/{SERVICE}", beat)
    return Stage([await _opened(server, ann) for _ in range(count)], service, [ann, heart])


async def streaming_turns(server: Server, effort: Effort) -> list[Figure]:
    """Stream all at once, and see when each delta was made and when it arrived."""
    stage = await set_up(server, effort.turns)
    figures = await _streamed(server, stage.turns, effort.turn_seconds)
    stage.close()
    return figures


async def streaming_bare(server: Server, effort: Effort) -> list[Figure]:
    """The same of the floor, which has neither assistants nor conversations."""
    turns = [Streaming(server, "", f"/turns/{number}") for number in range(effort.turns)]
    return await _streamed(server, turns, effort.turn_seconds)


async def _streamed(server: Server, turns: Sequence[Streaming], seconds: float) -> list[Figure]:
    sent, commits, used = server.sent(), server.counter(COMMITS), server.cpu_seconds()
    begun = time.perf_counter()
    await asyncio.gather(*(turn.run(seconds) for turn in turns))
    took = time.perf_counter() - begun
    sent, commits, used = server.sent() - sent, server.counter(COMMITS) - commits, server.cpu_seconds() - used
    late = [
        watcher.arrivals[number] - made
        for turn in turns
        for watcher in turn.watchers
        for number, made in turn.made.items()
        if number in watcher.arrivals
    ]
    wanted = sum(len(turn.made) * WATCHERS for turn in turns)
    batches = wanted // WATCHERS // BATCH
    name = f"{len(turns)} turns at once"
    figures = [
        Figure(f"{name}, deltas to watchers", wanted / took, "/s"),
        Figure(f"{name}, deltas lost", wanted - len(late), ""),
        Figure(f"{name}, delta late by, p50", quantile(late, 0.5) * 1e3, "ms"),
        Figure(f"{name}, delta late by, p99", quantile(late, 0.99) * 1e3, "ms"),
        Figure(f"{name}, batches stored", batches / took, "/s"),
        Figure(f"{name}, statements a batch", sent / batches, ""),
        Figure(f"{name}, commits", commits / took, "/s"),
        Figure(f"{name}, server's CPU", 100 * used / took, "%"),
    ]
    return [figure for figure in figures if not math.isnan(figure.value)]


async def _opened(server: Server, ann: Connection) -> Streaming:
    assistant = (await ann.json("POST", "/assistants", {"assistant_service_id": SERVICE, "name": "b"}))["id"]
    conversation = await new_conversation(ann)
    await ann.json("PUT", f"/conversations/{conversation}/participants/{assistant}", {})
    asked = {"turn_id": "t", "assistant_id": assistant, "input": {"content": "count"}}
    await ann.json("POST", f"/conversations/{conversation}/turns", asked)
    return Streaming(server, assistant, f"/conversations/{conversation}/turns/t")


async def _answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be an assistant service that takes everything."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            found = _LENGTH.search(head)
            await reader.readexactly(int(found[1]) if found else 0)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
    except (asyncio.IncompleteReadError, asyncio.CancelledError):
        writer.close()
