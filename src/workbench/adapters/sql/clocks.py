"""The time by the clock that all processes share: the database's own on PostgreSQL, this machine's on SQLite."""

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.schema import Moment
from workbench.domain.clock import Clock

GIVEN_NOW = "given_now"
"""The parameter that statements are given in which `SharedNow` stands."""


class SharedNow(FunctionElement[datetime]):
    """The time when the statement is run."""

    inherit_cache = True
    name = "shared_now"
    type = Moment()

    def __init__(self) -> None:
        super().__init__(bindparam(GIVEN_NOW, type_=Moment))


@compiles(SharedNow)  # pyright: ignore[reportUnknownMemberType, reportUntypedFunctionDecorator]
def _given(element: SharedNow, compiler: Any, **options: Any) -> str:  # pyright: ignore[reportUnusedFunction]
    return compiler.process(element.clauses, **options)


@compiles(SharedNow, "postgresql")  # pyright: ignore[reportUnknownMemberType, reportUntypedFunctionDecorator]
def _own(_element: SharedNow, _compiler: Any, **_options: Any) -> str:  # pyright: ignore[reportUnusedFunction]
    return "clock_timestamp()"


_NOW = select(SharedNow())


async def shared_now(database: Database, clock: Clock) -> datetime:
    """What time it is; `clock` is this process's."""
    if database.dialect_name == "sqlite":
        return clock.now()
    return (await database.rows(_NOW, {GIVEN_NOW: clock.now()}))[0][0]
