"""A connection of its own to the database, outside any pool, and what it means that there is none."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any, TypeVar

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, ExecutionContext
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool
from sqlalchemy.util import await_only

from workbench.domain.errors import UnavailableError
from workbench.wiring.setting_values import shown
from workbench.wiring.settings import Settings

T = TypeVar("T")

SCHEMA_WORDS = ("ALTER", "COMMENT", "CREATE", "DROP", "GRANT", "REVOKE")
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
    if settings.database_kind == "sqlite":
        return await asyncio.to_thread(_on_file, settings, act, writes=writes)
    async with _connection(settings, writes=writes) as connection:
        return await connection.run_sync(act)


def _on_file(settings: Settings, act: Callable[[Connection], T], *, writes: bool) -> T:
    """Run it with Python's own driver: a coroutine's takes a thread's turn for each of the hundreds of statements."""
    url = settings.sqlalchemy_url.set(drivername="sqlite")
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS})
    if writes:
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin_as_only_writer)
    with ExitStack() as stack:
        with _reachable(url):
            connection = stack.enter_context(engine.connect())
            # SQLite opens any file, and reads it only when it has to: is this one a database?
            connection.exec_driver_sql("PRAGMA schema_version")
            connection.rollback()
        return act(connection)


@asynccontextmanager
async def _connection(settings: Settings, *, writes: bool) -> AsyncGenerator[AsyncConnection]:
    # The lock is held by the session, which a proxy that pools transactions would lend to others.
    url = settings.owner_url if writes else settings.sqlalchemy_url
    arguments: dict[str, Any] = {"ssl": settings.db.postgresql_ssl_mode, "timeout": CONNECT_SECONDS}
    engine = create_async_engine(url, poolclass=NullPool, connect_args=arguments)
    if writes:
        SchemaChanges(engine.sync_engine)
    try:
        with _reachable(url):
            connection = await engine.connect().start()
        try:
            yield connection
        finally:
            await connection.close()
    finally:
        await engine.dispose()


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


class SchemaChanges:
    """What changes the schema, gathered until something else is sent, or committed: then it goes in one trip.

    There are hundreds of them in a first start, and SQLAlchemy would prepare each before it runs it, which is three trips.
    """

    def __init__(self, engine: Engine) -> None:
        """Gather what this engine's only connection changes."""
        self._gathered: list[str] = []
        event.listen(engine, "do_execute", self._execute)
        event.listen(engine, "do_executemany", self._execute)
        event.listen(engine, "commit", self._commit)
        event.listen(engine, "rollback", self._rollback)

    def _commit(self, connection: Connection) -> None:
        try:
            self._send(_driver_of(connection))
        except DBAPIError:
            # To SQLAlchemy the transaction is over with its commit, whatever becomes of that.
            connection.dialect.do_rollback(connection.connection)
            raise

    def _rollback(self, _connection: Connection) -> None:
        self._gathered.clear()

    def _execute(self, _cursor: object, statement: str, parameters: object, context: ExecutionContext) -> bool:
        connection = context.root_connection
        driver = _driver_of(connection)
        # In a savepoint somebody waits for what becomes of it.
        may_wait = driver.is_in_transaction() and not connection.in_nested_transaction()
        if may_wait and not parameters and statement.lstrip().startswith(SCHEMA_WORDS):
            self._gathered.append(statement)
            return True
        self._send(driver)
        return False

    def _send(self, driver: Any) -> None:
        if not self._gathered:
            return
        statements = ";\n".join(self._gathered)
        self._gathered.clear()
        try:
            await_only(driver.execute(statements))
        except asyncpg.PostgresError as error:
            raise DBAPIError(statements, None, error) from error


def _driver_of(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _leave_transactions_to_us(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # Python's driver begins no transaction before DDL, so that a failed step would leave half of itself.
    connection.isolation_level = None


def _begin_as_only_writer(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
