"""A look at each statement that SQLAlchemy sends: whether it keeps to its workspace; and it is counted."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, event

from workbench.adapters.sql.walls import ledger_of, place_in, tenant_tables_in


def look_at_statements(engine: Engine) -> None:
    """Have each statement that SQLAlchemy sends kept to its workspace, and counted."""
    event.listen(engine, "before_cursor_execute", _look)


def _look(connection: Connection, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    ledger = ledger_of(connection)
    if tables := tenant_tables_in(statement):
        rows: Sequence[Mapping[str, Any]] = getattr(context, "compiled_parameters", None) or ({},)
        ledger.require_scoped(tables, place_in(rows[0]), rows)
    ledger.sent += 1
