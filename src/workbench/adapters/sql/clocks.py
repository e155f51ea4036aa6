"""The time by the clock that all processes share: the database's own on PostgreSQL, this machine's on SQLite."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import bindparam, select

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.schema import Moment
from workbench.adapters.sql.terms import Term
from workbench.domain.clock import Clock

GIVEN_NOW = "given_now"
"""The parameter that statements are given in which `SharedNow` stands."""


class SharedNow(Term[datetime]):
    """The time when the statement is run."""

    inherit_cache = True
    name = "shared_now"
    type = Moment()

    def __init__(self) -> None:
        super().__init__(bindparam(GIVEN_NOW, type_=Moment))

    def on_postgresql(self, given: Callable[[], str]) -> str:  # noqa: ARG002 - it has a clock itself
        """The database's own."""
        return "clock_timestamp()"


_NOW = select(SharedNow())


async def shared_now(database: Database, clock: Clock) -> datetime:
    """What time it is; `clock` is this process's."""
    if database.dialect_name == "sqlite":
        return clock.now()
    return (await database.rows(_NOW, {GIVEN_NOW: clock.now()}))[0][0]
