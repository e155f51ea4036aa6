"""What Alembic does for us: taking the schema from one revision to another, and comparing it with the tables."""

from typing import Any, Literal

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection

from workbench.adapters.sql.planner import is_told
from workbench.adapters.sql.schema import metadata
from workbench.adapters.sql.search_tables import OF_THE_DATABASE
from workbench.domain.errors import InvalidError
from workbench.wiring.migrations import head, is_known, revision_of, scripts_folder, whole_metadata

# SQLite's full-text index is kept in tables of such names.
FULL_TEXT = "session_words_"
STATISTICS = "sqlite_stat1"
STEPS = {"upgrade": command.upgrade, "downgrade": command.downgrade}


def move(connection: Connection, step: Literal["upgrade", "downgrade"], revision: str, shown: str) -> None:
    """Take the schema to `revision`, which `migrations/env.py` does on this connection; `shown` names the database.

    Raises InvalidError for a revision that there is none of.
    """
    try:
        STEPS[step](_configuration(connection), revision)
    except CommandError as error:
        raise InvalidError(_why_not(connection, revision, shown, error), field="revision") from error


def differences(connection: Connection) -> list[str]:
    """List how the database differs from what this program expects, one sentence each."""
    at, newest = revision_of(connection), head()
    if at != newest:
        return [f"the database is at revision {at or 'none'}, this program needs {newest}"]
    context = MigrationContext.configure(connection, opts=context_options(connection))
    found = [_sentence(difference) for difference in compare_metadata(context, whole_metadata())]
    if connection.dialect.name == "sqlite" and not is_told(connection):
        found.append(f"{STATISTICS}: not what SQLite is to choose its indexes by; `workbench db upgrade` writes them")
    return found


def context_options(connection: Connection) -> dict[str, Any]:
    """Say how Alembic compares and alters, the same for running and for checking."""
    return {
        # For the names that it gives to constraints; the tables are told of where they are compared.
        "target_metadata": metadata,
        "compare_type": True,
        # SQLite's DDL is part of a transaction too, as we begin them on our connections.
        "transactional_ddl": True,
        # SQLite cannot alter a column: Alembic copies the table instead.
        "render_as_batch": connection.dialect.name == "sqlite",
        "include_name": _is_ours,
        "include_object": _is_of_ours,
    }


def _is_ours(name: str | None, *_: object) -> bool:
    """Whether it is to be compared with the tables: what one kind of database has of its own beside them is not."""
    return name is None or not (name in OF_THE_DATABASE or name.startswith(FULL_TEXT))


def _is_of_ours(_item: object, name: str | None, *_: object) -> bool:
    return _is_ours(name)


def _configuration(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()))
    config.attributes["connection"] = connection
    return config


def _why_not(connection: Connection, revision: str, shown: str, error: CommandError) -> str:
    connection.rollback()
    at = revision_of(connection)
    if at is None or is_known(at):
        return f"The schema cannot be taken to {revision}: {error}"
    return (
        f"{shown} is at revision {at}, which a newer program made. Run that one, or take the schema "
        "back with its `workbench db downgrade`"
    )


def _sentence(difference: tuple[Any, ...] | list[Any]) -> str:
    if isinstance(difference, list):
        return "; ".join(map(_sentence, difference))
    kind, *rest = difference
    parts = [str(part) for part in rest if part is not None and not isinstance(part, dict)]
    return f"{str(kind).replace('_', ' ')}: {', '.join(parts)}"
