"""The end of flows where things go wrong: a bus that deletes nothing, a process that dies between two steps."""

import asyncio
import random
from collections.abc import AsyncGenerator, Collection
from datetime import timedelta

import pytest
from tests.support.databases import Store
from tests.support.flow_processes import ANN, DOCUMENT, Process
from tests.support.flow_rows import ENTRY, stored_flow

from workbench.adapters.bus.in_process import InProcessBus
from workbench.domain.audit.ports import AuditFilter
from workbench.domain.bus.errors import BusUnavailableError
from workbench.domain.errors import UnavailableError
from workbench.domain.flows.model import Host, NewFlow, StoredFlow


class StubbornBus(InProcessBus):
    """A bus that fails for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 0

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise BusUnavailableError("away")

    async def delete_topic(self, topic: str, subscriptions: Collection[str]) -> None:
        self._fail()
        await super().delete_topic(topic, subscriptions)

    async def create_topic(self, topic: str) -> None:
        self._fail()
        await super().create_topic(topic)


@pytest.fixture
async def bus() -> AsyncGenerator[StubbornBus]:
    bus = StubbornBus()
    await bus.start()
    yield bus
    await bus.close()


@pytest.fixture
async def process(store: Store, bus: StubbornBus) -> Process:
    process = Process(store, bus)
    await process.blueprints.put(ANN, "b", DOCUMENT, None)
    return process


async def start(process: Process, flow_id: str = "f1") -> None:
    await process.flows.start(ANN, NewFlow(flow_id=flow_id, blueprint="b"))


@pytest.mark.parametrize("failures", [1, 4, 8])
async def test_a_bus_that_fails_now_and_then_keeps_nothing(process: Process, bus: StubbornBus, failures: int) -> None:
    await start(process)
    bus.failures = failures
    stopped = await process.flows.stop(ANN, "f1")
    assert stopped.cleanup is not None
    assert (stopped.state, len(stopped.cleanup.deleted), stopped.cleanup.pending) == ("stopped", 2, [])
    assert not await bus.topic_exists("request:wb:acme:own:f1")


async def test_a_bus_that_is_away_keeps_no_flow_from_stopping(process: Process, bus: StubbornBus, store: Store) -> None:
    await start(process)
    bus.failures = 1000
    stopped = await process.flows.stop(ANN, "f1")
    assert stopped.cleanup is not None
    assert (stopped.state, len(stopped.cleanup.pending)) == ("stopped", 2)
    assert await process.ledger.pending() == 2
    bus.failures = 0
    await process.upkeep.round()
    assert await process.ledger.pending() == 2, "its time has not come"
    for topic in await process.ledger.claim_doomed(None, store.clock.now() + timedelta(hours=1)):
        await process.ledger.not_deleted(topic.topic, store.clock.now())
    await process.upkeep.round()
    assert await process.ledger.pending() == 0
    assert not await bus.topic_exists("request:wb:acme:own:f1")


async def test_a_start_that_fails_leaves_nothing(process: Process, bus: StubbornBus) -> None:
    await start(process)
    bus.failures = 1
    with pytest.raises(UnavailableError):
        await start(process, "f2")
    assert (await process.flows._reader.get(ANN, "f2")).state == "failed"
    assert await bus.topic_exists("request:wb:acme:shared:b")
    assert not await bus.topic_exists("request:wb:acme:own:f2")
    await start(process, "f2")
    assert (await process.flows._reader.get(ANN, "f2")).generation == 2


ROUNDS = 100
STEPS = ("begun", "running", "stopping", "withdrawn", "swept", "deleted from the bus")


@pytest.mark.parametrize("died_at", STEPS)
async def test_a_process_that_dies_between_two_steps_is_made_up_for(
    process: Process, bus: StubbornBus, store: Store, died_at: str
) -> None:
    """The next process finishes it in one round, and what another flow needs stays."""
    await start(process, "other")
    flow = await died(process, bus, store, died_at)
    after = Process(store, bus)
    await after.recover()
    left = await after.flows._reader.get(ANN, "f1")
    expected = {"begun": "failed", "running": "running"}.get(died_at, "stopped")
    assert (left.state, left.generation) == (expected, flow.generation)
    if expected == "running":
        await after.flows.stop(ANN, "f1")
    assert not await bus.topic_exists("request:wb:acme:own:f1")
    assert await bus.topic_exists("request:wb:acme:shared:b")
    assert await after.ledger.pending() == 0
    await after.flows.stop(ANN, "other")
    assert not await bus.topic_exists("request:wb:acme:shared:b")


async def died(process: Process, bus: StubbornBus, store: Store, at: str) -> StoredFlow:
    """Do what a process does, up to there."""
    now, ledger = store.clock.now(), process.ledger
    begun = stored_flow(store.clock, "acme", "f1", "b", DOCUMENT)
    if at == "begun":
        # A start that nobody goes on with is given up after a while.
        begun = type(begun)(**{**_fields(begun), "created_at": now - timedelta(minutes=2)})
    flow = await ledger.begin(begun, 10, ENTRY)
    steps = STEPS[1 : STEPS.index(at) + 1]
    if "running" in steps:
        await process.keeper.keep([await ledger.run(flow.key, now) or flow])
    if "stopping" in steps:
        await ledger.stop(flow.key, 0, now, ENTRY)
    if "withdrawn" in steps:
        await ledger.withdraw(flow.key, now)
    if "swept" in steps:
        cleanup = await ledger.sweep(flow.key, now)
        if "deleted from the bus" in steps:
            for topic in cleanup.pending:
                await bus.delete_topic(topic, [])
    return flow


def _fields(flow: StoredFlow) -> dict[str, object]:
    return {name: getattr(flow, name) for name in flow.__struct_fields__}


async def test_what_a_host_holds_is_waited_for(process: Process, store: Store) -> None:
    await start(process)
    host = Host(host_id="h", services=["worker"], held=["acme/worker/acme.f1"], calling=[], seen_at=store.clock.now())
    await process.ledger.heard(host)
    stopping = asyncio.create_task(process.flows.stop(ANN, "f1"))
    await asyncio.sleep(0.2)
    assert not stopping.done()
    await process.ledger.left("h")
    assert (await asyncio.wait_for(stopping, 10)).state == "stopped"


async def test_two_who_stop_a_flow_get_the_same_report(process: Process) -> None:
    await start(process)
    one, other = await asyncio.gather(process.flows.stop(ANN, "f1"), process.flows.stop(ANN, "f1"))
    assert one.cleanup == other.cleanup
    assert one.state == other.state == "stopped"


async def test_starts_and_stops_of_two_processes_never_take_a_topic_away(store: Store, bus: StubbornBus) -> None:
    replicas = [Process(store, bus), Process(store, bus)]
    await replicas[0].blueprints.put(ANN, "b", DOCUMENT, None)

    async def live(process: Process, flow_id: str) -> None:
        for _ in range(ROUNDS):
            await asyncio.sleep(random.random() / 100)
            await start(process, flow_id)
            await asyncio.sleep(random.random() / 100)
            assert await bus.topic_exists("request:wb:acme:shared:b")
            await process.flows.stop(ANN, flow_id)

    await asyncio.gather(live(replicas[0], "f1"), live(replicas[1], "f2"))
    assert not await bus.topic_exists("request:wb:acme:shared:b")
    assert await replicas[0].ledger.pending() == 0


async def test_who_started_and_stopped_is_on_record(process: Process, store: Store) -> None:
    await start(process)
    await process.flows.stop(ANN, "f1")
    async with store.transactions.read("acme") as tx:
        found = await tx.audit.entries(AuditFilter())
    assert {(entry.act, entry.actor_id, entry.subject) for entry in found} == {
        ("blueprint.stored", "ann", "b"),
        ("flow.started", "ann", "f1"),
        ("flow.stopped", "ann", "f1"),
    }
