"""A connection of its own to PostgreSQL, and how a whole script is run on it.

It is a module of its own since SQLite does without what it loads, which takes a tenth of a second.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only

from workbench.wiring.connecting import reachable
from workbench.wiring.settings import Settings

CONNECT_SECONDS = 10


@asynccontextmanager
async def connected(settings: Settings, *, writes: bool) -> AsyncGenerator[AsyncConnection]:
    """Connect, and close in the end; `writes` is for who changes the schema. Raises UnavailableError."""
    # The lock is held by the session, which a proxy that pools transactions would lend to others.
    url = settings.owner_url if writes else settings.sqlalchemy_url
    arguments: dict[str, Any] = {"ssl": settings.db.postgresql_ssl_mode, "timeout": CONNECT_SECONDS}
    engine = create_async_engine(url, poolclass=NullPool, connect_args=arguments)
    try:
        with reachable(url, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await engine.connect().start()
        try:
            yield connection
        finally:
            await connection.close()
    finally:
        await engine.dispose()


def run_script(connection: Connection, script: str) -> None:
    """Run many statements in one trip, all of them or none. Raises DBAPIError.

    SQLAlchemy would prepare each before it runs it, which is three trips.
    """
    driver: Any = connection.connection.driver_connection
    try:
        await_only(driver.execute(script))
    except asyncpg.PostgresError as error:
        raise DBAPIError(script, None, error) from error
