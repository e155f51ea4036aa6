"""Statements compiled once and run by the driver.

SQLAlchemy writes every statement, knows both dialects and says how values are bound and read; what is saved is
its work per call, which for a short statement is a multiple of the database's own (measured, a point read: 18
against 6 us on SQLite, 110 against 40 on PostgreSQL). So statements are built once, as constants of their module.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, repeat
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import BindParameter, Connection, Dialect, Executable, Float, Insert, Select, TextClause, Update
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.sqltypes import TupleType
from sqlalchemy.util import await_only

from workbench.adapters.memory import Memory
from workbench.adapters.sql.schema import Json, Processor
from workbench.adapters.sql.walls import (
    UnscopedQueryError,
    Within,
    Written,
    ledger_of,
    place_in,
    require_scoped,
    tenant_tables_in,
)

Row = Mapping[str, Any]
Parameters = Row | None
Bind = tuple[str | None, Processor, Any]
"""The name that a parameter is looked up by, and how it is turned into what the driver takes; or else a constant."""
ColumnReader = Callable[[Iterable[Any]], Iterable[Any]]
"""Turns what the driver gave for a column into what its type means."""
Values = Sequence[Any]
"""A row of an answer: its columns by place."""

POSTGRESQL = "postgresql"
STATEMENT_CACHE = 1000
"""How many statements SQLAlchemy keeps in its own cache, of those that it runs itself."""
MAX_LENGTH = 512
"""Longer lists are left to SQLAlchemy, whose work is little then beside the database's own."""
KNOWN_LENGTHS = 32
SAYS_WHERE, REFUSES = "NEW.workspace_id", "RAISE("


class Compiled:
    """A statement in the words of one dialect: its text, its parameters, and how its rows are read."""

    def __init__(
        self, compiled: SQLCompiler, dialect: Dialect, text: str, order: Sequence[str], binds: Sequence[Bind]
    ) -> None:
        """Take a compiled statement, its final text, and its parameters in their order with where each comes from."""
        self.text = text
        self._names = [name for name, _, _ in binds if name is not None]
        self._constants = [(place, constant) for place, (name, _, constant) in enumerate(binds) if name is None]
        self._processes = [(place, process) for place, (_, process, _) in enumerate(binds) if process is not None]
        self.tables = tenant_tables_in(text)
        self.place = place_in(order)
        columns: Sequence[Any] = getattr(compiled, "_result_columns", ())
        readers = [_reader(column[3], dialect) for column in columns]
        self._readers = [(place, read) for place, read in enumerate(readers) if read is not None]

    def require_scoped(self, row: Row, within: Within, written: Written) -> None:
        """Require that it keeps to the workspace that it is run for. Raises UnscopedQueryError."""
        require_scoped(self.tables, self.place, (row,), within, written)

    def parameters(self, row: Row) -> list[Any]:
        """Put the values in order, each as the driver takes it."""
        values = list(map(row.__getitem__, self._names))
        for place, constant in self._constants:
            values.insert(place, constant)
        for place, process in self._processes:
            values[place] = process(values[place])
        return values

    def read(self, rows: Sequence[Values]) -> Sequence[Values]:
        """Turn what the driver gave into what the columns' types mean, a column at a time."""
        if not self._readers or not rows:
            return rows
        columns: list[Any] = list(zip(*rows, strict=True))
        for place, read in self._readers:
            columns[place] = read(columns[place])
        return list(zip(*columns, strict=True))


class Spread(Compiled):
    """A statement with lists (`IN`), of so many members each; a shorter list is filled up with its last member."""

    def __init__(self, compiled: SQLCompiler, dialect: Dialect, lengths: Mapping[str, int]) -> None:
        nothing = {name: [None] * lengths[name] if name in lengths else None for name in compiled.binds}
        state = compiled.construct_expanded_state(nothing)
        order = state.positiontup or ()
        self._members = state.parameter_expansion
        lists = {member: name for name, members in self._members.items() for member in members}
        binds = [
            (name, _processor(compiled.binds[lists[name]], dialect), None)
            if name in lists
            else _bind(compiled, name, dialect)
            for name in order
        ]
        self._own = _own_lists(compiled)
        super().__init__(compiled, dialect, state.statement, order, binds)

    def parameters(self, row: Row) -> list[Any]:
        """Put the values in order, each as the driver takes it."""
        spread = {**self._own, **row}
        for name, members in self._members.items():
            given = list(spread[name])
            spread.update(zip(members, chain(given, repeat(given[-1]) if given else ()), strict=False))
        return super().parameters(spread)


class Lists:
    """A statement with lists, compiled for the lengths that come: as many as the next power of two, so that they are few.

    It does not hold the statement, by which it is found, and so goes with it.
    """

    def __init__(self, compiled: SQLCompiler, dialect: Dialect) -> None:
        self._dialect = dialect
        self._names = [name for name, bind in compiled.binds.items() if bind.expanding]
        self._own = _own_lists(compiled)
        self._known = Memory[tuple[int, ...], Spread](KNOWN_LENGTHS)

    def find(self, statement: Any, row: Row) -> Spread | None:
        """Find it for lists as long as these; None where one is too long to be worth it."""
        given = {**self._own, **row} if self._own else row
        lengths = tuple([_power_of_two(len(given[name])) for name in self._names])
        if any(length > MAX_LENGTH for length in lengths):
            return None
        found = self._known.find(lengths)
        if found is None:
            compiled: Any = statement.compile(dialect=self._dialect)
            found = Spread(compiled, self._dialect, dict(zip(self._names, lengths, strict=True)))
            self._known.keep(lengths, found)
        return found


class Statements:
    """The reading statements of one database, each compiled when it is first run."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: WeakKeyDictionary[Executable, Compiled | Lists | None] = WeakKeyDictionary()

    def find(self, statement: Executable, parameters: Row) -> Compiled | None:
        """Find the compiled form; None where SQLAlchemy must run the statement."""
        try:
            found = self._known[statement]
        except KeyError:
            self._known[statement] = found = self._compile(statement)
        return found.find(statement, parameters) if isinstance(found, Lists) else found

    def _compile(self, statement: Any) -> Compiled | Lists | None:
        if isinstance(statement, TextClause):
            return None
        compiled: Any = statement.compile(dialect=self._dialect)
        if not compiled.post_compile_params:
            return _as_it_is(compiled, self._dialect, ())
        return Lists(compiled, self._dialect) if all(map(_is_list, compiled.post_compile_params)) else None


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
        ledger = ledger_of(connection)
        ledger.sent += 1
        compiled = self.compiled(connection.dialect)
        ledger.require_scoped(compiled.tables, compiled.place, rows)
        values = [compiled.parameters(row) for row in rows]
        if connection.dialect.name == POSTGRESQL:
            await_only(ledger.driver.executemany(compiled.text, values))
            return -1
        return ledger.driver.executemany(compiled.text, values).rowcount

    def one(self, connection: Connection, row: Row) -> Sequence[Values]:
        """Run once, and answer with all rows that it returns."""
        ledger = ledger_of(connection)
        ledger.sent += 1
        compiled = self.compiled(connection.dialect)
        ledger.require_scoped(compiled.tables, compiled.place, (row,))
        values = compiled.parameters(row)
        if connection.dialect.name == POSTGRESQL:
            return await_only(ledger.driver.fetch(compiled.text, *values))
        return ledger.driver.execute(compiled.text, values).fetchall()

    def compiled(self, dialect: Dialect) -> Compiled:
        """Give it in the words of one dialect."""
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled: Any = self._statement.compile(dialect=dialect, column_keys=list(self._names))
            found = self._compiled[dialect.name] = _as_it_is(compiled, dialect, self._names)
        return found


class Triggering(Prepared):
    """An INSERT into a view of SQLite's, with what the view's trigger does instead.

    View and trigger are temporary, and so a connection's own: it makes them where they may be missing. The wall
    sees the statement alone, so each of the trigger's must be about `NEW.workspace_id`. Raises UnscopedQueryError.
    """

    def __init__(self, statement: TextClause, *, view: str, columns: Iterable[str], trigger: str) -> None:
        """`columns` are the view's, by which the trigger has what is inserted; `trigger` are statements."""
        super().__init__(statement)
        for step in filter(str.strip, trigger.split(";")):
            if SAYS_WHERE not in step and REFUSES not in step:
                raise UnscopedQueryError(f"A step of a trigger does not keep to a workspace: {step.strip()}")
        self.trigger = trigger
        self._view = view
        nothing = ", ".join(f"NULL AS {column}" for column in columns)
        self._makes = (
            f"CREATE TEMP VIEW IF NOT EXISTS {view} AS SELECT {nothing}",
            f"CREATE TEMP TRIGGER IF NOT EXISTS into_{view} INSTEAD OF INSERT ON {view} BEGIN {trigger} END",
        )

    def one(self, connection: Connection, row: Row) -> Sequence[Values]:
        """Run once, and answer with all rows that it returns."""
        ledger = ledger_of(connection)
        if self._view not in ledger.views:
            for statement in self._makes:
                ledger.driver.execute(statement)
            # What is made in a transaction goes with it where it fails.
            if not ledger.driver.in_transaction:
                ledger.views.add(self._view)
        return super().one(connection, row)


def _is_list(bind: BindParameter[Any]) -> bool:
    """Whether it is a list of plain values, each of which becomes a parameter."""
    return bind.expanding and not bind.literal_execute and not isinstance(bind.type, TupleType)


def _power_of_two(length: int) -> int:
    return 1 << (length - 1).bit_length() if length else 0


def _as_it_is(compiled: SQLCompiler, dialect: Dialect, names: Sequence[str]) -> Compiled:
    """Take a statement without lists; `names` are its parameters where it does not say so itself."""
    order: Sequence[str] = getattr(compiled, "positiontup", None) or names
    return Compiled(compiled, dialect, str(compiled), order, [_bind(compiled, name, dialect) for name in order])


def _own_lists(compiled: SQLCompiler) -> dict[str, Sequence[Any]]:
    """The lists that the statement brought along."""
    return {name: bind.value or () for name, bind in compiled.binds.items() if bind.expanding and not bind.required}


def _processor(bind: BindParameter[Any], dialect: Dialect) -> Processor:
    return bind.type.dialect_impl(dialect).bind_processor(dialect)


def _bind(compiled: SQLCompiler, name: str, dialect: Dialect) -> Bind:
    """Say where a parameter comes from: a name to look up, or a constant that the statement brought along."""
    bind = compiled.binds[name]
    process = _processor(bind, dialect)
    if bind.required or isinstance(compiled.statement, Insert):
        return name, process, None
    return None, None, bind.value if process is None else process(bind.value)


def _reader(kind: Any, dialect: Dialect) -> ColumnReader | None:
    if isinstance(kind, Json):
        return kind.read_all
    # Drivers give floats as such; SQLAlchemy wants to know of the driver's type here, which only a connection has.
    process = None if isinstance(kind, Float) else kind.dialect_impl(dialect).result_processor(dialect, None)
    return None if process is None else partial(map, process)
