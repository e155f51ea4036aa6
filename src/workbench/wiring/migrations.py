"""The database's schema over time: Alembic on our own connection, one upgrade at a time."""

import asyncio
import importlib
import pkgutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DBAPIError

import workbench
from workbench.adapters import sql
from workbench.adapters.sql.duties import MIGRATE
from workbench.adapters.sql.planner import is_told, tell_planner
from workbench.adapters.sql.schema import metadata
from workbench.adapters.sql.search_tables import OF_THE_DATABASE
from workbench.adapters.sql.walls import facing
from workbench.domain.errors import ForbiddenError, InvalidError, NotFoundError, UnavailableError
from workbench.wiring.connecting import on_connection
from workbench.wiring.roles import NO_PRIVILEGE, REMEDY, prepare_role, require_plain_role
from workbench.wiring.settings import Settings

# Any number will do, as long as every version of this program takes the same one.
ADVISORY_LOCK = 7_305_812_094
# Alembic's `op` and `context` are one for the whole process, whatever the database.
ONE_AT_A_TIME = threading.Lock()
# SQLite's full-text index is kept in tables of such names.
FULL_TEXT = "session_words_"
ABSENT = "there is no database yet"
BEHIND = "schema_behind"
STATISTICS = "sqlite_stat1"


def upgrade(settings: Settings, revision: str = "head") -> None:
    """Bring the schema up to `revision`; a second process that asks at the same time waits for the first.

    On PostgreSQL the service's role is made where it is missing, and given its rights. Raises UnavailableError where the
    database cannot be made or reached, InvalidError for an unknown revision, ForbiddenError for a role that may not.
    """
    _make_folders(settings)
    if settings.needs_owner and revision == "head" and current(settings) == head():
        return
    _move(settings, command.upgrade, revision)


def downgrade(settings: Settings, revision: str) -> None:
    """Take the schema back to `revision` (`base`: to nothing). What the dropped tables held is lost.

    Raises NotFoundError where there is no database.
    """
    if _is_absent(settings):
        raise NotFoundError(f"{settings.database_file}: {ABSENT}", code="no_database")
    _move(settings, command.downgrade, revision)


def current(settings: Settings) -> str | None:
    """Tell the revision that the database is at; None before its first upgrade."""
    return None if _is_absent(settings) else asyncio.run(on_connection(settings, _revision_of))


def is_known(revision: str) -> bool:
    """Whether this program has the revision; one it lacks was made by a newer program."""
    return any(script.revision == revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions())


def head() -> str | None:
    """Tell the newest revision that this program knows; None when there is none."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def check(settings: Settings) -> list[str]:
    """List how the database differs from what this program expects, one sentence each; empty when it does not."""
    return [ABSENT] if _is_absent(settings) else asyncio.run(on_connection(settings, _differences))


def require_schema(settings: Settings) -> None:
    """Raise UnavailableError where the schema is older than what this program needs.

    One that is newer will do: during an update replicas of the version before go on, and may have to start again.
    """
    at, newest = current(settings), head()
    if at != newest and (at is None or is_known(at)):
        raise UnavailableError(
            f"{settings.database_shown} is at revision {at or 'none'}, and this program needs {newest or 'none'}. "
            "Run: workbench db upgrade",
            code=BEHIND,
        )


def require_role(settings: Settings) -> None:
    """Raise ForbiddenError where PostgreSQL would not keep workspaces apart for the service, UnavailableError."""
    if settings.database_kind == "postgresql":
        asyncio.run(on_connection(settings, require_plain_role))


def alembic_config(connection: Connection | None = None) -> Config:
    """Make Alembic's configuration for our scripts; `connection` is what `migrations/env.py` works on."""
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()))
    config.attributes["connection"] = connection
    return config


def context_options(connection: Connection) -> dict[str, Any]:
    """Say how Alembic compares and alters, the same for running and for checking."""
    return {
        # For the names that it gives to constraints; the tables are told of where they are compared.
        "target_metadata": metadata,
        "compare_type": True,
        # SQLite's DDL is part of a transaction too, now that we begin them (see below).
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


def whole_metadata() -> MetaData:
    """Gather the tables of every module in the SQL room."""
    for module in pkgutil.walk_packages(sql.__path__, f"{sql.__name__}."):
        importlib.import_module(module.name)
    return metadata


def scripts_folder() -> Path:
    """Find the migrations: inside an installed package, or beside `src` in a checkout.

    Raises FileNotFoundError.
    """
    package = Path(workbench.__file__ or "").resolve().parent
    for folder in (package / "migrations", package.parent.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise FileNotFoundError(f"No migrations beside {package}")


def _move(settings: Settings, step: Callable[[Config, str], None], revision: str) -> None:
    def act(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            # Held by the session, hence until the connection closes.
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
            # The owner, too, sees only what it says it is for.
            connection.exec_driver_sql(facing(MIGRATE, local=False))
            connection.commit()
        try:
            step(alembic_config(connection), revision)
        except CommandError as error:
            raise InvalidError(_why_not(settings, connection, revision, error), field="revision") from error
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != NO_PRIVILEGE:
                raise
            reason = str(error.orig).partition("\n")[0]
            detail = f"The schema of {settings.database_shown} cannot be changed: {reason}. {REMEDY}"
            raise ForbiddenError(detail, code="not_the_owner") from error
        if connection.dialect.name == "postgresql":
            prepare_role(connection, settings.sqlalchemy_url)
        else:
            tell_planner(connection)
            connection.commit()

    with ONE_AT_A_TIME:
        asyncio.run(on_connection(settings, act, writes=True))


def _why_not(settings: Settings, connection: Connection, revision: str, error: CommandError) -> str:
    connection.rollback()
    at = _revision_of(connection)
    if at is None or is_known(at):
        return f"The schema cannot be taken to {revision}: {error}"
    return (
        f"{settings.database_shown} is at revision {at}, which a newer program made. Run that one, or take the schema "
        "back with its `workbench db downgrade`"
    )


def _make_folders(settings: Settings) -> None:
    try:
        settings.make_data_root()
        if settings.database_file is not None:
            settings.database_file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(
            f"The folder {error.filename} cannot be made: {error.strerror}. "
            "Correct WORKBENCH__DATA_ROOT or WORKBENCH__DB__URL.",
            code="no_data_folder",
        ) from error


def _is_absent(settings: Settings) -> bool:
    # Opening a SQLite file would make it.
    return settings.database_file is not None and not settings.database_file.exists()


def _revision_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _differences(connection: Connection) -> list[str]:
    context = MigrationContext.configure(connection, opts=context_options(connection))
    at, newest = context.get_current_revision(), head()
    if at != newest:
        return [f"the database is at revision {at or 'none'}, this program needs {newest or 'none'}"]
    found = [_sentence(difference) for difference in compare_metadata(context, whole_metadata())]
    if connection.dialect.name == "sqlite" and not is_told(connection):
        found.append(f"{STATISTICS}: not what SQLite is to choose its indexes by; `workbench db upgrade` writes them")
    return found


def _sentence(difference: tuple[Any, ...] | list[Any]) -> str:
    if isinstance(difference, list):
        return "; ".join(map(_sentence, difference))
    kind, *rest = difference
    parts = [str(part) for part in rest if part is not None and not isinstance(part, dict)]
    return f"{str(kind).replace('_', ' ')}: {', '.join(parts)}"
