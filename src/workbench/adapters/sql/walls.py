"""The wall between workspaces, as statements meet it: within one workspace, or across all for a registered duty.

Whether a statement names a tenant table, and where it says of which workspace, is decided once for its text. At each
run there is left to compare two strings.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, event, text

from workbench.adapters.sql.schema import metadata

PLACES = ("ws", "workspace_id")
"""The parameters by which statements say of which workspace they are."""
KNOWN_STATEMENTS = 2000
LEDGER = "workbench"


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """What may look across workspaces.

    `places` are the statements or functions, as `module:name`; `reason` says why it cannot keep to one workspace, and
    `reviewer` who agreed.
    """

    name: str
    places: tuple[str, ...]
    reason: str
    reviewer: str = "maintainers"


# With parameters: a workspace may be called as a table is, and no text of a statement should say so.
_FACE = text(
    "SELECT set_config('app.workspace_id', CAST(:workspace_id AS text), true),"
    " set_config('app.duty', CAST(:duty AS text), true)"
)

Within = str | Duty | None
"""Whose rows a statement may touch: a workspace's, everybody's for a duty, or none but those that are nobody's."""


class Written(msgspec.Struct):
    """How much this process has written: commits, and statements that were sent for them, BEGIN and COMMIT included.

    Beside them stand the statements that only read, each by itself; those that turned a connection to another
    workspace; and those that were refused since they did not say whose rows they are about.
    """

    commits: int = 0
    statements: int = 0
    reads: int = 0
    facings: int = 0
    unscoped: int = 0

    def add(self, statements: int) -> None:
        """Count a commit."""
        self.commits += 1
        self.statements += statements


class Ledger(msgspec.Struct):
    """What is kept beside a connection: the driver's own, how many statements were sent, and whose rows they are about.

    One is looked up for each statement, since SQLAlchemy takes several calls to get at any of it.
    """

    driver: Any
    sent: int = 0
    within: Within = None
    views: set[str] = msgspec.field(default_factory=set)
    """Temporary views that were made on it, to stay."""
    written: Written | None = None
    """None where nobody said yet whose rows its statements are about."""

    def require_scoped(self, tables: frozenset[str], place: str | None, rows: Iterable[Mapping[str, Any]]) -> None:
        """Require that a statement keeps to the workspace that was said. Raises UnscopedQueryError."""
        if self.written is not None:
            require_scoped(tables, place, rows, self.within, self.written)


def ledger_of(connection: Connection) -> Ledger:
    """The ledger of a connection, which is as old as the driver's connection is."""
    ledger: Ledger | None = connection.info.get(LEDGER)
    if ledger is None:
        ledger = connection.info[LEDGER] = Ledger(connection.connection.driver_connection)
    return ledger


class UnscopedQueryError(RuntimeError):
    """A statement names rows of workspaces without keeping to the one that it is run for. A fault of ours."""


def is_tenants(table: Any) -> bool:
    """Whether the rows of a table belong to workspaces."""
    return "workspace_id" in table.columns


def tenant_tables_in(statement: str) -> frozenset[str]:
    """The tenant tables that a statement names; too many rather than too few."""
    return _named(statement, len(metadata.tables))


def place_in(names: Iterable[str]) -> str | None:
    """The parameter among these that says of which workspace a statement is."""
    given = set(names)
    return next((place for place in PLACES if place in given), None)


def require_scoped(
    tables: frozenset[str], place: str | None, rows: Iterable[Mapping[str, Any]], within: Within, written: Written
) -> None:
    """Require that a statement keeps to its workspace, in each row that it is run for. Raises UnscopedQueryError."""
    if not tables or isinstance(within, Duty):
        return
    if within is not None and place is not None:
        # Written out, since nearly always there is one row, and `all` would make a generator for it.
        for row in rows:
            if row[place] != within:
                break
        else:
            return
    written.unscoped += 1
    whose = "no workspace" if within is None else f"the workspace {within}"
    raise UnscopedQueryError(f"A statement on {', '.join(sorted(tables))} was run for {whose} and does not keep to it")


def face(connection: Connection, within: Within, written: Written) -> None:
    """Note whose rows the statements on a connection are about from here on."""
    ledger = ledger_of(connection)
    ledger.within, ledger.written = within, written


def enter(connection: Connection, within: Within) -> None:
    """Go over to another workspace in the middle of a transaction."""
    ledger = ledger_of(connection)
    if ledger.within == within:
        return
    ledger.within = within
    if connection.dialect.name == "postgresql":
        connection.execute(_FACE, _told_of(within))


def facing(within: Within, *, local: bool) -> str:
    """The statement that tells PostgreSQL whose rows are meant: for the transaction, or until it is told otherwise."""
    told = _told_of(within)
    span = "true" if local else "false"
    return "SELECT " + ", ".join(f"set_config('app.{name}', {quoted(value)}, {span})" for name, value in told.items())


def _told_of(within: Within) -> dict[str, str]:
    return {
        "workspace_id": within if isinstance(within, str) else "",
        "duty": within.name if isinstance(within, Duty) else "",
    }


def quoted(value: str) -> str:
    """A text as a literal that means the same however the server is set."""
    return "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def look_at_statements(engine: Engine) -> None:
    """Have each statement that SQLAlchemy sends kept to its workspace, and counted."""
    event.listen(engine, "before_cursor_execute", _look)


def _look(connection: Connection, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    ledger = ledger_of(connection)
    if tables := tenant_tables_in(statement):
        rows: Sequence[Mapping[str, Any]] = getattr(context, "compiled_parameters", None) or ({},)
        ledger.require_scoped(tables, place_in(rows[0]), rows)
    ledger.sent += 1


@lru_cache(KNOWN_STATEMENTS)
def _named(statement: str, known: int) -> frozenset[str]:
    return frozenset(_pattern(known).findall(statement))


@cache
def _pattern(_known: int) -> re.Pattern[str]:
    """Any word that is a table's name, unless it is a column's; the tables are known once their modules are imported."""
    names = sorted(table.name for table in metadata.tables.values() if is_tenants(table))
    return re.compile(rf"(?<![.\w:'$])(?:{'|'.join(names)})(?![\w'])")
