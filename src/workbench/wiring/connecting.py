"""A connection of its own to the database, outside any pool, and what it means that there is none."""

import ssl
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
from sqlalchemy import URL, Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from workbench.domain.errors import UnavailableError
from workbench.wiring.setting_values import shown
from workbench.wiring.settings import Settings

T = TypeVar("T")

BUSY_SECONDS = 60
CONNECT_SECONDS = 10
UNREACHABLE, REFUSED = "database_unreachable", "database_refuses"
"""Codes: nobody answers, which may be otherwise a little later; and the answer is no."""
COMING = ("53300", "57P03")
"""What PostgreSQL says while all its connections are taken, and while it starts."""


async def on_connection(settings: Settings, act: Callable[[Connection], T], *, writes: bool = False) -> T:
    """Run `act` on a connection of its own, outside any pool; `writes` makes it SQLite's one writer at once.

    Raises UnavailableError where the database cannot be reached.
    """
    async with _connection(settings, writes=writes) as connection:
        return await connection.run_sync(act)


@asynccontextmanager
async def _connection(settings: Settings, *, writes: bool) -> AsyncGenerator[AsyncConnection]:
    engine = _engine(settings, writes=writes)
    try:
        with _reachable(engine.url):
            connection = await engine.connect().start()
        try:
            with _reachable(engine.url):
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
def _reachable(url: URL) -> Generator[None]:
    try:
        yield
    except (OSError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        code = UNREACHABLE if _may_come(error) else REFUSED
        raise UnavailableError(f"The database {shown(url)} cannot be reached: {reason}", code=code) from error


def _may_come(error: Exception) -> bool:
    """Whether nobody answered, or only that it is too early; another answer, as to a password, stays as it is."""
    if isinstance(error, OSError):
        return not isinstance(error, ssl.SSLError)
    state = getattr(error, "sqlstate", None) or ""
    return state in COMING or state.startswith("08")


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
