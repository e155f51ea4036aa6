"""A database, as repositories need it: rows of one statement, and a whole transaction of many; and which one a URL opens."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeVar

from sqlalchemy import URL, Connection, Executable

from workbench.adapters.sql.chosen import Chosen
from workbench.adapters.sql.prepared import Parameters, Values
from workbench.adapters.sql.sqlite import SqliteDatabase
from workbench.adapters.sql.walls import Within, Written

T = TypeVar("T")


class Database(Protocol):
    """What the repositories and the group commit stand on.

    `within` is whose rows a statement may touch: those of a workspace, or everybody's for a registered duty. A statement
    that names rows of workspaces and does not keep to that raises UnscopedQueryError, before it is sent.
    """

    dialect_name: Literal["sqlite", "postgresql"]
    written: Written

    async def rows(
        self, statement: Executable, parameters: Parameters = None, within: Within = None
    ) -> Sequence[Values]:
        """Run one reading statement by itself."""
        ...

    async def transact(self, work: Callable[[Connection], T], within: Within = None) -> T:
        """Run the work in one transaction and commit it; an exception rolls back."""
        ...

    async def read_at_once(self, work: Callable[[Connection], T], within: Within = None) -> T:
        """Run work that only reads, and all of it from the same moment."""
        ...

    async def write(self, choose: Callable[[], Chosen[T]]) -> T:
        """Write what is chosen. It is asked for only when it can be written at once, on whatever thread that is done."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...


def open_database(
    url: URL,
    *,
    synchronous: str = "FULL",
    pool_size: int = 8,
    ssl_mode: str | None = None,
    direct_url: URL | None = None,
) -> Database:
    """Open the database that the URL names."""
    if url.get_backend_name() == "sqlite":
        return SqliteDatabase(url, synchronous)
    from workbench.adapters.sql.postgresql import PostgresDatabase  # noqa: PLC0415 - SQLite does without what it loads

    return PostgresDatabase(url, pool_size, ssl_mode, direct_url)
