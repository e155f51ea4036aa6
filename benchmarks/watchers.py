"""Readers of event streams in processes of their own: each checks that it misses nothing, and gets nothing twice."""

import asyncio
import contextlib
import resource
import time
from collections import Counter
from collections.abc import Generator, Sequence

from benchmarks.processes import Pipe, spawned
from benchmarks.words import hear

OPENED_AT_ONCE = 100
FRAME_END = b"\r\n\r\n"


class Watched:
    """What the streams of one process saw; numbers of a conversation's messages begin at 0."""

    def __init__(self) -> None:
        self.events = 0
        self.missed = 0
        self.repeated = 0
        self.broken = 0
        self.late_ms: Counter[int] = Counter()

    def __add__(self, other: "Watched") -> "Watched":
        """Count both together."""
        both = Watched()
        for name in ("events", "missed", "repeated", "broken"):
            setattr(both, name, getattr(self, name) + getattr(other, name))
        both.late_ms = self.late_ms + other.late_ms
        return both

    def late_quantile(self, share: float) -> float:
        """The delay in milliseconds below which that share of the events lies."""
        wanted = share * self.late_ms.total()
        for late, count in sorted(self.late_ms.items()):
            wanted -= count
            if wanted <= 0:
                return late
        return float("nan")


class Follower:
    """One stream, which knows the number that must come next."""

    def __init__(self, watched: Watched, path: str) -> None:
        self._watched = watched
        self.path = path
        self.next = 0

    async def open(self, port: int, token: str, address: str) -> None:
        """Connect from the address, and read the answer's head."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
        head = f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
        self._writer.write(head.encode())
        answer = await self._reader.readuntil(FRAME_END)
        if b" 200 " not in answer[:20]:
            raise RuntimeError(answer[:300])

    async def follow(self) -> None:
        """Read until the server ends the stream, which counts as broken."""
        rest = b""
        with contextlib.suppress(ConnectionError):
            while chunk := await self._reader.read(1 << 16):
                whole, _, rest = (rest + chunk).rpartition(FRAME_END)
                now = time.monotonic()
                for sent, number in hear(whole):
                    self._note(number, now - sent)
        self._watched.broken += 1

    def _note(self, number: int, late_seconds: float) -> None:
        self._watched.events += 1
        self._watched.late_ms[int(late_seconds * 1000)] += 1
        if number < self.next:
            self._watched.repeated += 1
            return
        self._watched.missed += number - self.next
        self.next = number + 1


class Watchers:
    """The processes, seen from the one that measures."""

    def __init__(self, pipes: Sequence[Pipe]) -> None:
        self._pipes = pipes

    async def opened(self) -> None:
        """Wait until every stream is open. Raises RuntimeError where one was refused."""
        for pipe in self._pipes:
            if problem := await asyncio.to_thread(pipe.recv):
                raise RuntimeError(problem)

    async def finish(self, wanted: dict[str, int], seconds: float) -> Watched:
        """Wait until every stream has as many messages as its path is to have, or the time is over."""
        total = Watched()
        for pipe in self._pipes:
            pipe.send((wanted, seconds))
        for pipe in self._pipes:
            total += await asyncio.to_thread(pipe.recv)
        return total


@contextlib.contextmanager
def watching(
    port: int, token: str, paths: Sequence[str], processes: int = 2, addresses: int = 4
) -> Generator[Watchers]:
    """Open a stream for each path, from processes and loopback addresses in turn."""
    with contextlib.ExitStack() as stack:
        pipes: list[Pipe] = []
        for number in range(processes):
            # One address has some 28,000 ports, and those of closed connections rest for a minute.
            froms = [f"127.0.0.{2 + number * addresses + nth}" for nth in range(addresses)]
            pipes.append(stack.enter_context(spawned(_watch, port, token, paths[number::processes], froms)))
        yield Watchers(pipes)


def allow_many_files() -> None:
    """Let this process, and those that it starts, open as many files as the machine lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _watch(pipe: Pipe, port: int, token: str, paths: Sequence[str], addresses: Sequence[str]) -> None:
    asyncio.run(_watch_all(pipe, port, token, paths, addresses))


async def _watch_all(pipe: Pipe, port: int, token: str, paths: Sequence[str], addresses: Sequence[str]) -> None:
    watched = Watched()
    followers = [Follower(watched, path) for path in paths]
    slots = asyncio.Semaphore(OPENED_AT_ONCE)

    async def open_one(number: int, follower: Follower) -> None:
        async with slots:
            await follower.open(port, token, addresses[number % len(addresses)])

    try:
        await asyncio.gather(*(open_one(number, follower) for number, follower in enumerate(followers)))
    except (OSError, RuntimeError, asyncio.IncompleteReadError) as error:
        pipe.send(repr(error))
        return
    tasks = [asyncio.create_task(follower.follow()) for follower in followers]
    pipe.send(None)
    wanted, seconds = await asyncio.to_thread(pipe.recv)
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(one.next < wanted[one.path] for one in followers):  # noqa: ASYNC110 - thousands to wait for
        await asyncio.sleep(0.05)
    watched.missed += sum(max(0, wanted[follower.path] - follower.next) for follower in followers)
    pipe.send(watched)
    await asyncio.gather(*tasks)
