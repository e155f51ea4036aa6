"""The database's schema over time: Alembic on our own connection, one upgrade at a time."""

import asyncio
import importlib
import pkgutil
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

import workbench
from workbench.adapters import sql
from workbench.adapters.sql.duties import MIGRATE
from workbench.adapters.sql.schema import metadata
from workbench.adapters.sql.search_tables import OF_THE_DATABASE
from workbench.adapters.sql.walls import facing
from workbench.domain.errors import ForbiddenError, InvalidError, NotFoundError, UnavailableError
from workbench.wiring.roles import NO_PRIVILEGE, REMEDY, prepare_role, require_plain_role
from workbench.wiring.settings import Settings

T = TypeVar("T")

# Any number will do, as long as every version of this program takes the same one.
ADVISORY_LOCK = 7_305_812_094
BUSY_SECONDS = 60
CONNECT_SECONDS = 10
# Alembic's `op` and `context` are one for the whole process, whatever the database.
ONE_AT_A_TIME = threading.Lock()
# SQLite's full-text index is kept in tables of such names.
FULL_TEXT = "session_words_"
ABSENT = "there is no database yet"


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


def require_role(settings: Settings) -> None:
    """Raise ForbiddenError where PostgreSQL would not keep workspaces apart for the service, UnavailableError."""
    if settings.database_kind == "postgresql":
        asyncio.run(on_connection(settings, require_plain_role))


async def on_connection(settings: Settings, act: Callable[[Connection], T], *, writes: bool = False) -> T:
    """Run `act` on a connection of its own, outside any pool; `writes` makes it SQLite's one writer at once.

    Raises UnavailableError where the database cannot be reached.
    """
    async with _connection(settings, writes=writes) as connection:
        return await connection.run_sync(act)


def alembic_config(connection: Connection | None = None) -> Config:
    """Make Alembic's configuration for our scripts; `connection` is what `migrations/env.py` works on."""
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()))
    config.attributes["connection"] = connection
    return config


def context_options(connection: Connection) -> dict[str, Any]:
    """Say how Alembic compares and alters, the same for running and for checking."""
    return {
        "target_metadata": whole_metadata(),
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


@asynccontextmanager
async def _connection(settings: Settings, *, writes: bool) -> AsyncGenerator[AsyncConnection]:
    engine = _engine(settings, writes=writes)
    try:
        with _reachable(settings):
            connection = await engine.connect().start()
        try:
            with _reachable(settings):
                await _look_inside(connection)
            yield connection
        finally:
            await connection.close()
    finally:
        await engine.dispose()


def _engine(settings: Settings, *, writes: bool) -> AsyncEngine:
    if settings.database_kind == "postgresql":
        arguments: dict[str, Any] = {"ssl": settings.db.postgresql_ssl_mode, "timeout": CONNECT_SECONDS}
        # The lock is held by the session, which a proxy that pools transactions would lend to others.
        url = settings.owner_url if writes else settings.sqlalchemy_url
        return create_async_engine(url, poolclass=NullPool, connect_args=arguments)
    engine = create_async_engine(settings.sqlalchemy_url, poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS})
    if writes:
        event.listen(engine.sync_engine, "connect", _leave_transactions_to_us)
        event.listen(engine.sync_engine, "begin", _begin_as_only_writer)
    return engine


@contextmanager
def _reachable(settings: Settings) -> Generator[None]:
    try:
        yield
    except (OSError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UnavailableError(
            f"The database {settings.database_shown} cannot be reached: {reason}", code="database_unreachable"
        ) from error


async def _look_inside(connection: AsyncConnection) -> None:
    """Find out whether a file is a database: SQLite opens any file, and reads it only when it has to."""
    if connection.dialect.name == "sqlite":
        await connection.exec_driver_sql("PRAGMA schema_version")
        await connection.rollback()


def _leave_transactions_to_us(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # Python's driver begins no transaction before DDL, so that a failed step would leave half of itself.
    connection.isolation_level = None


def _begin_as_only_writer(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


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
            raise InvalidError(f"The schema cannot be taken to {revision}: {error}", field="revision") from error
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != NO_PRIVILEGE:
                raise
            reason = str(error.orig).partition("\n")[0]
            detail = f"The schema of {settings.database_shown} cannot be changed: {reason}. {REMEDY}"
            raise ForbiddenError(detail, code="not_the_owner") from error
        if connection.dialect.name == "postgresql":
            prepare_role(connection, settings.sqlalchemy_url)

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


def _revision_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _differences(connection: Connection) -> list[str]:
    context = MigrationContext.configure(connection, opts=context_options(connection))
    at, newest = context.get_current_revision(), head()
    if at != newest:
        return [f"the database is at revision {at or 'none'}, this program needs {newest or 'none'}"]
    return [_sentence(difference) for difference in compare_metadata(context, whole_metadata())]


def _sentence(difference: tuple[Any, ...] | list[Any]) -> str:
    if isinstance(difference, list):
        return "; ".join(map(_sentence, difference))
    kind, *rest = difference
    parts = [str(part) for part in rest if part is not None and not isinstance(part, dict)]
    return f"{str(kind).replace('_', ' ')}: {', '.join(parts)}"
