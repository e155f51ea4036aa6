"""Statements compiled once and run by the driver.

SQLAlchemy writes every statement, knows both dialects and says how values are bound and read; what is saved is
its work per call, which for a short statement is a multiple of the database's own (measured, a point read: 18
against 6 us on SQLite, 110 against 40 on PostgreSQL). So statements are built once, as constants of their module.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Dialect, Executable, Float, Insert, Select, TextClause, Update
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.util import await_only

from workbench.adapters.sql.counting import count_statement
from workbench.adapters.sql.walls import (
    Within,
    Written,
    place_in,
    require_scoped,
    require_scoped_on,
    tenant_tables_in,
)

Row = Mapping[str, Any]
Parameters = Row | None
Processor = Callable[[Any], Any] | None
Values = Sequence[Any]
"""A row of an answer: its columns by place."""

POSTGRESQL = "postgresql"
STATEMENT_CACHE = 1000
"""How many statements SQLAlchemy keeps in its own cache, of those that it runs itself."""


class Compiled:
    """A statement in the words of one dialect: its text, its parameters, and how its rows are read."""

    def __init__(self, compiled: SQLCompiler, dialect: Dialect, names: Sequence[str] = ()) -> None:
        """Take a compiled statement; `names` are its parameters where it does not say so itself."""
        self.text = str(compiled)
        order: Sequence[str] = getattr(compiled, "positiontup", None) or names
        self._binds = [_bind(compiled, name, dialect) for name in order]
        self.tables = tenant_tables_in(self.text)
        self.place = place_in(order)
        columns: Sequence[Any] = getattr(compiled, "_result_columns", ())
        readers = [_reader(column[3], dialect) for column in columns]
        self._readers = [(place, read) for place, read in enumerate(readers) if read is not None]

    def require_scoped(self, row: Row, within: Within, written: Written) -> None:
        """Require that it keeps to the workspace that it is run for. Raises UnscopedQueryError."""
        require_scoped(self.tables, self.place, (row,), within, written)

    def parameters(self, row: Row) -> tuple[Any, ...]:
        """Put the values in order, each as the driver takes it."""
        return tuple(
            [
                constant if name is None else row[name] if process is None else process(row[name])
                for name, process, constant in self._binds
            ]
        )

    def read(self, rows: Sequence[Values]) -> Sequence[Values]:
        """Turn what the driver gave into what the columns' types mean."""
        if not self._readers:
            return rows
        return [self._read_row(row) for row in rows]

    def _read_row(self, row: Values) -> Values:
        values = list(row)
        for place, read in self._readers:
            values[place] = read(values[place])
        return values


class Statements:
    """The reading statements of one database, each compiled when it is first run.

    Lists of varying length (`IN`) are written anew for each length, so those are left to SQLAlchemy.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: WeakKeyDictionary[Executable, Compiled | None] = WeakKeyDictionary()

    def find(self, statement: Executable) -> Compiled | None:
        """Find the compiled form; None where SQLAlchemy must run the statement."""
        try:
            return self._known[statement]
        except KeyError:
            self._known[statement] = found = self._compile(statement)
            return found

    def _compile(self, statement: Any) -> Compiled | None:
        if isinstance(statement, TextClause):
            return None
        compiled: Any = statement.compile(dialect=self._dialect)
        return None if compiled.post_compile_params else Compiled(compiled, self._dialect)


class Prepared:
    """A statement of transactions for either dialect, compiled when it is first run there.

    It raises the driver's own errors, not SQLAlchemy's.
    """

    def __init__(self, statement: Insert | Update | Select[Any] | TextClause, *names: str) -> None:
        """`names` are the parameters, or the columns of an insert."""
        self._statement = statement
        self._names = names
        self._compiled: dict[str, Compiled] = {}

    def many(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Run once for each row; says how many rows that hit, or -1 on PostgreSQL, whose driver does not tell."""
        count_statement(connection)
        compiled = self.compiled(connection.dialect)
        require_scoped_on(connection, compiled.tables, compiled.place, rows)
        values = [compiled.parameters(row) for row in rows]
        driver: Any = connection.connection.driver_connection
        if connection.dialect.name == POSTGRESQL:
            await_only(driver.executemany(compiled.text, values))
            return -1
        return driver.executemany(compiled.text, values).rowcount

    def one(self, connection: Connection, row: Row) -> Sequence[Values]:
        """Run once, and answer with all rows that it returns."""
        count_statement(connection)
        compiled = self.compiled(connection.dialect)
        require_scoped_on(connection, compiled.tables, compiled.place, (row,))
        values = compiled.parameters(row)
        driver: Any = connection.connection.driver_connection
        if connection.dialect.name == POSTGRESQL:
            return await_only(driver.fetch(compiled.text, *values))
        return driver.execute(compiled.text, values).fetchall()

    def compiled(self, dialect: Dialect) -> Compiled:
        """Give it in the words of one dialect."""
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled: Any = self._statement.compile(dialect=dialect, column_keys=list(self._names))
            found = self._compiled[dialect.name] = Compiled(compiled, dialect, self._names)
        return found


def _bind(compiled: SQLCompiler, name: str, dialect: Dialect) -> tuple[str | None, Processor, Any]:
    """Say where a parameter comes from: a name to look up, or a constant that the statement brought along."""
    bind = compiled.binds[name]
    process: Processor = bind.type.dialect_impl(dialect).bind_processor(dialect)
    if bind.required or isinstance(compiled.statement, Insert):
        return name, process, None
    return None, None, bind.value if process is None else process(bind.value)


def _reader(kind: Any, dialect: Dialect) -> Processor:
    # Drivers give floats as such; SQLAlchemy wants to know of the driver's type here, which only a connection has.
    return None if isinstance(kind, Float) else kind.dialect_impl(dialect).result_processor(dialect, None)
