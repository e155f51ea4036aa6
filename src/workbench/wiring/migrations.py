"""The database's schema over time: at which revision it is, and how it gets to another, one upgrade at a time.

Alembic is loaded where a schema that is there is changed or compared, which a start mostly need not do.
"""

import asyncio
import importlib
import pkgutil
import threading
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, MetaData, inspect, text
from sqlalchemy.exc import DBAPIError

import workbench
from workbench.adapters import sql
from workbench.adapters.sql.duties import MIGRATE
from workbench.adapters.sql.planner import is_told, tell_planner
from workbench.adapters.sql.schema import metadata
from workbench.adapters.sql.walls import facing
from workbench.domain.errors import ForbiddenError, NotFoundError, UnavailableError
from workbench.wiring.connecting import on_connection
from workbench.wiring.newest_schema import make_newest
from workbench.wiring.roles import NO_PRIVILEGE, REMEDY, VERSION_TABLE, is_prepared, prepare_role, require_plain_role
from workbench.wiring.settings import Settings

# Any number will do, as long as every version of this program takes the same one.
ADVISORY_LOCK = 7_305_812_094
# Alembic's `op` and `context` are one for the whole process, whatever the database.
ONE_AT_A_TIME = threading.Lock()
NEWEST = "head"
"""What Alembic calls it."""
ABSENT = "there is no database yet"
BEHIND = "schema_behind"


def upgrade(settings: Settings, revision: str = NEWEST) -> None:
    """Bring the schema up to `revision`; a second process that asks at the same time waits for the first.

    A database that has nothing yet gets the newest as a whole; through the revisions it comes to the same.

    On PostgreSQL the service's role is made where it is missing, and given its rights. Raises UnavailableError where the
    database cannot be made or reached, InvalidError for an unknown revision, ForbiddenError for a role that may not.
    """
    _make_folders(settings)
    if revision != NEWEST or not _is_as_wanted(settings):
        _move(settings, "upgrade", revision)


def downgrade(settings: Settings, revision: str) -> None:
    """Take the schema back to `revision` (`base`: to nothing). What the dropped tables held is lost.

    Raises NotFoundError where there is no database.
    """
    if _is_absent(settings):
        raise NotFoundError(f"{settings.database_file}: {ABSENT}", code="no_database")
    _move(settings, "downgrade", revision)


def current(settings: Settings) -> str | None:
    """Tell the revision that the database is at; None before its first upgrade."""
    return None if _is_absent(settings) else asyncio.run(on_connection(settings, revision_of))


def is_known(revision: str) -> bool:
    """Whether this program has the revision; one it lacks was made by a newer program."""
    return revision in _known()


def head() -> str:
    """Tell the newest revision that this program knows."""
    return max(_known())


def check(settings: Settings) -> list[str]:
    """List how the database differs from what this program expects, one sentence each; empty when it does not."""
    from workbench.wiring.revising import differences  # noqa: PLC0415 - Alembic, see above

    return [ABSENT] if _is_absent(settings) else asyncio.run(on_connection(settings, differences))


def require_schema(settings: Settings) -> None:
    """Raise UnavailableError where the schema is older than what this program needs.

    One that is newer will do: during an update replicas of the version before go on, and may have to start again.
    """
    at, newest = current(settings), head()
    if at != newest and (at is None or is_known(at)):
        raise UnavailableError(
            f"{settings.database_shown} is at revision {at or 'none'}, and this program needs {newest}. "
            "Run: workbench db upgrade",
            code=BEHIND,
        )


def require_role(settings: Settings) -> None:
    """Raise ForbiddenError where PostgreSQL would not keep workspaces apart for the service, UnavailableError."""
    if settings.database_kind == "postgresql":
        asyncio.run(on_connection(settings, require_plain_role))


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


def _is_as_wanted(settings: Settings) -> bool:
    """Whether an upgrade would find nothing to do."""
    if settings.needs_owner:
        return current(settings) == head()

    def look(connection: Connection) -> bool:
        if revision_of(connection) != head():
            return False
        if connection.dialect.name == "sqlite":
            return is_told(connection)
        return is_prepared(connection, settings.sqlalchemy_url)

    # As the owner, since the service's role may be missing; on SQLite that would lock out others.
    as_owner = settings.database_kind == "postgresql"
    return not _is_absent(settings) and asyncio.run(on_connection(settings, look, writes=as_owner))


def _known() -> set[str]:
    """All revisions, from the names of their files: to read them, Alembic runs them."""
    return {script.name.partition("_")[0] for script in (scripts_folder() / "versions").glob("*_*.py")}


def _move(settings: Settings, step: Literal["upgrade", "downgrade"], revision: str) -> None:
    def act(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            # Held by the session, hence until the connection closes.
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
            # The owner, too, sees only what it says it is for.
            connection.exec_driver_sql(facing(MIGRATE, local=False))
            connection.commit()
        try:
            if revision == NEWEST and not _has_versions(connection):
                make_newest(connection, scripts_folder())
                connection.commit()
            else:
                from workbench.wiring.revising import move  # noqa: PLC0415 - Alembic, see above

                move(connection, step, revision, settings.database_shown)
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


def _has_versions(connection: Connection) -> bool:
    return inspect(connection).has_table(VERSION_TABLE)


def revision_of(connection: Connection) -> str | None:
    """The revision that the database is at; None before its first upgrade."""
    if not _has_versions(connection):
        return None
    return connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()  # noqa: S608 - a constant
