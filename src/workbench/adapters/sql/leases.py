"""Leases in SQL, on the database's own clock where it has one that all replicas share."""

import asyncio
from collections.abc import Awaitable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, delete, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.schema import Moment
from workbench.adapters.sql.tables import leases
from workbench.domain.jobs.model import LEASE_SECONDS
from workbench.domain.jobs.ports import Leases

T = TypeVar("T")

_HELD = select(leases.c.name).where(
    leases.c.holder == bindparam("by_holder"), leases.c.expires_at > bindparam("now", type_=Moment)
)
_RENEW = (
    update(leases)
    .where(leases.c.holder == bindparam("by_holder"), leases.c.expires_at > bindparam("now", type_=Moment))
    .values(expires_at=bindparam("until", type_=Moment))
)
# No lease ends that far ahead, so one that does was given by a clock that was wrong, and has been set back since.
AHEAD = timedelta(seconds=2 * LEASE_SECONDS)
_TAKE_OVER = (
    update(leases)
    .where(
        leases.c.name.in_(bindparam("names", expanding=True)),
        (leases.c.expires_at <= bindparam("now", type_=Moment))
        | (leases.c.expires_at > bindparam("too_far", type_=Moment))
        | (leases.c.holder == bindparam("by_holder")),
    )
    .values(holder=bindparam("by_holder"), expires_at=bindparam("until", type_=Moment))
)
_KNOWN = select(leases.c.name).where(leases.c.name.in_(bindparam("names", expanding=True)))
_RELEASE = delete(leases).where(
    leases.c.holder == bindparam("by_holder"), leases.c.name.in_(bindparam("names", expanding=True))
)


class SqlLeases(Leases):
    """Named leases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def acquire(self, names: Collection[str], holder: str, seconds: float) -> set[str]:
        """Take what is free."""
        if not names:
            return set()
        wanted = sorted(names)
        try:
            return await _to_its_end(
                self._database.transact(lambda connection: _acquire(connection, wanted, holder, seconds))
            )
        except asyncio.CancelledError:
            await self.release(wanted, holder)
            raise

    async def renew(self, holder: str, seconds: float) -> set[str]:
        """Prolong what is held."""

        def work(connection: Connection) -> set[str]:
            times = span(connection, seconds)
            connection.execute(_RENEW, {"by_holder": holder, **times})
            return {row[0] for row in connection.execute(_HELD, {"by_holder": holder, **times})}

        return await self._database.transact(work)

    async def release(self, names: Collection[str], holder: str) -> None:
        """Give back."""
        if names:
            place = {"by_holder": holder, "names": sorted(names)}
            await _to_its_end(self._database.transact(lambda connection: connection.execute(_RELEASE, place)))


async def _to_its_end(commit: Awaitable[T]) -> T:
    """Carry it out even where its caller is cut off meanwhile, who hears of that behind it.

    A commit that is cut short may still come about, behind whatever its caller does next, or not at all.
    """
    committing = asyncio.ensure_future(commit)
    try:
        return await asyncio.shield(committing)
    except asyncio.CancelledError:
        await asyncio.gather(committing, return_exceptions=True)
        raise


def _acquire(connection: Connection, names: list[str], holder: str, seconds: float) -> set[str]:
    times = span(connection, seconds)
    place = {"names": names, "by_holder": holder, "too_far": times["now"] + AHEAD}
    connection.execute(_TAKE_OVER, {**place, **times})
    known = {row[0] for row in connection.execute(_KNOWN, {"names": names})}
    new = [{"name": name, "holder": holder, "expires_at": times["until"]} for name in names if name not in known]
    if new:
        connection.execute(_insert_new(connection), new)
    held = {row[0] for row in connection.execute(_HELD, {"by_holder": holder, **times})}
    return held & set(names)


def _insert_new(connection: Connection) -> Any:
    """Insert, and leave it to whoever was quicker."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(leases).on_conflict_do_nothing()


def span(connection: Connection, seconds: float) -> dict[str, datetime]:
    """The time now and the end of what begins now; replicas on PostgreSQL may disagree on the time, their database does not."""
    if connection.dialect.name == "postgresql":
        now = connection.execute(text("SELECT now()")).scalar_one()
    else:
        now = datetime.now(UTC)
    return {"now": now, "until": now + timedelta(seconds=seconds)}
