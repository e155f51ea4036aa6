"""Batches of answers in the database: what they cost, and that each is taken once and over what is true."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, Executable, func, select, update
from sqlalchemy.engine import make_url
from tests.contracts.test_transactions import message, new_conversation, post
from tests.support.clocks import SettableClock
from tests.support.databases import Store, open_store
from tests.support.turn_rows import some_turn

from workbench.adapters.sql.advancing import take_steps
from workbench.adapters.sql.database import Database, open_database
from workbench.adapters.sql.turn_tables import turn_events, turns
from workbench.adapters.sql.turn_watch import SqlTurnWatch
from workbench.adapters.sql.walls import Within
from workbench.adapters.sql.writes import Step
from workbench.domain.errors import ConflictError, NotFoundError, StaleError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.turns.model import Turn, logged
from workbench.domain.turns.producing import ProducingService
from workbench.domain.turns.shapes import Batch, BatchTaken, LeaseRequest
from workbench.domain.turns.shortening import ShorteningService
from workbench.domain.usage.bookkeeping import Bookkeeping
from workbench.domain.usage.prices import PriceTable


class Meter:
    """Nobody is billed here."""

    def usage_refused(self, source: str) -> None:
        raise AssertionError(source)


class Counting:
    """A database that counts what is read from it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = 0

    async def rows(self, statement: Executable, parameters: Any = None, within: Within = None) -> Sequence[Any]:
        self.reads += 1
        return await self._database.rows(statement, parameters, within)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


@pytest.fixture
async def counted(database_url: str) -> AsyncGenerator[Store]:
    database = open_database(make_url(database_url), ssl_mode="disable")
    store = Store(Counting(database), SettableClock())  # type: ignore[arg-type]
    yield store
    await store.group.close()
    await database.close()


def producing(store: Store) -> ProducingService:
    shortening = ShorteningService(store.transactions, SqlTurnWatch(store.database, store.clock))
    books = Bookkeeping(PriceTable(()), Meter(), store.clock)
    return ProducingService(store.transactions, books, shortening, store.clock)


def maker(turn: Turn) -> Principal:
    return Principal(workspace_id="default", role="assistant", id=str(turn.assistant_id), service_id="s")


async def claimed_turn(store: Store) -> Turn:
    turn = some_turn(await new_conversation(store), new_id(), store.clock.now())
    async with store.transactions.write("default") as tx:
        tx.turns.add(turn)
    wanted = LeaseRequest(producer_id="p")
    await producing(store).lease(maker(turn), turn.conversation_id, turn.turn_id, wanted)
    return turn


async def add(store: Store, turn: Turn, batch: int, epoch: int = 1, **event: Any) -> BatchTaken:
    event = event or {"type": "text.delta", "id": "t", "delta": f"{batch} "}
    new = Batch(epoch=epoch, batch=batch, events=[event])
    return await producing(store).add(maker(turn), turn.conversation_id, turn.turn_id, new)


async def said(store: Store, turn: Turn) -> str:
    async with store.transactions.read("default") as tx:
        events = await tx.turns.events(turn.pk, 0, 1000)
    found = [msgspec.json.decode(event.data) for event in events if event.type == "text.delta"]
    assert [each["seq"] for each in found] == [event.seq for event in events if event.type == "text.delta"]
    return "".join(each["delta"] for each in found)


async def test_a_batch_that_follows_on_is_one_trip(counted: Store) -> None:
    turn = await claimed_turn(counted)
    await add(counted, turn, 1)
    database: Any = counted.database
    reads, before = database.reads, msgspec.structs.replace(database.written)
    for batch in range(2, 12):
        await add(counted, turn, batch)
    statements = database.written.statements - before.statements
    assert (database.reads - reads, database.written.commits - before.commits) == (0, 10)
    assert statements == 10
    assert await said(counted, turn) == "".join(f"{number} " for number in range(1, 12))


async def test_a_batch_is_taken_after_a_commit_that_failed_with_the_first(store: Store, database_url: str) -> None:
    """On SQLite what the first needs is made where it is stored, and is gone with a transaction that fails."""
    turn = await claimed_turn(store)
    await add(store, turn, 1)
    async with open_store(database_url, store.clock) as later:
        step = Step("default", msgspec.structs.replace(turn, version=-1), ())

        def fail(connection: Connection) -> None:
            take_steps(connection, [step])

        with pytest.raises(StaleError):
            await later.database.transact(fail, "default")
        await add(later, turn, 2)
        assert await said(later, turn) == "1 2 "


async def test_batches_of_many_turns_at_once_share_statements(store: Store) -> None:
    made = [await claimed_turn(store) for _ in range(40)]
    await asyncio.gather(*(add(store, turn, 1) for turn in made))
    before = msgspec.structs.replace(store.database.written)
    await asyncio.gather(*(add(store, turn, 2) for turn in made))
    commits = store.database.written.commits - before.commits
    assert commits <= 3
    assert store.database.written.statements - before.statements == commits
    assert {await said(store, turn) for turn in made} == {"1 2 "}


async def test_messages_and_batches_at_once_each_go_their_own_way(store: Store) -> None:
    turn = await claimed_turn(store)
    batches = [add(store, turn, 1, type="usage.call", call_id="c", model="m", prompt_tokens=1, completion_tokens=1)]
    others = [await claimed_turn(store) for _ in range(5)]
    batches += [add(store, other, 1) for other in others]
    posts = [post(store, turn.conversation_id, message(store, str(n))) for n in range(5)]
    await asyncio.gather(*batches, *posts)
    async with store.transactions.read("default") as tx:
        assert [call.call_id for call in await tx.usage.calls_of_turn(turn.pk)] == ["c"]
        found = await tx.turns.find(turn.conversation_id, turn.turn_id)
        assert found is not None
        assert found.last_batch == 1
        assert await tx.events.conversation_head(turn.conversation_id) == 7
    assert {await said(store, other) for other in others} == {"1 "}


async def test_a_step_over_what_another_changed_is_stale_and_stores_nothing(store: Store) -> None:
    behind, others = await claimed_turn(store), [await claimed_turn(store) for _ in range(5)]

    async def step(turn: Turn, barrier: asyncio.Barrier) -> None:
        async with store.transactions.write("default") as tx:
            read = await tx.turns.find(turn.conversation_id, turn.turn_id)
            assert read is not None
            await barrier.wait()
            tx.turns.advance(*logged(read, [("text.delta", {"delta": "a"})], store.clock.now()))

    barrier = asyncio.Barrier(7)
    steps = [step(turn, barrier) for turn in (behind, behind, *others)]
    outcomes = await asyncio.gather(*steps, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes[:2]) == ["NoneType", "StaleError"]
    assert outcomes[2:] == [None] * 5
    rows = await store.database.rows(
        select(turns.c.version, func.count())
        .join(turn_events, turn_events.c.turn_pk == turns.c.pk)
        .group_by(turns.c.pk)
    )
    # The claim, and one step; what each has told of: its start, and the step.
    assert [tuple(row) for row in rows] == [(2, 2)] * 6


async def test_the_same_batch_at_once_is_taken_once(store: Store) -> None:
    turn = await claimed_turn(store)
    await add(store, turn, 1)
    taken = await asyncio.gather(*(add(store, turn, 2) for _ in range(8)))
    assert sorted(each.duplicate for each in taken) == [False] + [True] * 7
    assert {each.next_batch for each in taken} == {3}
    assert await said(store, turn) == "1 2 "


async def test_what_another_process_did_counts_for_who_has_the_turn_in_mind(database_url: str) -> None:
    clock = SettableClock()
    async with open_store(database_url, clock) as one, open_store(database_url, clock) as two:
        turn = await claimed_turn(one)
        await add(one, turn, 1)
        await add(two, turn, 2)
        # By what the first has in mind this would be the next one.
        assert (await add(one, turn, 2)).duplicate
        await add(one, turn, 3)
        await add(two, turn, 4)
        with pytest.raises(ConflictError) as gap:
            await add(one, turn, 6)
        assert gap.value.error_code == "batch_gap"
        expired = update(turns).values(lease_expires_at=clock.now() - timedelta(days=1))
        await two.database.transact(lambda connection: connection.execute(expired))
        granted = await producing(two).lease(
            maker(turn), turn.conversation_id, turn.turn_id, LeaseRequest(producer_id="q", mode="continue")
        )
        assert granted.epoch == 2
        with pytest.raises(ConflictError) as stale:
            await add(one, turn, 5)
        assert stale.value.error_code == "stale_epoch"
        await add(one, turn, 1, epoch=2)
        assert await said(one, turn) == "1 2 3 4 1 "


async def test_a_turn_in_mind_that_is_gone_takes_no_batch(database_url: str) -> None:
    async with open_store(database_url) as one, open_store(database_url) as two:
        turn = await claimed_turn(one)
        await add(one, turn, 1)
        async with two.transactions.write("default") as tx:
            tx.conversations.remove(turn.conversation_id)
        with pytest.raises(NotFoundError):
            await add(one, turn, 2)
        assert (await one.database.rows(select(func.count()).select_from(turn_events)))[0][0] == 0


async def test_only_its_maker_adds_to_a_turn_in_mind(store: Store) -> None:
    turn = await claimed_turn(store)
    await add(store, turn, 1)
    other = Principal(workspace_id="default", role="service", id="another", service_id="another")
    batch = Batch(epoch=1, batch=2, events=[{"type": "text.delta", "id": "t", "delta": "x"}])
    with pytest.raises(NotFoundError):
        await producing(store).add(other, turn.conversation_id, turn.turn_id, batch)
    elsewhere = msgspec.structs.replace(maker(turn), workspace_id="elsewhere")
    with pytest.raises(NotFoundError):
        await producing(store).add(elsewhere, turn.conversation_id, turn.turn_id, batch)
    assert await said(store, turn) == "1 "
