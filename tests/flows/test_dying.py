"""A process is killed between each two steps of a start and of a stop: the next one settles it, and nothing is left."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from tests.support.clocks import SettableClock
from tests.support.databases import Store, open_store
from tests.support.flow_processes import ANN, DOCUMENT, Process

from workbench.adapters.bus.rabbitmq import RabbitBus
from workbench.adapters.metrics.flows import PrometheusFlows
from workbench.domain.errors import NotFoundError
from workbench.domain.flows.model import NewFlow

OWN, SHARED = "request:wb:acme:own:f1", "request:wb:acme:shared:b"
QUEUES = {OWN: f"{OWN}/worker/t0", SHARED: f"{SHARED}/worker/t1"}
MOST_STEPS = 40


class Reaper:
    """The processes that are killed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def does(self, what: str, steps: int) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what} {steps}\n".encode())
        async with asyncio.timeout(60):
            return (await self._process.stdout.readline()).decode().strip()


@pytest.fixture
async def reaper(database_url: str, rabbit_url: str) -> AsyncGenerator[Reaper]:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tests.flows.dying", database_url, rabbit_url],
        cwd=Path(__file__).parents[2],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    yield Reaper(process)
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()


class Survivor:
    """The process that comes after, and what it finds."""

    def __init__(self, store: Store, bus: RabbitBus, clock: SettableClock) -> None:
        self.process = Process(store, bus)
        self.bus = bus
        self._clock = clock

    async def start(self, flow_id: str) -> None:
        await self.process.flows.start(ANN, NewFlow(flow_id=flow_id, blueprint="b"))

    async def serve(self, topic: str) -> None:
        """Leave a queue behind, as a host does."""
        await (await self.bus.subscribe(topic, QUEUES[topic], 1)).close()

    async def settle(self) -> None:
        """One pass, as late as it takes for who was killed to be given up."""
        self._clock.move(minutes=2)
        await self.process.recover()

    async def state(self) -> str:
        try:
            return (await self.process.flows._reader.get(ANN, "f1")).state
        except NotFoundError:
            return "absent"

    async def left(self) -> dict[str, bool]:
        """Which of the topics and their queues are on the broker."""
        topics = {topic: await self.bus.topic_exists(topic) for topic in QUEUES}
        return topics | {queue: await self.bus._consuming.has_queue(queue) for queue in QUEUES.values()}


@pytest.fixture
async def survivor(database_url: str, rabbit_url: str) -> AsyncGenerator[Survivor]:
    clock = SettableClock()
    bus = RabbitBus(rabbit_url, PrometheusFlows(CollectorRegistry()))
    await bus.start()
    async with open_store(database_url, clock) as store:
        survivor = Survivor(store, bus, clock)
        await survivor.process.blueprints.put(ANN, "b", DOCUMENT, None)
        await survivor.start("other")
        await survivor.serve(SHARED)
        yield survivor
        await survivor.process.flows.stop(ANN, "other")
        assert not any((await survivor.left()).values())
    await bus.close()


@pytest.mark.timeout(300)
async def test_a_start_that_is_killed_leaves_a_flow_that_runs_or_nothing(reaper: Reaper, survivor: Survivor) -> None:
    seen: list[str] = []
    for steps in range(1, MOST_STEPS):
        outcome = await reaper.does("start", steps)
        assert outcome in ("killed", "done")
        await survivor.settle()
        seen.append(await survivor.state())
        if outcome == "done":
            break
        assert await survivor.left() == {OWN: False, SHARED: True, QUEUES[OWN]: False, QUEUES[SHARED]: True}
    assert (seen[0], set(seen[1:-1]), seen[-1]) == ("absent", {"failed"}, "running")
    assert len(seen) > 4
    await survivor.process.flows.stop(ANN, "f1")


@pytest.mark.timeout(300)
async def test_a_stop_that_is_killed_is_brought_to_its_end(reaper: Reaper, survivor: Survivor) -> None:
    seen: list[str] = []
    for steps in range(1, MOST_STEPS):
        await survivor.start("f1")
        await survivor.serve(OWN)
        outcome = await reaper.does("stop", steps)
        assert outcome in ("killed", "done")
        await survivor.settle()
        seen.append(await survivor.state())
        if seen[-1] == "running":
            await survivor.process.flows.stop(ANN, "f1")
        assert await survivor.left() == {OWN: False, SHARED: True, QUEUES[OWN]: False, QUEUES[SHARED]: True}
        assert await survivor.process.ledger.pending() == 0
        if outcome == "done":
            break
    assert (seen[0], set(seen[1:])) == ("running", {"stopped"})
    assert len(seen) > 6
