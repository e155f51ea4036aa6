"""Rates counted in the database, so that all replicas count together: when each caller last did each thing.

To count takes a short transaction of its own. That is for acts of people, some tens a minute; where one process has the
database to itself, its memory counts as well and costs nothing.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Index,
    PrimaryKeyConstraint,
    String,
    Table,
    and_,
    bindparam,
    delete,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import FORGET_RATES
from workbench.adapters.sql.leases import span
from workbench.adapters.sql.repository import here
from workbench.adapters.sql.schema import Json, Moment, metadata, workspace_column
from workbench.domain.identity.model import Principal
from workbench.domain.rates.model import Rate, too_often
from workbench.domain.rates.ports import RateKeeping, RateLimiter

rate_uses = Table(
    "rate_uses",
    metadata,
    workspace_column(),
    Column("caller_role", String(16), nullable=False),
    Column("caller_id", String(255), nullable=False),
    Column("act", String(64), nullable=False),
    # Seconds since 1970, the oldest first; no more than the rate allows.
    Column("times", Json, nullable=False),
    Column("last_at", Moment, nullable=False),
    PrimaryKeyConstraint("workspace_id", "caller_role", "caller_id", "act"),
    Index("ix_rate_uses_last_at", "last_at"),
    sqlite_with_rowid=False,
)

_PLACE = and_(
    here(rate_uses), *(rate_uses.c[name] == bindparam(f"of_{name}") for name in ("caller_role", "caller_id", "act"))
)
_NOTE = (
    update(rate_uses)
    .where(_PLACE)
    .values(times=bindparam("to_times", type_=Json), last_at=bindparam("now", type_=Moment))
)
_KEY = list(rate_uses.primary_key)
_OLD = (
    select(*_KEY)
    .where(rate_uses.c.last_at <= bindparam("before", type_=Moment))
    .order_by(rate_uses.c.last_at)
    .limit(bindparam("limit"))
)
_REMOVE_OLD = delete(rate_uses).where(tuple_(*_KEY).in_(_OLD))


class SqlRateLimiter(RateLimiter):
    """Counts over a moving window, by the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, principal: Principal, rate: Rate) -> None:
        """Count, unless it is one too many."""
        place = {"ws": principal.workspace_id, "of_caller_role": principal.role, "of_caller_id": principal.id}
        place["of_act"] = rate.act
        seconds = await self._database.transact(
            lambda connection: _count(connection, place, rate), principal.workspace_id
        )
        if seconds is not None:
            raise too_often(rate, seconds)


class SqlRateKeeping(RateKeeping):
    """What was counted, in all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def forget(self, before: datetime, limit: int) -> int:
        """Along the index on time."""
        place = {"before": before, "limit": limit}
        return await self._database.transact(
            lambda connection: connection.execute(_REMOVE_OLD, place).rowcount, FORGET_RATES
        )


def _count(connection: Connection, place: dict[str, Any], rate: Rate) -> float | None:
    """Count one more; answers with the seconds to wait where it is one too many."""
    now = span(connection, 0)["now"]
    row = {name.removeprefix("of_"): value for name, value in place.items() if name != "ws"}
    begun: dict[str, Any] = {"workspace_id": place["ws"], **row, "times": [], "last_at": now}
    times: list[float] = connection.execute(_begin(connection), begun).scalar_one()
    recent = [time for time in times if time > now.timestamp() - rate.seconds]
    if len(recent) >= rate.times:
        return recent[-rate.times] + rate.seconds - now.timestamp()
    connection.execute(_NOTE, {**place, "to_times": [*recent, now.timestamp()], "now": now})
    return None


def _begin(connection: Connection) -> Any:
    """Have a row, and learn what is counted; whoever comes at the same time waits here."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(rate_uses)
    touched = {"last_at": statement.excluded.last_at}
    return statement.on_conflict_do_update(index_elements=_KEY, set_=touched).returning(rate_uses.c.times)
