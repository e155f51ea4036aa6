"""Forgetting what happened in turns that are over: it keeps up with many, in few statements and short steps."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, func, insert, select
from tests.contracts.test_transactions import new_conversation
from tests.support.databases import Store
from tests.support.turn_rows import an_event, some_turn

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.turn_tables import turn_events, turns
from workbench.adapters.sql.turn_watch import SqlTurnWatch
from workbench.domain.ids import new_id
from workbench.domain.turns.model import Turn
from workbench.domain.turns.reaping import ReapingService

ROUND_SECONDS = 15
"""How often it is looked after turns."""
LONG_AGO = timedelta(days=1)


class Counting:
    """A database that counts transactions, and what each of them did."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.dialect_name = database.dialect_name
        self.steps: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def transact(self, work: Any, within: Any = None) -> Any:
        counted: list[int] = []

        class Watched:
            def __init__(self, connection: Connection) -> None:
                self.connection = connection

            def execute(self, statement: Any) -> Any:
                outcome = self.connection.execute(statement)
                counted.append(outcome.rowcount if statement.is_dml else 0)
                return outcome

        done = await self._database.transact(lambda connection: work(Watched(connection)), within)
        self.steps.append(sum(counted))
        self.statements = getattr(self, "statements", 0) + len(counted)
        return done


async def ended(store: Store, logs: Sequence[int]) -> list[UUID]:
    """Turns that ended long ago, with logs of so many events."""
    conversation_id, now = await new_conversation(store), store.clock.now()
    made: list[Turn] = [
        msgspec.structs.replace(
            some_turn(conversation_id, new_id(), now),
            turn_id=f"t{number}",
            status="finalized",
            finished_at=now - LONG_AGO + timedelta(seconds=number),
            last_seq=size,
        )
        for number, size in enumerate(logs)
    ]
    names = [column.name for column in turns.c if column.name in Turn.__struct_fields__]
    rows = [{"workspace_id": "default", **{name: getattr(turn, name) for name in names}} for turn in made]
    events = [
        {"workspace_id": "default", "turn_pk": turn.pk, **msgspec.structs.asdict(an_event(seq, now))}
        for turn, size in zip(made, logs, strict=True)
        for seq in range(1, size + 1)
    ]

    def work(connection: Connection) -> None:
        connection.execute(insert(turns), rows)
        connection.execute(insert(turn_events), events)

    await store.database.transact(work)
    return [turn.pk for turn in made]


async def left(store: Store) -> int:
    return (await store.database.rows(select(func.count()).select_from(turn_events)))[0][0]


async def test_a_round_forgets_what_a_hundred_turns_a_second_leave(store: Store) -> None:
    await ended(store, [20] * (100 * ROUND_SECONDS))
    counting: Any = Counting(store.database)
    await ReapingService(store.transactions, SqlTurnWatch(counting, store.clock), store.clock).round()
    assert await left(store) == 0
    turns_left = select(func.count()).select_from(turns).where(turns.c.log_floor < turns.c.last_seq)
    assert (await store.database.rows(turns_left))[0][0] == 0
    steps = [step for step in counting.steps if step]
    assert max(steps) <= 5000 + 200  # the events of a step, and the turns that they are of
    assert counting.statements <= 4 * 10


async def test_a_log_that_is_too_long_for_one_step_goes_bit_by_bit(store: Store) -> None:
    long, short = await ended(store, [250, 30])
    watch = SqlTurnWatch(store.database, store.clock)
    before = store.clock.now() - timedelta(hours=1)
    floors: list[int] = []
    found: list[int] = []
    while forgotten := await watch.forget_events(before, 100):
        found.append(forgotten)
        floors.append((await store.database.rows(select(turns.c.log_floor).where(turns.c.pk == long)))[0][0])
        events = select(func.min(turn_events.c.seq)).where(turn_events.c.turn_pk == long)
        assert (await store.database.rows(events))[0][0] in {floors[-1] + 1, None}
    assert (found, floors) == ([100, 100, 80], [100, 200, 250])
    assert await left(store) == 0
    assert short != long


async def test_what_ended_just_now_is_kept(store: Store) -> None:
    await ended(store, [3])
    watch = SqlTurnWatch(store.database, store.clock)
    assert await watch.forget_events(store.clock.now() - 2 * LONG_AGO, 100) == 0
    assert await left(store) == 3
