"""Whole tables, page by page in the order of their keys, with values that mean the same on either database."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    Column,
    Connection,
    Table,
    Text,
    bindparam,
    func,
    insert,
    literal,
    select,
    true,
    tuple_,
    type_coerce,
)

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import COPY_DATABASE
from workbench.adapters.sql.schema import Id, Json, Moment
from workbench.adapters.sql.tables import assistant_services
from workbench.domain.identity.model import EVERYWHERE
from workbench.domain.moving.model import Comparison

PAGE = 1000
SUM_BYTES = 16
SUM_MODULUS = 1 << (8 * SUM_BYTES)

Values = tuple[Any, ...]


class Tally:
    """Counts rows and adds up their hashes, so that the order in which they come does not matter."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def take(self, rows: Iterable[Sequence[Any]]) -> None:
        """Count them."""
        for row in rows:
            digest = hashlib.blake2b(msgspec.json.encode(row), digest_size=SUM_BYTES).digest()
            self._sum = (self._sum + int.from_bytes(digest, "big")) % SUM_MODULUS
            self.rows += 1

    @property
    def sum(self) -> str:
        """The sum in hexadecimal digits."""
        return self._sum.to_bytes(SUM_BYTES, "big").hex()

    def compared(self, name: str, target: "Tally") -> Comparison:
        """Set this, of the source, beside what the target has."""
        return Comparison(
            name=name, source_rows=self.rows, target_rows=target.rows, source_sum=self.sum, target_sum=target.sum
        )


class WholeTable:
    """A table of ours with all its rows, of every workspace."""

    def __init__(self, table: Table) -> None:
        self.name = f"{table.name}"
        self._table = table
        self._key = list(table.primary_key.columns)
        # What belongs to all workspaces comes with the schema.
        self._own = table.c.workspace_id != EVERYWHERE if table is assistant_services else true()
        self._places = [table.columns.keys().index(column.name) for column in self._key]
        # JSON passes as the text that it is: decoded and encoded again, it might not be the same to the byte.
        read = [type_coerce(column, Text) if isinstance(column.type, Json) else column for column in table.columns]
        self._select = select(*read).where(self._own).order_by(*self._key)
        self._insert = insert(table).values(
            {column: bindparam(f"v{place}", type_=_written(column.type)) for place, column in enumerate(table.columns)}
        )

    async def count(self, database: Database) -> int:
        """How many rows there are."""
        counting = select(func.count()).select_from(self._table).where(self._own)
        return int((await database.rows(counting, within=COPY_DATABASE))[0][0])

    async def pages(self, database: Database) -> AsyncIterator[list[Values]]:
        """All rows in the order of their keys, which is the same each time, though not on each database."""
        after: Values | None = None
        while True:
            statement = self._select.limit(PAGE)
            if after is not None:
                here = [
                    literal(after[place], column.type) for place, column in zip(self._places, self._key, strict=True)
                ]
                statement = statement.where(tuple_(*self._key) > tuple_(*here))
            found = await database.rows(statement, within=COPY_DATABASE)
            page = [tuple(map(neutral, self._table.columns, row)) for row in found]
            if page:
                yield page
            if len(page) < PAGE:
                return
            after = page[-1]

    async def add(self, database: Database, page: Sequence[Values]) -> None:
        """Insert a page in one transaction."""
        rows = [{f"v{place}": value for place, value in enumerate(values)} for values in page]

        def work(connection: Connection) -> None:
            connection.execute(self._insert, rows)

        await database.transact(work, COPY_DATABASE)

    async def tally(self, database: Database) -> Tally:
        """Read all of it."""
        tally = Tally()
        async for page in self.pages(database):
            tally.take(page)
        return tally


def neutral(column: Column[Any], value: Any) -> Any:
    """What both databases mean by a value as one of them has it."""
    if isinstance(value, str) and isinstance(column.type, Id):
        return UUID(value)
    if isinstance(column.type, Moment) and value is not None:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.astimezone(UTC)
    return value


def _written(kind: Any) -> Any:
    return Text() if isinstance(kind, Json) else kind
