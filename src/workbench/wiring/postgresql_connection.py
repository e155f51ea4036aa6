"""A connection of its own to PostgreSQL, on which changes of the schema are gathered.

It is a module of its own since SQLite does without what it loads, which takes a tenth of a second.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only

from workbench.wiring.connecting import reachable
from workbench.wiring.settings import Settings

SCHEMA_WORDS = ("ALTER", "COMMENT", "CREATE", "DROP", "GRANT", "REVOKE")
CONNECT_SECONDS = 10


@asynccontextmanager
async def connected(settings: Settings, *, writes: bool) -> AsyncGenerator[AsyncConnection]:
    """Connect, and close in the end; `writes` is for who changes the schema. Raises UnavailableError."""
    # The lock is held by the session, which a proxy that pools transactions would lend to others.
    url = settings.owner_url if writes else settings.sqlalchemy_url
    arguments: dict[str, Any] = {"ssl": settings.db.postgresql_ssl_mode, "timeout": CONNECT_SECONDS}
    engine = create_async_engine(url, poolclass=NullPool, connect_args=arguments)
    if writes:
        SchemaChanges(engine.sync_engine)
    try:
        with reachable(url, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await engine.connect().start()
        try:
            yield connection
        finally:
            await connection.close()
    finally:
        await engine.dispose()


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
