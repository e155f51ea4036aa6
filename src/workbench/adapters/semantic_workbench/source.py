"""An existing database, read from one moment and never written to."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import JSON, URL, ColumnElement, Connection, Select, Table, Text, cast, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from workbench.adapters.semantic_workbench.tables import ADDED_LATER, legacy
from workbench.domain.errors import InvalidError, NotFoundError, UnavailableError

PAGE = 500
ARCHIVED = {"metadata": "meta_data"}
"""Columns that have another name in archives."""

Row = dict[str, Any]


class Source:
    """What the other service has stored."""

    def __init__(self, connection: AsyncConnection, lacking: frozenset[tuple[str, str]]) -> None:
        self._connection = connection
        self._lacking = lacking

    def columns(self, table: Table) -> list[ColumnElement[Any]]:
        """All columns of a table by the names that archives have, with what an older schema lacks filled in."""
        return [
            (
                ADDED_LATER[table.name, column.name]
                if (table.name, column.name) in self._lacking
                # JSON as text: what Python's decoder takes, ours may not, and that must name the row.
                else cast(column, Text)
                if isinstance(column.type, JSON)
                else column
            ).label(ARCHIVED.get(column.name, column.name))
            for column in table.columns
        ]

    async def pages(self, statement: Select[Any]) -> AsyncIterator[list[Row]]:
        """Read in pages of PAGE, with times in UTC, and without the NUL that no database of ours takes."""
        async with self._connection.stream(statement.execution_options(yield_per=PAGE)) as streamed:
            async for page in streamed.mappings().partitions(PAGE):
                # SQLAlchemy's names are of a class of their own, which msgspec takes for no text.
                yield [{f"{name}": _clean(value) for name, value in row.items()} for row in page]


@asynccontextmanager
async def open_source(url: URL, ssl_mode: str | None = None) -> AsyncGenerator[Source]:
    """Open the database for reading, as of now.

    Raises NotFoundError, UnavailableError, or InvalidError where it has not the tables that it should have.
    """
    options: dict[str, Any] = {}
    if url.get_backend_name() == "sqlite":
        url = _read_only(url)
    else:
        options = {"connect_args": {"ssl": ssl_mode}, "isolation_level": "REPEATABLE READ"}
    engine = create_async_engine(url, poolclass=NullPool, **options)
    try:
        connection = await _connected(engine.connect)
        try:
            if url.get_backend_name() == "sqlite":
                await connection.exec_driver_sql("BEGIN")
            yield Source(connection, await connection.run_sync(_lacking))
        finally:
            await connection.close()
    finally:
        await engine.dispose()


def _read_only(url: URL) -> URL:
    path = Path(url.database or "")
    if not path.is_file():
        raise NotFoundError(f"There is no file {path}", code="no_database")
    return url.set(database=f"file:{quote(str(path.absolute()))}", query={"mode": "ro", "uri": "true"})


async def _connected(connect: Any) -> AsyncConnection:
    try:
        return await connect().start()
    except (OSError, SQLAlchemyError) as error:
        reason = str(error).partition("\n")[0]
        raise UnavailableError(f"The database cannot be read: {reason}", code="database_unreachable") from error


def _lacking(connection: Connection) -> frozenset[tuple[str, str]]:
    """Find the columns that an older schema lacks; those that every one has must be there."""
    look = inspect(connection)
    there = set(look.get_table_names())
    lacking: set[tuple[str, str]] = set()
    for table in legacy.sorted_tables:
        found = {column["name"] for column in look.get_columns(table.name)} if table.name in there else set[str]()
        lacking |= {(table.name, column.name) for column in table.columns if column.name not in found}
    if unknown := sorted(f"{table}.{column}" for table, column in lacking - ADDED_LATER.keys()):
        raise InvalidError(
            f"This is not the database of a Semantic Workbench, or one too old: it lacks {', '.join(unknown[:3])}. "
            "Start the newest version of that service once, which brings its database up to date.",
            code="unknown_schema",
        )
    return frozenset(lacking)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value
