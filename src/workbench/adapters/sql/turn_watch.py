"""Finding the turns of all workspaces that somebody has to look after, and forgetting what happened in them."""

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Executable, delete, or_, select, update

from workbench.adapters.sql.clocks import shared_now
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import WATCH_TURNS
from workbench.adapters.sql.repository import columns_of
from workbench.adapters.sql.turn_tables import (
    ACTIVE,
    FORGETTABLE,
    UNBILLED,
    WATCHED,
    gone_turns,
    turn_events,
    turn_snapshots,
    turns,
)
from workbench.domain.clock import Clock
from workbench.domain.turns.model import (
    CANCEL_GRACE,
    CLAIM_TIMEOUT,
    LEASE_GRACE,
    LONG_LOG_BYTES,
    LONG_LOG_EVENTS,
    GoneTurn,
)
from workbench.domain.turns.ports import DueTurn, TurnWatch

_DUE_FIELDS = DueTurn.__struct_fields__
_DUE = columns_of(turns, *_DUE_FIELDS)
FORGOTTEN_AT_ONCE = 200
"""Turns whose logs go in one transaction, at most."""


class SqlTurnWatch(TurnWatch):
    """The turns of all workspaces."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def now(self) -> datetime:
        """The database's, where it has a clock of its own."""
        return await shared_now(self._database, self._clock)

    async def watched(self, pks: Sequence[UUID], until: datetime) -> None:
        """By the primary key. A note of less is never put in the place of one of more."""
        later = or_(turns.c.watched_until.is_(None), turns.c.watched_until < until)
        statement = update(turns).where(turns.c.pk.in_(pks), ACTIVE, later).values(watched_until=until)
        await self._database.transact(lambda connection: connection.execute(statement), WATCH_TURNS)

    async def abandoned(self, now: datetime, limit: int) -> Sequence[DueTurn]:
        """By their own index."""
        statement = select(*_DUE).where(WATCHED, turns.c.watched_until < now, turns.c.cancel_requested_at.is_(None))
        return await self._due(statement.limit(limit))

    async def due(self, now: datetime, limit: int) -> Sequence[DueTurn]:
        """Along the index of active ones, by the rules of `Turn.overdue`, which decides once more on the turn itself."""
        statement = (
            select(*_DUE)
            .where(
                ACTIVE,
                or_(
                    turns.c.deadline_at < now,
                    turns.c.lease_expires_at < now - LEASE_GRACE,
                    turns.c.cancel_requested_at < now - CANCEL_GRACE,
                    (turns.c.epoch == 0)
                    & (turns.c.producer_kind == "external")
                    & (turns.c.created_at < now - CLAIM_TIMEOUT),
                ),
            )
            .order_by(turns.c.deadline_at)
            .limit(limit)
        )
        return await self._due(statement)

    async def long(self, limit: int) -> Sequence[DueTurn]:
        """Among the active ones, which are few: an index would be moved with each batch."""
        events = turns.c.last_seq - turns.c.log_floor > LONG_LOG_EVENTS
        size = turns.c.log_bytes - turns.c.folded_bytes > LONG_LOG_BYTES
        return await self._due(
            select(*_DUE).where(ACTIVE, or_(events, size)).order_by(turns.c.deadline_at).limit(limit)
        )

    async def forget_up_to(self, pk: UUID, seq: int) -> None:
        """Along the primary key."""
        gone = delete(turn_events).where(turn_events.c.turn_pk == pk, turn_events.c.seq <= seq)
        await self._database.transact(lambda connection: connection.execute(gone), WATCH_TURNS)

    async def unstarted(self, opened_before: datetime, limit: int) -> Sequence[DueTurn]:
        """Along the index of active ones. One that was opened once more is as old as it was."""
        statement = select(*_DUE).where(
            ACTIVE,
            turns.c.producer_kind == "builtin",
            turns.c.status == "opened",
            turns.c.created_at < opened_before,
        )
        return await self._due(statement.order_by(turns.c.deadline_at).limit(limit))

    async def unbilled(self, limit: int) -> Sequence[DueTurn]:
        """By their own index."""
        return await self._due(select(*_DUE).where(UNBILLED).limit(limit))

    async def _due(self, statement: Executable) -> Sequence[DueTurn]:
        rows = await self._database.rows(statement, within=WATCH_TURNS)
        return msgspec.convert([dict(zip(_DUE_FIELDS, row, strict=True)) for row in rows], list[DueTurn])

    async def gone_unbilled(self, limit: int) -> Sequence[GoneTurn]:
        """Over all of them, which are few."""
        fields = GoneTurn.__struct_fields__
        statement = select(*columns_of(gone_turns, *fields)).where(gone_turns.c.is_billed.is_(False)).limit(limit)
        rows = await self._database.rows(statement, within=WATCH_TURNS)
        return msgspec.convert([dict(zip(fields, row, strict=True)) for row in rows], list[GoneTurn])

    async def forget_gone(self, before: datetime) -> None:
        """By their own index."""
        old = delete(gone_turns).where(gone_turns.c.gone_at < before, gone_turns.c.is_billed)
        any_old = select(gone_turns.c.pk).where(gone_turns.c.gone_at < before).limit(1)
        if await self._database.rows(any_old, within=WATCH_TURNS):
            await self._database.transact(lambda connection: connection.execute(old), WATCH_TURNS)

    async def forget_events(self, before: datetime, limit: int) -> int:
        """As many turns at a time as fit, by their own index; the floor of each tells that its log is gone.

        Of a log that is longer than that the beginning goes. What another process forgets just now is passed over.
        """
        over = (
            select(turns.c.pk, turns.c.log_floor, turns.c.last_seq)
            .where(turns.c.finished_at < before, FORGETTABLE)
            .order_by(turns.c.finished_at)
            .limit(FORGOTTEN_AT_ONCE)
            .with_for_update(skip_locked=True)
        )

        def work(connection: Connection) -> int:
            found = connection.execute(over).all()
            fitting = _fitting([last - floor for _, floor, last in found], limit)
            if fitting or not found:
                _forget_whole(connection, [row[0] for row in found[:fitting]])
                return sum(last - floor for _, floor, last in found[:fitting])
            pk, floor, _ = found[0]
            connection.execute(update(turns).where(turns.c.pk == pk).values(log_floor=floor + limit))
            connection.execute(
                delete(turn_events).where(turn_events.c.turn_pk == pk, turn_events.c.seq <= floor + limit)
            )
            return limit

        return await self._database.transact(work, WATCH_TURNS)


def _fitting(sizes: Sequence[int], limit: int) -> int:
    """How many of the first together have no more than the limit."""
    return sum(total <= limit for total in accumulate(sizes))


def _forget_whole(connection: Connection, pks: Sequence[UUID]) -> None:
    if not pks:
        return
    connection.execute(update(turns).where(turns.c.pk.in_(pks)).values(log_floor=turns.c.last_seq))
    connection.execute(delete(turn_snapshots).where(turn_snapshots.c.turn_pk.in_(pks)))
    connection.execute(delete(turn_events).where(turn_events.c.turn_pk.in_(pks)))
