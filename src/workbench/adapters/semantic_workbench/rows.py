"""Rows of ours as a move writes them, what was there already left alone, and as it finds them again."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, Text, select, tuple_, type_coerce
from sqlalchemy.dialects import postgresql, sqlite

from workbench.adapters.semantic_workbench.source import Row
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import MOVE_IN
from workbench.adapters.sql.schema import Json
from workbench.adapters.sql.whole_tables import Tally, neutral


def add_missing(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert those rows whose key is not there yet."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)


class Comparing:
    """Counts rows as they should be, and those that have their keys."""

    def __init__(self, table: Table, *, by_key: bool = False) -> None:
        """`by_key`: it is enough that each is there."""
        self._table = table
        self._key = list(table.primary_key.columns)
        self._by_key = by_key
        self.expected = Tally()
        self.found = Tally()

    async def take(self, database: Database, rows: Sequence[Row]) -> None:
        """Look for the rows' keys."""
        names = [column.name for column in self._key] if self._by_key else list(rows[0])
        columns = [self._table.c[name] for name in names]
        # A key whose parts are the same for all rows of a page is not repeated for each.
        varying = [column for column in self._key if len({row[column.name] for row in rows}) > 1] or self._key[-1:]
        fixed = [column == rows[0][column.name] for column in self._key if column not in varying]
        keys = [tuple(row[column.name] for column in varying) for row in rows]
        read = [type_coerce(column, Text) if isinstance(column.type, Json) else column for column in columns]
        statement = select(*read).where(*fixed, tuple_(*varying).in_(keys))
        self.expected.take([_text(row[name]) for name in names] for row in rows)
        self.found.take(
            [neutral(column, value) for column, value in zip(columns, row, strict=True)]
            for row in await database.rows(statement, within=MOVE_IN)
        )


def _text(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value
