"""The promises of Transactions and of the event log, on both databases."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.engine import make_url
from tests.support.databases import Store, open_store

from workbench.adapters.sql.chosen import Chosen
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.group_commit import GroupCommit, OutcomeUnknownError
from workbench.adapters.sql.leases import SqlLeases
from workbench.adapters.sql.refusals import ConnectionLostError
from workbench.adapters.sql.tables import events, messages
from workbench.adapters.sql.transactions import SqlTransactions
from workbench.adapters.sql.walls import Within
from workbench.domain.conversations.events import conversation_created
from workbench.domain.conversations.model import Conversation, ConversationChange, ConversationDetails, NewConversation
from workbench.domain.errors import NotFoundError, StaleError
from workbench.domain.events.model import NewEvent
from workbench.domain.ids import new_id
from workbench.domain.messages.events import message_created
from workbench.domain.messages.model import Message, Sender, StoredMessage
from workbench.domain.participants.model import Participant, ParticipantChange
from workbench.domain.transactions import retrying


async def new_conversation(store: Store, workspace: str = "default") -> UUID:
    now = store.clock.now()
    conversation = Conversation.created(new_id(), NewConversation(), "ann", now)
    owner = Participant.of_user(conversation.id, "ann", "Ann", None, now)
    async with store.transactions.write(workspace) as tx:
        tx.conversations.add(conversation)
        tx.participants.add(owner)
        tx.events.record(conversation_created(ConversationDetails.of(conversation, "read_write", [owner])))
    return conversation.id


def message(store: Store, content: str = "hello", message_id: UUID | None = None) -> Message:
    return Message(
        id=message_id or new_id(),
        sender=Sender(participant_role="user", participant_id="ann"),
        message_type="chat",
        timestamp=store.clock.now(),
        content_type="text/plain",
        content=content,
        filenames=[],
        metadata={},
        has_debug_data=False,
    )


async def post(store: Store, conversation: UUID, said: Message, workspace: str = "default") -> None:
    async with store.transactions.write(workspace) as tx:
        tx.messages.add(StoredMessage(conversation_id=conversation, message=said, debug_data={}))
        tx.events.record(message_created(conversation, said))


async def count(store: Store, table: object) -> int:
    return (await store.database.rows(select(func.count()).select_from(table)))[0][0]  # type: ignore[arg-type]


async def test_rows_and_events_are_stored_together(store: Store) -> None:
    conversation = await new_conversation(store)
    await post(store, conversation, message(store))
    assert (await count(store, messages), await count(store, events)) == (1, 2)
    assert [(e.position, e.feed_position, e.type) for e in store.announced] == [
        (1, 1, "conversation.created"),
        (2, 2, "message.created"),
    ]


async def test_a_block_that_fails_stores_nothing(store: Store) -> None:
    conversation = await new_conversation(store)

    async def fail() -> None:
        async with store.transactions.write("default") as tx:
            tx.messages.add(StoredMessage(conversation_id=conversation, message=message(store), debug_data={}))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert (await count(store, messages), len(store.announced)) == (0, 1)


async def test_what_a_reading_block_sets_down_is_never_stored(store: Store) -> None:
    conversation = await new_conversation(store)
    async with store.transactions.read("default") as tx:
        tx.messages.add(StoredMessage(conversation_id=conversation, message=message(store), debug_data={}))
    assert await count(store, messages) == 0


async def test_of_a_group_only_the_block_at_fault_fails(store: Store) -> None:
    conversation = await new_conversation(store)
    taken = message(store)
    await post(store, conversation, taken)
    blocks = [post(store, conversation, message(store, str(n))) for n in range(10)]
    bad = [
        post(store, conversation, message(store, "again", taken.id)),
        post(store, new_id(), message(store)),
    ]
    outcomes = await asyncio.gather(*blocks[:5], *bad, *blocks[5:], return_exceptions=True)
    assert [type(o) for o in outcomes if o is not None] == [StaleError, NotFoundError]
    assert await count(store, messages) == 11
    assert [e.position for e in store.announced] == list(range(1, 13))


class Forgetful:
    """A database that stores, and goes away before it can say so."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.dialect_name = database.dialect_name
        self.rows, self.read_at_once, self.close = database.rows, database.read_at_once, database.close

    async def transact(self, work: Callable[[Connection], Any], within: Within = None) -> Any:
        await self._database.transact(work, within)
        raise ConnectionLostError

    async def write(self, choose: Callable[[], Chosen[Any]]) -> Any:
        await self._database.write(choose)
        raise ConnectionLostError


@pytest.mark.parametrize("together", [1, 3])
async def test_what_may_be_stored_already_is_not_stored_anew(store: Store, together: int) -> None:
    conversation = await new_conversation(store)
    store.group = GroupCommit(Forgetful(store.database), lambda _: None)
    store.transactions = SqlTransactions(store.database, store.group, store.clock)
    attempts = 0

    async def say(content: str) -> None:
        nonlocal attempts
        attempts += 1
        await post(store, conversation, message(store, content))

    blocks = [retrying(partial(say, str(number))) for number in range(together)]
    outcomes = await asyncio.gather(*blocks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [OutcomeUnknownError] * together
    assert attempts == together
    assert await count(store, messages) == together


async def test_many_blocks_share_a_commit(store: Store) -> None:
    conversation = await new_conversation(store)
    before = store.database.written.commits
    await asyncio.gather(*(post(store, conversation, message(store, str(n))) for n in range(200)))
    assert store.database.written.commits - before <= 4
    assert await count(store, messages) == 200


async def test_a_change_over_what_another_changed_is_stale(store: Store) -> None:
    conversation = await new_conversation(store)

    async def change(title: str, barrier: asyncio.Barrier) -> None:
        async with store.transactions.write("default") as tx:
            read = await tx.conversations.require(conversation)
            await barrier.wait()
            tx.conversations.change(read.changed(ConversationChange(title=title)))

    barrier = asyncio.Barrier(2)
    outcomes = await asyncio.gather(change("a", barrier), change("b", barrier), return_exceptions=True)
    assert sorted(type(o).__name__ for o in outcomes) == ["NoneType", "StaleError"]


async def test_a_participant_changed_by_another_meanwhile_is_stale(store: Store) -> None:
    conversation = await new_conversation(store)

    async def change(status: str, barrier: asyncio.Barrier) -> None:
        async with store.transactions.write("default") as tx:
            (seat,) = await tx.participants.all_of(conversation)
            await barrier.wait()
            tx.participants.change(seat.changed(ParticipantChange(status=status), store.clock.now()))

    barrier = asyncio.Barrier(3)
    outcomes = await asyncio.gather(*(change(status, barrier) for status in "abc"), return_exceptions=True)
    assert sorted(type(o).__name__ for o in outcomes) == ["NoneType", "StaleError", "StaleError"]
    async with store.transactions.read("default") as tx:
        (seat,) = await tx.participants.all_of(conversation)
    assert seat.status == "abc"[outcomes.index(None)]


async def test_of_many_who_use_the_same_new_id_at_once_one_wins(database_url: str) -> None:
    async with open_store(database_url) as one, open_store(database_url) as two:
        conversation, wanted = await new_conversation(one), new_id()
        said = [message(one, str(n), wanted) for n in range(12)]
        racing = (post((one, two)[n % 2], conversation, each) for n, each in enumerate(said))
        outcomes = await asyncio.gather(*racing, return_exceptions=True)
        async with one.transactions.read("default") as tx:
            stored = await tx.messages.find(wanted)
            told = await tx.events.of_conversation(conversation, 1, 100)
    assert [type(o) for o in outcomes].count(StaleError) == 11
    assert stored is not None
    assert stored.message == said[outcomes.index(None)]
    assert [e.position for e in told] == [2]


async def test_no_repository_sees_another_workspace(store: Store) -> None:
    conversation = await new_conversation(store)
    said = message(store)
    await post(store, conversation, said)
    async with store.transactions.read("elsewhere") as tx:
        assert await tx.messages.find(said.id) is None
        assert await tx.messages.latest_of_each([conversation], ["chat"]) == {}
        assert await tx.participants.all_of(conversation) == []
        assert await tx.events.of_conversation(conversation, 0, 10) == []
        assert await tx.events.of_workspace(0, 10) == []
        assert await tx.events.of_user("ann", 0, 10) == []
        assert await tx.events.conversation_head(conversation) == 0
        assert await tx.users.find("ann") is None
        with pytest.raises(NotFoundError):
            await tx.conversations.require(conversation)
    with pytest.raises(NotFoundError):
        await post(store, conversation, message(store), "elsewhere")


async def test_workspaces_count_their_events_for_themselves(store: Store) -> None:
    for workspace in ("default", "elsewhere", "default"):
        await new_conversation(store, workspace)
    found = [(e.workspace_id, e.feed_position) for e in store.announced]
    assert found == [("default", 1), ("elsewhere", 1), ("default", 2)]


async def test_positions_have_no_gaps_and_follow_commits_over_two_writers(database_url: str) -> None:
    async with open_store(database_url) as one, open_store(database_url) as two:
        conversations = [await new_conversation(one) for _ in range(3)]
        writes = [post((one, two)[n % 2], conversations[n % 3], message(one, str(n))) for n in range(120)]
        await asyncio.gather(*writes)
        async with one.transactions.read("default") as tx:
            feed = await tx.events.of_workspace(0, 1000)
            by_conversation = {c: await tx.events.of_conversation(c, 0, 1000) for c in conversations}
            pages = {c: [e.data for e in found if e.type == "message.created"] for c, found in by_conversation.items()}
    assert [e.feed_position for e in feed] == list(range(1, 124))
    for conversation, found in by_conversation.items():
        assert [e.position for e in found] == list(range(1, len(found) + 1))
        assert [e.feed_position for e in found] == sorted(e.feed_position for e in found)
        assert len(pages[conversation]) == 40


async def test_a_bare_sequence_lets_a_reader_skip_what_commits_late(postgres_url: str) -> None:
    """Why positions are taken under a row: here a plain sequence gives the earlier number to the later commit."""
    url = make_url(postgres_url)
    where = {"user": "postgres", "database": url.database, "host": url.query["host"]}
    slow, quick = await asyncpg.connect(**where), await asyncpg.connect(**where)
    await slow.execute("CREATE TABLE bare (number bigint GENERATED ALWAYS AS IDENTITY, who text)")
    late = slow.transaction()
    await late.start()
    await slow.execute("INSERT INTO bare (who) VALUES ('first to draw')")
    await quick.execute("INSERT INTO bare (who) VALUES ('first to commit')")
    seen = await quick.fetch("SELECT number, who FROM bare ORDER BY number")
    await late.commit()
    behind = await quick.fetch("SELECT who FROM bare WHERE number > $1", seen[-1]["number"])
    everything = await quick.fetchval("SELECT count(*) FROM bare")
    assert ([row["who"] for row in seen], behind, everything) == (["first to commit"], [], 2)
    await slow.close()
    await quick.close()


async def test_an_appender_waits_for_the_one_before_it_in_the_same_conversation(postgres_url: str) -> None:
    """The same race with our positions: whoever appends second cannot get its number before the first commits."""
    url = make_url(postgres_url)
    async with open_store(postgres_url) as store:
        conversation = await new_conversation(store)
        other = await asyncpg.connect(user="postgres", database=url.database, host=url.query["host"])
        late = other.transaction()
        await late.start()
        move = "UPDATE conversations SET event_head = event_head + 1 WHERE id = $1 RETURNING event_head"
        assert await other.fetchval(move, conversation) == 2
        posting = asyncio.create_task(post(store, conversation, message(store)))
        await asyncio.sleep(0.2)
        assert not posting.done()
        await late.commit()
        await posting
        await other.close()
    assert store.announced[-1].position == 3


async def test_deleting_a_conversation_leaves_only_the_event_that_tells_of_it(store: Store) -> None:
    conversation = await new_conversation(store)
    await post(store, conversation, message(store))
    async with store.transactions.write("default") as tx:
        gone = NewEvent(conversation_id=conversation, type="conversation.deleted", data={}, farewell=("ann",))
        tx.events.record(gone)
        tx.conversations.remove(conversation)
    async with store.transactions.read("default") as tx:
        left = await tx.events.of_workspace(0, 10)
        fed = await tx.events.of_user("ann", 0, 10)
    assert [(e.type, e.position) for e in left] == [("conversation.deleted", 3)]
    assert [e.type for e in fed] == ["conversation.deleted"]
    assert await count(store, messages) == 0


async def test_leases_have_one_holder_until_they_run_out(database_url: str) -> None:
    async with open_store(database_url) as one, open_store(database_url) as two:
        mine, yours = SqlLeases(one.database), SqlLeases(two.database)
        assert await mine.acquire(["a", "b"], "me", 30) == {"a", "b"}
        assert await yours.acquire(["a", "c"], "you", 30) == {"c"}
        assert await mine.renew("me", 30) == {"a", "b"}
        await mine.release(["a"], "me")
        assert await yours.acquire(["a", "b"], "you", 0.01) == {"a"}
        await asyncio.sleep(0.05)
        assert await yours.renew("you", 30) == {"c"}
        assert await mine.acquire(["a"], "me", 30) == {"a"}


async def test_of_many_who_want_a_lease_one_gets_it(database_url: str) -> None:
    async with open_store(database_url) as one, open_store(database_url) as two:
        leases = [SqlLeases(one.database), SqlLeases(two.database)]
        wanted = (leases[n % 2].acquire(["x"], f"worker {n}", 30) for n in range(12))
        got = await asyncio.gather(*wanted)
    assert sorted(map(len, got)) == [0] * 11 + [1]
