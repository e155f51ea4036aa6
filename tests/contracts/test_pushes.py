"""What the queue of notes to tickets promises on both databases: one worker has each, and none is lost."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import select, update
from tests.contracts.test_transactions import new_conversation
from tests.support.clocks import START
from tests.support.databases import Store, open_store
from tests.support.session_rows import CONNECTION, PUSH, SESSION, a_connection, a_push, some_session

from workbench.adapters.sql.pushes import SqlPushQueue
from workbench.adapters.sql.ticket_tables import psa_push_bodies, psa_pushes
from workbench.domain.errors import ConflictError, StaleError
from workbench.domain.ids import continue_cause
from workbench.domain.tickets.model import ClaimedPush, Push, TicketSystemError
from workbench.domain.tickets.schedule import PushPolicy, arrived, failed

LATER = START + timedelta(hours=1)
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def queue(store: Store) -> SqlPushQueue:
    conversation_id = await new_conversation(store)
    async with store.transactions.write("default") as tx:
        tx.sessions.add(some_session(SESSION, conversation_id, START))
        tx.ticket_systems.add(a_connection(START), "1:sealed")
    return SqlPushQueue(store.database)


@pytest.fixture
async def other(database_url: str) -> AsyncGenerator[SqlPushQueue]:
    """The same queue, as another replica has it."""
    async with open_store(database_url) as opened:
        yield SqlPushQueue(opened.database)


async def add(store: Store, *pushes: Push) -> None:
    async with store.transactions.write("default") as tx:
        for each in pushes:
            tx.pushes.add(each, ["cay"])


def some(number: int, **members: Any) -> Push:
    return a_push(START, id=UUID(int=1000 + number), dedupe_key=f"k{number}", marker=f"m{number}", **members)


async def settle(store: Store, claimed: ClaimedPush, after: Push) -> None:
    async with store.transactions.write("default") as tx:
        tx.pushes.settle(claimed, after)


async def stored(store: Store) -> list[Push]:
    async with store.transactions.read("default") as tx:
        return list(await tx.pushes.of_session(SESSION, 100))


async def let_leases_run_out(store: Store) -> None:
    statement = update(psa_pushes).values(lease_until=START - timedelta(days=1000))
    await store.database.transact(lambda connection: connection.execute(statement))


async def test_what_is_due_is_taken_up_with_its_body_and_counted(store: Store, queue: SqlPushQueue) -> None:
    await add(store, a_push(START), some(1, next_attempt_at=LATER))
    assert await queue.oldest() == START
    (claimed,) = await queue.claim(START, 10)
    assert (claimed.workspace_id, claimed.before, claimed.is_manual) == ("default", "pending", False)
    push = claimed.push
    assert (push.id, push.status, push.attempt_count, push.body) == (PUSH, "sending", 1, "It prints")
    assert not push.may_be_there
    assert await queue.claim(START, 10, "elsewhere") == []
    assert [each.push.id for each in await queue.claim(LATER, 10, "default")] == [UUID(int=1001)]


async def test_one_is_taken_up_with_what_caused_it(store: Store, queue: SqlPushQueue) -> None:
    await add(store, a_push(START))
    continue_cause("c" * 32, PARENT)
    await add(store, some(1))
    found = {each.push.id: (each.correlation_id, each.trace_parent) for each in await queue.claim(START, 10)}
    assert found == {PUSH: ("", None), UUID(int=1001): ("c" * 32, PARENT)}


async def test_of_many_who_race_each_goes_to_one(store: Store, queue: SqlPushQueue, other: SqlPushQueue) -> None:
    await add(store, *(some(number) for number in range(20)))
    won: list[UUID] = []

    async def race(mine: SqlPushQueue) -> None:
        while found := await mine.claim(START, 3):
            won.extend(each.push.id for each in found)

    async with asyncio.timeout(20):
        await asyncio.gather(*(race((queue, other)[number % 2]) for number in range(6)))
        while len(won) < 20:
            await race(queue)
    assert sorted(won) == [UUID(int=1000 + number) for number in range(20)]


async def test_63_one_whose_worker_died_may_be_there(store: Store, queue: SqlPushQueue, other: SqlPushQueue) -> None:
    await add(store, a_push(START))
    (dead,) = await queue.claim(START, 10)
    assert await other.claim(LATER, 10) == []
    await let_leases_run_out(store)
    (alive,) = await other.claim(START, 10)
    assert (alive.push.id, alive.push.may_be_there, alive.push.attempt_count) == (PUSH, True, 2)
    with pytest.raises(StaleError):
        await settle(store, dead, arrived(dead, "1", START))
    await settle(store, alive, arrived(alive, "1", START))
    (push,) = await stored(store)
    assert (push.status, push.external_note_id, push.may_be_there) == ("sent", "1", False)
    assert await queue.oldest() is None


@pytest.mark.parametrize("members", [{"enabled": False}, {"health": "auth_failed"}])
async def test_62_a_connection_that_cannot_be_used_keeps_its_notes_waiting(
    store: Store, queue: SqlPushQueue, members: dict[str, Any]
) -> None:
    await add(store, a_push(START))
    async with store.transactions.write("default") as tx:
        tx.ticket_systems.change(a_connection(START, **members))
    assert await queue.claim(LATER, 10) == []
    async with store.transactions.write("default") as tx:
        tx.ticket_systems.change(a_connection(START, version=1))
    assert len(await queue.claim(LATER, 10)) == 1


async def test_64_a_person_takes_one_up_that_failed_or_waits(store: Store, queue: SqlPushQueue) -> None:
    await add(store, a_push(START), some(1), some(2))
    pending, refused, slow = await queue.claim(START, 10)
    await settle(store, refused, failed(refused, TicketSystemError("refused"), PushPolicy(), START, 0.5))
    await settle(store, slow, failed(slow, TicketSystemError("unreachable"), PushPolicy(), START, 0.5))
    assert await queue.take("default", pending.push.id) is None
    assert await queue.take("elsewhere", refused.push.id) is None
    taken = [await queue.take("default", each.push.id) for each in (refused, slow)]
    told = [(each.before, each.push.manual_attempts, each.push.attempt_count) for each in taken if each]
    assert told == [("failed", 1, 1), ("pending_retry", 1, 1)]
    assert await queue.take("default", refused.push.id) is None


async def test_what_says_the_same_is_there_once(store: Store, queue: SqlPushQueue) -> None:
    await add(store, a_push(START))
    with pytest.raises(ConflictError):
        await add(store, a_push(START, id=UUID(int=9)))
    async with store.transactions.read("default") as tx:
        found = await tx.pushes.with_key("k")
    assert found is not None
    assert len(await queue.claim(START, 10)) == 1


async def test_the_body_goes_with_the_session_and_nothing_else(store: Store, queue: SqlPushQueue) -> None:
    await add(store, a_push(START))
    (claimed,) = await queue.claim(START, 1)
    await settle(store, claimed, arrived(claimed, "1", START))
    async with store.transactions.write("default") as tx:
        session = await tx.sessions.find(SESSION)
        assert session is not None
        tx.conversations.remove(session.conversation_id)
    assert await store.database.rows(select(psa_push_bodies.c.body)) == []
    (push,) = await stored(store)
    assert (push.status, push.body) == ("sent", None)


async def test_what_is_not_wanted_any_more_is_cancelled(store: Store, queue: SqlPushQueue) -> None:
    await add(store, a_push(START), some(1))
    (on_its_way,) = await queue.claim(START, 1)
    async with store.transactions.write("default") as tx:
        tx.pushes.cancel_of(SESSION)
    statuses = {each.id: each.status for each in await stored(store)}
    assert statuses[on_its_way.push.id] == "sending"
    assert sorted(statuses.values()) == ["cancelled", "sending"]


async def test_a_connection_that_is_removed_keeps_neither_name_nor_secret(store: Store, queue: SqlPushQueue) -> None:
    async with store.transactions.write("default") as tx:
        tx.ticket_systems.remove(CONNECTION, START)
    async with store.transactions.read("default") as tx:
        assert await tx.ticket_systems.find(CONNECTION) is None
        assert await tx.ticket_systems.sealed(CONNECTION) is None
        assert await tx.ticket_systems.all() == []
    with pytest.raises(StaleError):
        async with store.transactions.write("default") as tx:
            tx.ticket_systems.change(msgspec.structs.replace(a_connection(START), name="X"))
