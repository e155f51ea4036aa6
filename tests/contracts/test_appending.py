"""Appending in one statement stores what several would, and a group is closed only when it can be stored."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import Connection, Table, select, text
from tests.contracts.test_transactions import message, new_conversation, post
from tests.support.databases import OBSERVE, Store, open_store

from workbench.adapters.sql import group_commit
from workbench.adapters.sql.tables import conversations, events, messages, workspaces
from workbench.adapters.sql.writes import Writer
from workbench.domain.errors import StaleError
from workbench.domain.identity.model import Principal
from workbench.domain.messages.events import message_created
from workbench.domain.messages.model import Message, NewMessage, StoredMessage, Titling
from workbench.domain.messages.service import MessageService
from workbench.domain.sizes import SizeLimits

ANN = Principal(role="user", id="ann", name="Ann", workspace_id="default")
ODD = [
    "",
    "plain",
    'it\'s "quoted" \\ and {braced}, [listed]: $.path ? :named % -- ; NEW.id',
    "lines\r\n\ttabs \x01\x1f\x7f\x85\u2028\ufeff",
    "\u00dcn\u00efc\u00f6de \u6c49\u5b57 \u05e2\u05d1\u05e8\u05d9\u05ea \U0001f9d1\u200d\U0001f680 \U0001d518",
    "\\u0041 is no escape, nor is \\n",
    "null",
    "12345678901234567890",
    "1e400",
    "true",
    "x" * 100_000,
]
MOMENTS = [
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    datetime(2026, 1, 2, 3, 4, 5, 100_000, tzinfo=UTC),
    datetime(2026, 1, 2, 3, 4, 5, 1, tzinfo=timezone(timedelta(hours=5, minutes=30))),
]


def odd_messages(store: Store) -> list[Message]:
    return [
        msgspec.structs.replace(
            message(store, content),
            timestamp=MOMENTS[number % len(MOMENTS)],
            filenames=[content[:20]] * (number % 3),
            metadata={content[:20]: [content, None, 1.5, {"of": number}]},
            has_debug_data=bool(number % 2),
        )
        for number, content in enumerate(ODD)
    ]


async def say(store: Store, conversation: UUID, said: list[Message], *, together: bool) -> None:
    """Post them as ann; in one group, or each by itself."""

    async def one(each: Message) -> None:
        async with store.transactions.write("default") as tx:
            await tx.participants.expect_writer(conversation, ANN, anew=False)
            tx.messages.add(StoredMessage(conversation_id=conversation, message=each, debug_data={}))
            tx.events.record(message_created(conversation, each))

    # The first alone in any case: from then on it is remembered that ann may write, and all take the same time.
    apart = said[:1] if together else said
    for each in apart:
        await one(each)
    await asyncio.gather(*map(one, said[len(apart) :]))


async def rows(store: Store, table: Table, conversation: UUID) -> list[dict[str, Any]]:
    """What is stored of a conversation, but for what differs from one to the next."""
    place = table.c.sequence if table is messages else table.c.position
    found = await store.database.rows(select(table).where(table.c.conversation_id == conversation).order_by(place))
    left_out = {"id", "conversation_id", "feed_position", "correlation_id"}
    return [
        {name: value for name, value in zip(table.columns.keys(), row, strict=True) if name not in left_out}
        for row in found
    ]


@pytest.mark.parametrize("together", [False, True])
async def test_one_statement_stores_what_several_would(
    store: Store, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    one, several = await new_conversation(store), await new_conversation(store)
    said = odd_messages(store)
    before = store.database.written.statements
    await say(store, one, said, together=together)
    in_one = store.database.written.statements - before
    in_several_only = dict.fromkeys(group_commit.APPENDING, lambda _: None)
    monkeypatch.setattr(group_commit, "APPENDING", in_several_only)
    again = [msgspec.structs.replace(each, id=UUID(int=each.id.int + 1)) for each in said]
    await say(store, several, again, together=together)
    in_several = store.database.written.statements - before - in_one
    assert in_one < in_several
    assert await rows(store, messages, one) == await rows(store, messages, several)
    # The first tells of the conversation.
    ours, theirs = (await rows(store, events, one))[1:], (await rows(store, events, several))[1:]
    for each in again:
        was = str(UUID(int=each.id.int - 1))
        theirs = [{**row, "data": row["data"].replace(str(each.id), was)} for row in theirs]
    assert ours == theirs
    assert len(ours) == len(said)
    heads = await store.database.rows(
        select(conversations.c.event_head, conversations.c.message_head).where(conversations.c.id.in_([one, several]))
    )
    assert [tuple(row) for row in heads] == [(len(said) + 1, len(said))] * 2
    ((head,),) = await store.database.rows(select(workspaces.c.event_head))
    assert [event.feed_position for event in store.announced] == list(range(1, head + 1))
    async with store.transactions.read("default") as tx:
        assert await tx.events.of_workspace(0, 100) == store.announced


async def test_what_one_statement_cannot_store_whole_it_does_not_store_at_all(store: Store) -> None:
    conversation = await new_conversation(store)
    first, taken = message(store, "first"), message(store, "taken")
    await say(store, conversation, [first, taken], together=False)
    again = message(store, "again", taken.id)
    for group in ([again], [again, message(store, "beside it")]):
        outcomes = await asyncio.gather(
            *(say(store, conversation, [each], together=False) for each in group), return_exceptions=True
        )
        assert isinstance(outcomes[0], StaleError)
        assert outcomes[1:] == [None] * (len(group) - 1)
    stored = await store.database.rows(
        select(messages.c.sequence, messages.c.content).order_by(messages.c.sequence), None, OBSERVE
    )
    assert [tuple(row) for row in stored] == [(1, "first"), (2, "taken"), (3, "beside it")]
    assert [event.position for event in store.announced] == [1, 2, 3, 4]


@pytest.mark.parametrize("together", [1, 3])
async def test_what_is_elsewhere_is_not_written_to(store: Store, together: int) -> None:
    """Not even where it was believed that one may."""
    here, elsewhere = await new_conversation(store), await new_conversation(store, "elsewhere")
    for conversation in (here, elsewhere):
        store.group.remembered.writers.keep(("default", Writer(conversation, "user", "ann")), True)
    blocks = [say(store, elsewhere, [message(store, str(number))], together=False) for number in range(together)]
    outcomes = await asyncio.gather(*blocks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StaleError] * together
    await say(store, here, [message(store)], together=False)
    assert await rows(store, messages, elsewhere) == []
    assert len(await rows(store, events, elsewhere)) == 1
    assert len(await rows(store, messages, here)) == 1


async def test_whoever_comes_while_the_writer_is_busy_joins_the_group_that_waits_for_it(sqlite_url: str) -> None:
    """At the door of the writer's thread, where no turn of the event loop has to come first."""
    is_busy, may_end = threading.Event(), threading.Event()

    def busy(_: Connection) -> None:
        is_busy.set()
        assert may_end.wait(30)

    async with open_store(sqlite_url) as store:
        room = [await new_conversation(store) for _ in range(3)]
        working = asyncio.create_task(store.database.transact(busy))
        await asyncio.to_thread(is_busy.wait, 30)
        before = store.database.written.commits
        blocks: list[asyncio.Task[None]] = []
        for number in range(12):
            blocks.append(asyncio.create_task(post(store, room[number % 3], message(store, str(number)))))
            for _ in range(5):
                await asyncio.sleep(0)
        assert not any(block.done() for block in blocks)
        may_end.set()
        await asyncio.gather(working, *blocks)
        assert store.database.written.commits - before == 2  # the busy one, and theirs
        assert [event.position for event in store.announced if event.conversation_id == room[0]] == [1, 2, 3, 4, 5]


async def test_a_connection_makes_its_views_once_and_keeps_them(sqlite_url: str) -> None:
    async with open_store(sqlite_url) as store:
        conversation = await new_conversation(store)
        service = MessageService(store.transactions, store.clock, SizeLimits(), Titling())
        for _ in range(3):
            await service.post(ANN, conversation, NewMessage(content="hello"))
        made = text("SELECT type, name FROM sqlite_temp_master ORDER BY name")
        found = await store.database.transact(lambda connection: connection.execute(made).all())
        assert [tuple(row) for row in found] == [("trigger", "into_new_posts"), ("view", "new_posts")]
