"""Which topics a flow leaves to others when it ends: every case of the worked examples, on both databases."""

import asyncio
import random
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import select
from tests.support.databases import Store
from tests.support.flow_rows import BLUEPRINTS, ENTRY, LIBRARIAN, document_of, stored_flow

from workbench.adapters.sql.flow_ledger import SqlFlowLedger
from workbench.adapters.sql.flow_tables import bus_topics
from workbench.domain.errors import ConflictError, UnavailableError
from workbench.domain.flows.model import Cleanup, FlowError, Host, ServiceUse, StoredFlow

LIVE = [
    ("acme", "f1", "rag"),
    ("acme", "f2", "rag"),
    ("globex", "f1", "rag"),
    ("acme", "c1", "chat"),
    ("acme", "s", "solo"),
    ("globex", "s", "solo"),
]
_TOPICS = select(bus_topics.c.topic, bus_topics.c.state)
WHY = FlowError(code="x", message="x")


class Stage:
    """Flows on a ledger, by their short names."""

    def __init__(self, store: Store) -> None:
        self.clock = store.clock
        self.ledger = SqlFlowLedger(store.database, store.group.announce_all)
        self.flows: dict[str, StoredFlow] = {}

    async def start(self, workspace: str, flow_id: str, blueprint: str, *, run: bool = True) -> None:
        flow = await self.ledger.begin(stored_flow(self.clock, workspace, flow_id, blueprint), 100, ENTRY)
        self.flows[f"{workspace}/{flow_id}"] = flow
        if run:
            await self.ledger.run(flow.key, self.clock.now())

    async def stopping(self, name: str) -> None:
        assert await self.ledger.stop(self.flows[name].key, 0, self.clock.now(), ENTRY)

    async def sweep(self, name: str) -> Cleanup:
        """The end of one that is stopping."""
        key, now = self.flows[name].key, self.clock.now()
        cleanup = await self.ledger.sweep(key, now)
        for topic in await self.ledger.claim_doomed(cleanup.pending, now):
            await self.ledger.deleted(topic.topic)
        assert await self.ledger.finish(key, cleanup, now)
        return cleanup

    async def stop(self, name: str) -> list[str]:
        await self.stopping(name)
        return short((await self.sweep(name)).pending)


def short(topics: list[str]) -> list[str]:
    return [topic.replace("request:wb:", "").replace("notify:wb:", "") for topic in topics]


@pytest.fixture
async def stage(store: Store) -> Stage:
    stage = Stage(store)
    for workspace, flow_id, blueprint in LIVE:
        await stage.start(workspace, flow_id, blueprint)
    return stage


A = [
    ("acme/f1", ["acme:chunk:f1"]),
    ("acme/f2", ["acme:chunk:f2", "acme:llm:rag"]),
    ("globex/f1", ["globex:audit", "embed:rag", "globex:chunk:f1", "globex:llm:rag"]),
    ("acme/c1", ["acme:audit", "acme:agent:c1"]),
    ("acme/s", []),
    ("globex/s", ["solo:s"]),
]
B = [
    ("globex/f1", ["globex:audit", "globex:chunk:f1", "globex:llm:rag"]),
    ("acme/c1", ["acme:agent:c1"]),
    ("acme/f2", ["acme:chunk:f2"]),
    ("acme/f1", ["acme:audit", "acme:chunk:f1", "acme:llm:rag", "embed:rag"]),
]


@pytest.mark.parametrize("order", [A, B], ids=["A", "B"])
async def test_flows_leave_what_others_need(stage: Stage, order: list[tuple[str, list[str]]]) -> None:
    for name, expected in order:
        assert (name, await stage.stop(name)) == (name, expected)


async def test_a_topic_of_somebody_else_is_never_deleted(stage: Stage) -> None:
    await stage.stopping("acme/s")
    assert (await stage.sweep("acme/s")).global_topics == [LIBRARIAN]


async def test_two_that_stop_at_once_delete_what_they_share_once(stage: Stage) -> None:
    await stage.stopping("acme/f1")
    await stage.stopping("acme/f2")
    first, second = await asyncio.gather(stage.sweep("acme/f1"), stage.sweep("acme/f2"))
    deleted = short([*first.pending, *second.pending])
    assert sorted(deleted) == ["acme:chunk:f1", "acme:chunk:f2", "acme:llm:rag"]
    assert "acme:audit" in short(first.kept)


async def test_a_flow_that_is_starting_holds_its_topics(store: Store) -> None:
    stage = Stage(store)
    await stage.start("acme", "f1", "rag")
    await stage.start("acme", "f2", "rag", run=False)
    assert await stage.stop("acme/f1") == ["acme:chunk:f1"]
    doomed = await stage.ledger.fail(stage.flows["acme/f2"].key, WHY, stage.clock.now())
    assert short(sorted(topic.topic for topic in doomed)) == [
        "acme:audit",
        "acme:chunk:f2",
        "acme:llm:rag",
        "embed:rag",
    ]


async def test_a_flow_whose_end_was_interrupted_holds_its_topics_until_it_is_resumed(stage: Stage) -> None:
    await stage.stopping("acme/f1")
    assert await stage.stop("acme/f2") == ["acme:chunk:f2"]
    assert short((await stage.sweep("acme/f1")).pending) == ["acme:chunk:f1", "acme:llm:rag"]


async def test_sweeping_twice_says_the_same(stage: Stage) -> None:
    await stage.stopping("acme/f1")
    key, now = stage.flows["acme/f1"].key, stage.clock.now()
    assert await stage.ledger.sweep(key, now) == await stage.ledger.sweep(key, now)


async def test_ids_are_free_again_and_get_the_next_generation(stage: Stage) -> None:
    with pytest.raises(ConflictError) as caught:
        await stage.start("acme", "f1", "rag")
    assert caught.value.error_code == "flow_exists"
    await stage.stopping("acme/f1")
    with pytest.raises(ConflictError) as caught:
        await stage.start("acme", "f1", "rag")
    assert caught.value.error_code == "flow_stopping"
    await stage.sweep("acme/f1")
    await stage.start("acme", "f1", "rag")
    assert stage.flows["acme/f1"].generation == 2


async def test_a_topic_that_is_being_deleted_cannot_be_used(stage: Stage) -> None:
    await stage.stopping("acme/f1")
    await stage.ledger.sweep(stage.flows["acme/f1"].key, stage.clock.now())
    await stage.ledger.finish(stage.flows["acme/f1"].key, Cleanup(), stage.clock.now())
    with pytest.raises(UnavailableError) as caught:
        await stage.start("acme", "f1", "rag")
    assert caught.value.error_code == "topic_busy"


async def test_what_cannot_be_deleted_is_tried_again_later(stage: Stage) -> None:
    await stage.stopping("acme/s")
    await stage.stop("globex/s")
    now = stage.clock.now()
    (topic,) = (await stage.ledger.sweep(stage.flows["acme/s"].key, now)).pending
    (claimed,) = await stage.ledger.claim_doomed([topic], now)
    assert await stage.ledger.claim_doomed(None, now) == []
    await stage.ledger.not_deleted(topic, now + timedelta(seconds=2))
    assert await stage.ledger.claim_doomed(None, now) == []
    (again,) = await stage.ledger.claim_doomed(None, now + timedelta(seconds=3))
    assert (again.topic, again.attempts, again.subscriptions) == (topic, 1, claimed.subscriptions)
    assert again.subscriptions == [f"{topic}/worker/t0"]
    assert await stage.ledger.pending() == 1
    await stage.ledger.deleted(topic)
    assert await stage.ledger.pending() == 0


async def test_a_literal_and_an_owned_topic_of_one_name_conflict(store: Store) -> None:
    stage = Stage(store)
    await stage.start("acme", "f1", "rag")
    literal = stored_flow(stage.clock, "globex", "g", "x", document_of("request:wb:acme:chunk:f1"))
    with pytest.raises(ConflictError) as caught:
        await stage.ledger.begin(literal, 100, ENTRY)
    assert caught.value.error_code == "topic_conflict"
    owned = stored_flow(stage.clock, "globex", "librarian", "x", document_of("request:wb:{id}"))
    with pytest.raises(ConflictError) as caught:
        await stage.ledger.begin(owned, 100, ENTRY)
    assert caught.value.error_code == "topic_conflict"
    other_class = stored_flow(stage.clock, "globex", "librarian", "x", document_of("notify:wb:{id}"))
    await stage.ledger.begin(other_class, 100, ENTRY)


async def test_a_shared_service_keeps_its_settings(store: Store) -> None:
    stage = Stage(store)

    def flow(flow_id: str, model: str) -> StoredFlow:
        use = ServiceUse(service="llm", scope="blueprint", parameters={"model": model})
        document = msgspec.structs.replace(document_of(), services=[use])
        return stored_flow(stage.clock, "acme", flow_id, "x", document)

    await stage.ledger.begin(flow("f1", "small"), 100, ENTRY)
    await stage.ledger.begin(flow("f2", "small"), 100, ENTRY)
    with pytest.raises(ConflictError) as caught:
        await stage.ledger.begin(flow("f3", "large"), 100, ENTRY)
    assert (caught.value.error_code, caught.value.extra["parameters"]) == ("shared_service_conflict", ["model"])


async def test_a_workspace_has_so_many_flows_at_most(store: Store) -> None:
    stage = Stage(store)
    await stage.start("acme", "f1", "rag")
    with pytest.raises(ConflictError) as caught:
        await stage.ledger.begin(stored_flow(stage.clock, "acme", "f2", "rag"), 1, ENTRY)
    assert caught.value.error_code == "flow_limit"
    await stage.ledger.begin(stored_flow(stage.clock, "globex", "f2", "rag"), 1, ENTRY)


async def test_hosts_and_what_is_long_over_are_forgotten(stage: Stage) -> None:
    now = stage.clock.now()
    host = Host(host_id="h", services=["worker"], held=["k"], calling=[], seen_at=now)
    await stage.ledger.heard(host)
    await stage.ledger.heard(msgspec.structs.replace(host, held=[]))
    assert [found.held for found in await stage.ledger.hosts(now)] == [[]]
    await stage.stop("acme/c1")
    before = await stage.ledger.counts()
    assert before == {"running": 5, "stopped": 1}
    assert await stage.ledger.forget(now + timedelta(seconds=1), 10) == 1
    assert await stage.ledger.counts() == {"running": 5}
    assert await stage.ledger.hosts(now) == []


@pytest.mark.parametrize("seed", range(6))
async def test_what_exists_is_what_flows_hold(store: Store, seed: int) -> None:
    """Random starts, failures and ends, some left half done: what is kept is always just what somebody holds."""
    chance = random.Random(seed)
    stage = Stage(store)
    states: dict[str, str] = {}
    for _ in range(40):
        workspace, flow_id = chance.choice(["acme", "globex"]), chance.choice(["a", "b", "c"])
        name = f"{workspace}/{flow_id}"
        state = states.get(name, "")
        if not state:
            await stage.start(workspace, flow_id, chance.choice(list(BLUEPRINTS)), run=False)
            states[name] = "starting"
        elif state == "starting":
            key, now = stage.flows[name].key, stage.clock.now()
            if chance.random() < 0.3:
                for topic in await stage.ledger.fail(key, WHY, now):
                    await stage.ledger.deleted(topic.topic)
                states[name] = ""
            else:
                await stage.ledger.run(key, now)
                states[name] = "running"
        elif state == "running":
            await stage.stopping(name)
            states[name] = "stopping"
        else:
            await stage.sweep(name)
            states[name] = ""
        held = {topic for name, state in states.items() if state for topic in stage.flows[name].snapshot.owned}
        rows = await store.database.rows(_TOPICS)
        assert {row[0] for row in rows if row[1] == "live"} == held
        assert await stage.ledger.pending() == 0
