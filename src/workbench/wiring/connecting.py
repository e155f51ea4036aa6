"""A connection of its own to the database, outside any pool, and what it means that there is none."""

import asyncio
import ssl
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from workbench.domain.errors import UnavailableError
from workbench.wiring.setting_values import shown
from workbench.wiring.settings import Settings

T = TypeVar("T")

BUSY_SECONDS = 60
UNREACHABLE, REFUSED = "database_unreachable", "database_refuses"
"""Codes: nobody answers, which may be otherwise a little later; and the answer is no."""
COMING = ("53300", "57P03")
"""What PostgreSQL says while all its connections are taken, and while it starts."""


async def on_connection(settings: Settings, act: Callable[[Connection], T], *, writes: bool = False) -> T:
    """Run `act` on a connection of its own, outside any pool; `writes` makes it SQLite's one writer at once.

    Raises UnavailableError where the database cannot be reached.
    """
    if settings.database_kind == "sqlite":
        return await asyncio.to_thread(_on_file, settings, act, writes=writes)
    from workbench.wiring.postgresql_connection import connected  # noqa: PLC0415 - SQLite does without what it loads

    async with connected(settings, writes=writes) as connection:
        return await connection.run_sync(act)


def _on_file(settings: Settings, act: Callable[[Connection], T], *, writes: bool) -> T:
    """Run it with Python's own driver: a coroutine's takes a thread's turn for each of the hundreds of statements."""
    url = settings.sqlalchemy_url.set(drivername="sqlite")
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS})
    if writes:
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin_as_only_writer)
    with ExitStack() as stack:
        with reachable(url):
            connection = stack.enter_context(engine.connect())
            # SQLite opens any file, and reads it only when it has to: is this one a database?
            connection.exec_driver_sql("PRAGMA schema_version")
            connection.rollback()
        return act(connection)


@contextmanager
def reachable(url: URL, *more: type[Exception]) -> Generator[None]:
    """Turn what comes of connecting, such as `more`, into UnavailableError."""
    try:
        yield
    except (OSError, SQLAlchemyError, *more) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        code = UNREACHABLE if _may_come(error) else REFUSED
        raise UnavailableError(f"The database {shown(url)} cannot be reached: {reason}", code=code) from error


def _may_come(error: Exception) -> bool:
    """Whether nobody answered, or only that it is too early; another answer, as to a password, stays as it is."""
    if isinstance(error, OSError):
        return not isinstance(error, ssl.SSLError)
    state = getattr(error, "sqlstate", None) or ""
    return state in COMING or state.startswith("08")


def _leave_transactions_to_us(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # Python's driver begins no transaction before DDL, so that a failed step would leave half of itself.
    connection.isolation_level = None


def _begin_as_only_writer(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
