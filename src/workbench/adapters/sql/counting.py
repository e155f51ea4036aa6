"""How many statements are sent on a connection, and a look at each that SQLAlchemy sends."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, event

from workbench.adapters.sql.walls import place_in, require_scoped_on, tenant_tables_in

_COUNTED = "statements"


def count_statement(connection: Connection) -> None:
    """Note that a statement is sent; one that is run for many rows is one."""
    connection.info[_COUNTED] = statements_sent(connection) + 1


def statements_sent(connection: Connection) -> int:
    """How many statements were sent on this connection to the database so far."""
    return connection.info.get(_COUNTED, 0)


def look_at_statements(engine: Engine) -> None:
    """Have each statement that SQLAlchemy sends kept to its workspace, and counted."""
    event.listen(engine, "before_cursor_execute", _look)


def _look(connection: Connection, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    if tables := tenant_tables_in(statement):
        rows: Sequence[Mapping[str, Any]] = getattr(context, "compiled_parameters", None) or ({},)
        require_scoped_on(connection, tables, place_in(rows[0]), rows)
    count_statement(connection)
