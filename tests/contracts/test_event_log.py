"""The event log: no gaps and no late arrivals whoever writes, what a user may read of it, and what is forgotten."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contracts.test_transactions import message, new_conversation, post
from tests.support.clocks import SettableClock
from tests.support.databases import Store, open_store

from workbench.adapters.sql.events import SqlEventKeeping, ascii_json
from workbench.domain.conversations.events import conversation_deleted
from workbench.domain.conversations.model import ConversationDetails
from workbench.domain.errors import NotFoundError
from workbench.domain.events.model import Event, NewEvent, NewWorkspaceEvent
from workbench.domain.ids import correlation_id, new_id
from workbench.domain.messages.events import message_created
from workbench.domain.messages.model import StoredMessage
from workbench.domain.participants.events import participant_updated
from workbench.domain.participants.model import ParticipantChange


async def record(store: Store, conversation: UUID, *kinds: str, workspace: str = "default") -> None:
    async with store.transactions.write(workspace) as tx:
        for kind in kinds:
            tx.events.record(NewEvent(conversation_id=conversation, type=kind, data={}))


async def set_active(store: Store, conversation: UUID, user_id: str, *, active: bool) -> None:
    async with store.transactions.write("default") as tx:
        everyone = await tx.participants.all_of(conversation)
        before = next(each for each in everyone if each.id == user_id)
        after = before.changed(ParticipantChange(active_participant=active), store.clock.now())
        tx.participants.change(after)
        tx.events.record(participant_updated(after, everyone))


async def feed_of(store: Store, user_id: str, after: int = 0) -> list[tuple[UUID, str]]:
    async with store.transactions.read("default") as tx:
        return [(e.conversation_id, e.type) for e in await tx.events.of_user(user_id, after, 100)]


async def test_what_belongs_to_no_conversation_has_its_place_among_the_rest(store: Store) -> None:
    conversation = await new_conversation(store, "acme")
    asked = NewWorkspaceEvent(type="escalation.requested", data={"escalation": {"id": "é"}}, audience="engineers")
    for workspace in ("acme", "new"):
        async with store.transactions.write(workspace) as tx:
            tx.events.record(asked)
    async with store.transactions.write("acme") as tx:
        tx.events.record(NewEvent(conversation_id=conversation, type="a", data={}))
        tx.events.record(asked)
        tx.events.record(NewEvent(conversation_id=conversation, type="b", data={}))
    posts = (post(store, conversation, message(store), "acme") for _ in range(4))
    await asyncio.gather(*posts, record_asked(store, asked))
    async with store.transactions.read("acme") as tx:
        everything = await tx.events.of_workspace(0, 100)
        outside = await tx.events.outside(0, 100)
        inside = await tx.events.of_conversation(conversation, 0, 100)
    assert [event.feed_position for event in everything] == list(range(1, len(everything) + 1))
    assert sorted([*outside, *inside], key=lambda event: event.feed_position) == list(everything)
    assert [event.position for event in inside] == list(range(1, len(inside) + 1))
    assert {(event.audience, event.position, event.data) for event in outside} == {
        ("engineers", 0, '{"escalation":{"id":"\\u00e9"}}')
    }
    assert len(outside) == 3
    async with store.transactions.read("new") as tx:
        assert [event.feed_position for event in await tx.events.of_workspace(0, 100)] == [1]
    assert {event.workspace_id for event in outside} == {"acme"}


async def record_asked(store: Store, asked: NewWorkspaceEvent) -> None:
    async with store.transactions.write("acme") as tx:
        tx.events.record(asked)


async def test_a_reader_that_remembers_its_last_position_skips_nothing_while_two_replicas_write(
    database_url: str,
) -> None:
    async with open_store(database_url) as one, open_store(database_url) as two:
        places = {ws: [await new_conversation(one, ws) for _ in range(2)] for ws in ("default", "elsewhere")}

        async def write(store: Store) -> None:
            for number in range(12):
                posts = (post(store, c, message(store), ws) for ws, those in places.items() for c in those)
                bad = post(store, new_id(), message(store), "default")  # gives back what it took
                outcomes = await asyncio.gather(*posts, bad, return_exceptions=True)
                assert [type(o) for o in outcomes if o] == [NotFoundError], number

        async def read(store: Store, ws: str, total: int, conversation: UUID | None = None) -> None:
            last = 0
            while last < total:
                async with store.transactions.read(ws) as tx:
                    if conversation is None:
                        found = [e.feed_position for e in await tx.events.of_workspace(last, 5)]
                    else:
                        found = [e.position for e in await tx.events.of_conversation(conversation, last, 5)]
                assert found == list(range(last + 1, last + len(found) + 1))
                last += len(found)
                await asyncio.sleep(0)

        readers = [read(store, ws, 2 * 25) for ws in places for store in (one, two)]
        readers += [read(one, ws, 25, conversation) for ws, those in places.items() for conversation in those]
        await asyncio.wait_for(asyncio.gather(write(one), write(two), *readers), timeout=30)
        async with one.transactions.read("default") as tx:
            assert (await tx.events.head(), await tx.events.floor()) == (50, 0)
            assert await tx.events.conversation_head(places["default"][0]) == 25
            assert await tx.events.conversation_head(new_id()) == 0


async def test_an_event_is_stored_as_it_was_recorded(store: Store) -> None:
    correlation_id.set("9b2f6d0e6d6e4f0bb4f4a8a4b6a1c001")
    conversation = await new_conversation(store)
    said = message(store, "ü\u2028😀")
    await post(store, conversation, said)
    async with store.transactions.read("default") as tx:
        created, event = await tx.events.of_conversation(conversation, 0, 10)
        assert await tx.events.of_conversation(conversation, 0, 1) == [created]
        assert await tx.events.of_workspace(1, 10) == [event]
    assert (event, created) == (store.announced[1], store.announced[0])
    assert (event.type, event.audience, event.workspace_id) == ("message.created", "everyone", "default")
    assert (event.correlation_id, event.timestamp) == ("9b2f6d0e6d6e4f0bb4f4a8a4b6a1c001", store.clock.now())
    assert event.data.isascii()
    assert json.loads(event.data)["message"]["content"] == said.content
    assert len({event.id, created.id}) == 2
    assert all(len(each) == 32 and int(each, 16) for each in (event.id, created.id))


async def test_a_user_reads_the_feed_types_of_their_own_conversations(store: Store) -> None:
    mine, shared, theirs = [await new_conversation(store) for _ in range(3)]
    for conversation in (shared, theirs):
        await store.seat_user(conversation, "bea")
    await set_active(store, theirs, "ann", active=False)
    start = len(store.announced)
    for conversation in (mine, shared, theirs):
        await record(store, conversation, "message.created", "file.created", "assistant.state.updated")
    said = "message.created"
    assert await feed_of(store, "ann", start) == [(mine, said), (shared, said)]
    assert await feed_of(store, "bea", start) == [(shared, said), (theirs, said)]
    assert await feed_of(store, "cay") == []


async def test_who_lost_sight_still_reads_of_it_and_nothing_else_until_they_are_back(store: Store) -> None:
    conversation, other = await new_conversation(store), await new_conversation(store)
    for seated in (conversation, other):
        await store.seat_user(seated, "bea")
    await record(store, conversation, "message.created")
    await set_active(store, conversation, "bea", active=False)
    left_at = store.announced[-1].feed_position
    await record(store, conversation, "message.created", "conversation.updated")
    seen = [(other, "conversation.created"), (conversation, "participant.updated")]
    assert await feed_of(store, "bea") == seen
    assert await feed_of(store, "bea", left_at) == []
    await set_active(store, conversation, "bea", active=True)
    again = ["message.created", "conversation.updated", "participant.updated"]
    assert await feed_of(store, "bea", left_at) == [(conversation, kind) for kind in again]
    assert await feed_of(store, "bea", left_at - 1) == [
        (conversation, "participant.updated"),
        *((conversation, kind) for kind in again),
    ]


async def test_of_a_deleted_conversation_only_its_end_is_told_to_those_who_were_in_it(store: Store) -> None:
    gone, kept = await new_conversation(store), await new_conversation(store)
    for user in ("bea", "cay"):
        await store.seat_user(gone, user)
    await set_active(store, gone, "cay", active=False)
    await record(store, gone, "message.created", "file.created")
    async with store.transactions.write("default") as tx:
        details = ConversationDetails.of(
            await tx.conversations.require(gone), "read_write", await tx.participants.all_of(gone)
        )
        tx.events.record(conversation_deleted(details))
        tx.conversations.remove(gone)
    end = (gone, "conversation.deleted")
    assert await feed_of(store, "ann") == [(kept, "conversation.created"), end]
    assert await feed_of(store, "bea") == [end]
    assert await feed_of(store, "cay") == []  # what told them that they left went with the rest
    async with store.transactions.read("default") as tx:
        assert [e.type for e in await tx.events.of_conversation(gone, 0, 10)] == ["conversation.deleted"]
        assert await tx.events.head() == store.announced[-1].feed_position
    with pytest.raises(NotFoundError):
        await record(store, gone, "message.created")


async def test_pruning_forgets_in_steps_from_the_oldest_on_and_remembers_how_far(store: Store) -> None:
    clock = store.clock
    assert isinstance(clock, SettableClock)
    conversation, neighbour = await new_conversation(store), await new_conversation(store, "elsewhere")
    await store.seat_user(conversation, "bea")
    await set_active(store, conversation, "bea", active=False)
    await record(store, conversation, "message.created", "message.created", "message.created")
    clock.move(days=3)
    await record(store, conversation, "message.created")
    await record(store, neighbour, "message.created", workspace="elsewhere")
    keeping, before = SqlEventKeeping(store.database), clock.now() - timedelta(days=1)

    async def state() -> tuple[int, list[int], list[tuple[UUID, str]]]:
        async with store.transactions.read("default") as tx:
            left = [e.feed_position for e in await tx.events.of_workspace(0, 100)]
            return await tx.events.floor(), left, await feed_of(store, "bea")

    assert await state() == (0, [1, 2, 3, 4, 5, 6], [(conversation, "participant.updated")])
    assert await keeping.prune("default", before, 1) == 1
    assert await state() == (1, [2, 3, 4, 5, 6], [(conversation, "participant.updated")])
    assert await keeping.prune("default", before, 2) == 2
    assert await state() == (3, [4, 5, 6], [])
    assert await keeping.prune("default", before, 100) == 2
    assert await keeping.prune("default", before, 100) == 0
    assert await keeping.prune("elsewhere", before, 100) == 1  # a log of its own, which nobody touched
    assert await keeping.prune("nowhere", before, 100) == 0
    assert await state() == (5, [6], [])
    await record(store, conversation, "message.created")
    assert (store.announced[-1].feed_position, store.announced[-1].position) == (7, 7)
    clock.move(days=3)
    assert await keeping.prune("default", clock.now(), 100) == 2
    async with store.transactions.read("default") as tx:
        assert (await tx.events.floor(), await tx.events.head()) == (7, 7)
        assert await tx.events.conversation_head(conversation) == 7


async def test_a_listener_at_fault_keeps_nobody_from_storing(store: Store) -> None:
    def fail(events: Sequence[Event]) -> None:
        raise ZeroDivisionError

    store.listeners.append(fail)
    conversation = await new_conversation(store)
    await asyncio.wait_for(asyncio.gather(*(post(store, conversation, message(store)) for _ in range(3))), timeout=10)
    assert [event.position for event in store.announced] == [1, 2, 3, 4]


async def test_one_block_may_say_and_tell_several_things_in_their_order(store: Store) -> None:
    here, there = await new_conversation(store), await new_conversation(store)
    told: list[tuple[UUID, str]] = []
    async with store.transactions.write("default") as tx:
        for number in range(6):
            said = message(store, str(number))
            conversation = (here, there)[number % 2]
            tx.messages.add(StoredMessage(conversation_id=conversation, message=said, debug_data={}))
            tx.events.record(message_created(conversation, said))
            told.append((conversation, said.content))
    last = store.announced[-6:]
    assert [(e.conversation_id, json.loads(e.data)["message"]["content"]) for e in last] == told
    assert [e.feed_position for e in last] == [3, 4, 5, 6, 7, 8]
    assert [e.position for e in last] == [2, 2, 3, 3, 4, 4]


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.dictionaries(st.text(), inner),
)


@settings(max_examples=50, deadline=None)
@given(value=anything)
def test_json_of_events_is_ascii_and_says_the_same(value: object) -> None:
    text = ascii_json(value)
    assert text.isascii()
    assert json.loads(text) == value
    assert "\n" not in text


def test_json_of_events_escapes_as_json_does() -> None:
    assert ascii_json("é\u2028\x85😀") == r'"\u00e9\u2028\u0085\ud83d\ude00"'
