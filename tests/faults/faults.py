"""The faults: each strikes a world that is busy, and leaves it in a state in which it must come right by itself."""

import asyncio
import errno
import os
import resource
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.load import until
from tests.faults.points import LABELS
from tests.faults.world import World

Strike = Callable[[World], Awaitable[None]]

POINT_SECONDS = 30.0
MOST_PASSES = 12
AWAY_SECONDS = 4.0
BIG_MESSAGE_BYTES = 60_000
RESTING_BYTES = 12_000_000
"""More than the buffers of a connection and of the service can hold together."""
RESTS = 4
NEWS_SECONDS = 10.0
STEP_SECONDS = 3600.0


@dataclass(frozen=True)
class Fault:
    """A fault by name, and how it strikes."""

    name: str
    strike: Strike
    message_bytes: int = 0
    has_turn: bool = True


async def kill(world: World) -> None:
    """kill -9 at any moment."""
    await asyncio.sleep(world.chance.random() * 0.3)
    await _kill(world)


async def _kill(world: World) -> None:
    await world.cluster.kill(world.cluster.pick(world.chance))
    await asyncio.sleep(world.chance.random() * 0.3)
    await world.cluster.revive()


async def kill_and_wait(world: World) -> None:
    """kill -9, and what the dead held runs out by itself."""
    world.cluster.is_patient = True
    try:
        await _kill(world)
    finally:
        world.cluster.is_patient = False


def kill_at(label: str) -> Strike:
    """kill -9 at a labelled point, passed so often."""

    async def strike(world: World) -> None:
        world.cluster.arm(label, world.chance.randint(1, MOST_PASSES))
        if not await world.cluster.death(POINT_SECONDS):
            raise TimeoutError(f"no replica came by the point {label!r}")
        await world.cluster.revive()

    return strike


def restart_postgres(mode: str) -> Strike:
    """Stop PostgreSQL and start it again."""

    async def strike(world: World) -> None:
        postgres = world.cluster.postgres
        assert postgres is not None
        await asyncio.to_thread(postgres.stop, mode)
        await asyncio.sleep(world.chance.random())
        await asyncio.to_thread(postgres.resume)

    return strike


async def assistant_away(world: World) -> None:
    """The assistant's service refuses all connections."""
    await world.recorder.stop()
    try:
        await asyncio.sleep(AWAY_SECONDS)
    finally:
        await world.recorder.start()


async def slow_reader(world: World) -> None:
    """A reader rests until the service lets it go; what systems hold for it differs, so it may have to rest again."""
    slow = world.slow
    assert slow is not None
    before = slow.times_behind
    for _ in range(RESTS):
        slow.may_read.clear()
        try:
            if not await world.goes_on(RESTING_BYTES // BIG_MESSAGE_BYTES):
                raise TimeoutError("a slow reader held everybody up")
        finally:
            slow.may_read.set()
        if await until(lambda: slow.times_behind > before, NEWS_SECONDS):
            return
    raise TimeoutError("the slow reader was never let go")


async def clock_stepped(world: World) -> None:
    """The clocks jump: back, forth, and to where they were, each replica's by another amount."""
    cluster = world.cluster
    for direction in (-1, 1, 0):
        cluster.set_clocks([direction * STEP_SECONDS * world.chance.random() for _ in cluster.servers])
        await world.goes_on(10)
    await _kill(world)


async def disk_full_by_limit(world: World) -> None:
    """No file may grow any more: needs no rights, and shows the same to the service but for the number of the error."""
    pid = world.cluster.servers[0].pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    try:
        await _stands_still(world)
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


async def disk_full(world: World) -> None:
    """The file system has no room left."""
    filler = world.cluster.folder / "filler"
    try:
        _fill(filler)
        await _stands_still(world)
    finally:
        filler.unlink()


def _fill(path: Path) -> None:
    block = bytes(1 << 20)
    with path.open("wb", buffering=0) as file:
        while block:
            try:
                file.write(block)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                block = block[: len(block) // 2]
        os.fsync(file.fileno())


async def _stands_still(world: World) -> None:
    """Wait until nobody is acknowledged any more; what is written over may still fit for a while. Reading goes on."""
    for _ in range(100):
        before = world.acknowledged
        await asyncio.sleep(0.5)
        if world.acknowledged == before:
            await world.reads()
            return
    raise TimeoutError("the disk is full, and messages are still acknowledged")


KILLS = [Fault("kill -9 at any moment", kill), *(Fault(f"kill -9 {label}", kill_at(label)) for label in LABELS)]
PATIENT = Fault("kill -9, leases run out", kill_and_wait)
AWAY = Fault("assistant away", assistant_away)
SLOW = Fault("slow reader", slow_reader, message_bytes=BIG_MESSAGE_BYTES)
# An answer in the making is given up, rightly, where an hour has passed without a word from its producer.
CLOCK = Fault("clock stepped, then kill -9", clock_stepped, has_turn=False)
DISK = Fault("disk full", disk_full)
DISK_BY_LIMIT = Fault("disk full (file size limit)", disk_full_by_limit)
POSTGRES = [
    Fault("PostgreSQL restarted", restart_postgres("fast")),
    Fault("PostgreSQL crashed", restart_postgres("immediate")),
]
