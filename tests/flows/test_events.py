"""What is told of flows, to whom, and to whom not: on both databases, and over HTTP."""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from tests.contracts.test_transactions import message, new_conversation, post
from tests.support.assistants import RecordingAssistantService
from tests.support.databases import Store, open_store
from tests.support.flow_rows import ENTRY, document_of, stored_flow
from tests.support.service import Service, open_stream

from workbench.adapters.sql.events import SqlEventKeeping
from workbench.adapters.sql.flow_ledger import SqlFlowLedger
from workbench.domain.audit.ports import AuditFilter
from workbench.domain.events.hub import EventHub
from workbench.domain.events.model import Event
from workbench.domain.events.service import EventService, Gap, ReaderPolicy
from workbench.domain.flows.model import Cleanup, FlowError, StoredFlow
from workbench.domain.identity.model import Principal
from workbench.domain.ids import correlation_id

ANN = Principal(workspace_id="acme", role="user", id="ann", name="Ann")
FLOW = {"flow_id": "f1", "generation": 1, "blueprint": {"name": "rag", "version": 1}, "error_code": None}
LIFE = ["flow.started", "flow.stopping", "flow.stopped"]
NEW = {"flow_id": "f", "blueprint": "b"}


class Told:
    """A ledger, and what it tells."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ledger = SqlFlowLedger(store.database, store.group.announce_all)

    async def begin(self, flow_id: str = "f1", workspace: str = "acme") -> StoredFlow:
        # Topics of its own: none is busy since another flow lets it go.
        flow = stored_flow(self.store.clock, workspace, flow_id, "rag", document_of("request:wb:{workspace}:{id}"))
        return await self.ledger.begin(flow, 100, ENTRY)

    async def live(self, flow_id: str = "f1", workspace: str = "acme") -> None:
        """A whole life."""
        key, now = (await self.begin(flow_id, workspace)).key, self.store.clock.now()
        assert await self.ledger.run(key, now)
        assert await self.ledger.stop(key, 0, now, ENTRY)
        await self.ledger.withdraw(key, now)
        cleanup = await self.ledger.sweep(key, now)
        for topic in await self.ledger.claim_doomed(cleanup.pending, now):
            await self.ledger.deleted(topic.topic)
        assert await self.ledger.finish(key, cleanup, now)

    async def outside(self, workspace: str = "acme", after: int = 0) -> list[Event]:
        async with self.store.transactions.read(workspace) as tx:
            return list(await tx.events.outside(after, 100))


@pytest.fixture
def told(store: Store) -> Told:
    return Told(store)


async def test_each_state_that_a_flow_comes_to_is_told_once_in_its_workspace(told: Told) -> None:
    await told.live()
    events = await told.outside()
    assert [event.type for event in events] == LIFE
    states = ("running", "stopping", "stopped")
    assert [json.loads(event.data) for event in events] == [{"flow": {**FLOW, "state": state}} for state in states]
    assert [(event.feed_position, event.conversation_id, event.position) for event in events] == [
        (number, None, 0) for number in (1, 2, 3)
    ]
    assert {event.audience for event in events} == {"users"}
    assert told.store.announced == events
    assert await told.outside("globex") == []


async def test_a_workspace_may_be_called_as_a_table_is(told: Told) -> None:
    await told.live("f1", "of-users.flows")
    assert [event.type for event in await told.outside("of-users.flows")] == LIFE


async def test_what_is_told_and_put_on_record_names_the_request(told: Told) -> None:
    correlation_id.set("9b2f6d0e6d6e4f0bb4f4a8a4b6a1c002")
    await told.live()
    assert {event.correlation_id for event in await told.outside()} == {correlation_id.get()}
    async with told.store.transactions.read("acme") as tx:
        assert {entry.correlation_id for entry in await tx.audit.entries(AuditFilter())} == {correlation_id.get()}


async def test_what_changes_nothing_tells_nothing(told: Told) -> None:
    key, now = (await told.begin()).key, told.store.clock.now()
    assert await told.outside() == []
    assert await told.ledger.finish(key, Cleanup(), now) is None
    assert await told.ledger.run(key, now)
    assert await told.ledger.run(key, now) is None
    assert await told.ledger.fail(key, FlowError(code="late", message="x"), now) == []
    assert await told.ledger.stop(key, 0, now, ENTRY)
    assert await told.ledger.stop(key, 0, now, ENTRY) is None
    assert [event.type for event in await told.outside()] == ["flow.started", "flow.stopping"]


async def test_a_start_that_failed_is_told_with_its_code_alone(told: Told) -> None:
    why = FlowError(code="bus_unavailable", message="at amqp://somewhere")
    await told.ledger.fail((await told.begin()).key, why, told.store.clock.now())
    (event,) = await told.outside()
    assert event.type == "flow.failed"
    assert json.loads(event.data)["flow"] == {**FLOW, "state": "failed", "error_code": "bus_unavailable"}
    assert "somewhere" not in event.data


async def test_a_state_that_cannot_be_told_is_not_come_to(told: Told) -> None:
    """One commit: where the log cannot take it, the flow stays as it was, and the next try is told as usual."""
    key, now = (await told.begin()).key, told.store.clock.now()
    await told.ledger.run(key, now)
    await told.store.database.transact(_take_back_a_position)
    with pytest.raises(Exception, match=r"(?i)unique|primary"):
        await told.ledger.stop(key, 0, now, ENTRY)
    assert [flow.state for flow in await told.ledger.holding()] == ["running"]
    assert [event.type for event in await told.outside()] == ["flow.started"]


def _take_back_a_position(connection: Any) -> None:
    connection.exec_driver_sql("UPDATE workspaces SET event_head = event_head - 1")


async def test_flows_and_conversations_of_two_processes_share_a_log_without_gaps(database_url: str) -> None:
    async with open_store(database_url) as one, open_store(database_url) as two:
        conversation = await new_conversation(one, "acme")

        async def talk(store: Store) -> None:
            for _ in range(20):
                await post(store, conversation, message(store), "acme")

        lives = [
            Told(store).live(f"{name}-{number}") for name, store in (("a", one), ("b", two)) for number in range(3)
        ]
        await asyncio.wait_for(asyncio.gather(talk(one), talk(two), *lives), 60)
        async with one.transactions.read("acme") as tx:
            everything = await tx.events.of_workspace(0, 100)
            assert [event.feed_position for event in everything] == list(range(1, 60))
            assert await tx.events.head() == 59
            said = await tx.events.of_conversation(conversation, 0, 100)
            assert [event.position for event in said] == list(range(1, 42))
            assert len(await tx.events.outside(0, 100)) == 18
            assert {event.type for event in await tx.events.of_user("ann", 0, 100)} == {
                "conversation.created",
                "message.created",
            }


@pytest.fixture
async def hub(told: Told) -> AsyncGenerator[EventHub]:
    opened = EventHub(told.store.transactions)
    yield opened
    await opened.close()


async def test_a_reader_of_the_workspace_hears_of_flows_only_live_and_again(told: Told, hub: EventHub) -> None:
    told.store.listeners.append(hub.announce)
    service = EventService(told.store.transactions, hub, ReaderPolicy())
    conversation = await new_conversation(told.store, "acme")
    reader = await service.read_workspace(ANN, lambda: None)
    assert hub.reader_count == 1
    await told.live()
    await told.live("f1", "globex")
    await post(told.store, conversation, message(told.store), "acme")
    live = reader.take()
    assert [(event.workspace_id, event.type) for event in live] == [("acme", kind) for kind in LIFE]
    again = [page async for page in service.replay(reader, live[0].feed_position)]
    assert again == [live[1:]]
    service.close(reader)
    assert hub.reader_count == 0


async def test_what_is_forgotten_makes_a_gap(told: Told, hub: EventHub) -> None:
    await told.live()
    keeping = SqlEventKeeping(told.store.database)
    assert await keeping.prune("acme", told.store.clock.now() + timedelta(days=1), 2) == 2
    service = EventService(told.store.transactions, hub, ReaderPolicy())
    reader = await service.read_workspace(ANN, lambda: None)
    assert reader.position == 3
    gap, rest = [item async for item in service.replay(reader, 0)]
    assert gap == Gap(after=0, first_available=3)
    assert not isinstance(rest, Gap)
    assert [event.type for event in rest] == ["flow.stopped"]


async def prepare(service: Service) -> httpx.AsyncClient:
    ann = service.user("ann")
    (await ann.put("/flow-blueprints/b", json={"services": []})).raise_for_status()
    return ann


async def test_everybody_in_the_workspace_can_follow_flows_and_resume(own_service: Service) -> None:
    ann, bea = await prepare(own_service), own_service.user("bea")
    async with open_stream(bea, "/workspace/events") as stream:
        (await ann.post("/flows", json=NEW)).raise_for_status()
        (await ann.delete("/flows/f?drain_s=0")).raise_for_status()
        seen = await stream.take(3)
    assert [event.name for event in seen] == LIFE
    assert seen[0].data["data"]["flow"]["flow_id"] == "f"
    assert set(seen[0].data) == {"timestamp", "data"}
    async with open_stream(bea, "/workspace/events", seen[0].id) as stream:
        assert [event.name for event in await stream.take(2)] == LIFE[1:]
    async with open_stream(own_service.user("eve", "elsewhere"), "/workspace/events", 0) as stream:
        elsewhere = own_service.user("eve", "elsewhere")
        (await elsewhere.put("/flow-blueprints/b", json={"services": []})).raise_for_status()
        (await elsewhere.post("/flows", json=NEW)).raise_for_status()
        first = await stream.next()
    assert (first.name, first.id) == ("flow.started", "1")


async def test_neither_conversations_nor_assistants_hear_of_flows(own_service: Service) -> None:
    ann = await prepare(own_service)
    async with RecordingAssistantService() as recorder:
        await recorder.announce(own_service.url)
        new = {"assistant_service_id": recorder.service_id, "name": "Robot"}
        assistant = (await ann.post("/assistants", json=new)).json()["id"]
        conversation = (await ann.post("/conversations", json={})).json()["id"]
        path = f"/conversations/{conversation}"
        (await ann.put(f"{path}/participants/{assistant}", json={})).raise_for_status()
        async with open_stream(ann, "/events") as feed, open_stream(ann, f"{path}/events") as own:
            (await ann.post("/flows", json=NEW)).raise_for_status()
            (await ann.delete("/flows/f?drain_s=0")).raise_for_status()
            (await ann.post(f"{path}/messages", json={"content": "hello"})).raise_for_status()
            assert (await feed.next()).name == "message.created"
            assert (await own.next()).name == "message.created"
        async with open_stream(ann, "/events", 0) as feed:
            names = [(await feed.next()).name for _ in range(3)]
        assert names == ["conversation.created", "participant.created", "message.created"]
        await recorder.wait_for(lambda it: [each for each in it.events() if each["event"] == "message.created"])
        assert [each["event"] for each in recorder.events()] == ["participant.created", "message.created"]
