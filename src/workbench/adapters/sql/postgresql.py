"""PostgreSQL through asyncpg, with connections that stay checked out in autocommit mode.

Taking one from SQLAlchemy's pool costs more than a point read.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Literal, TypeVar

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
import structlog
from sqlalchemy import URL, Connection, Executable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from workbench.adapters.sql.chosen import Chosen, Together
from workbench.adapters.sql.prepared import STATEMENT_CACHE, Parameters, Row, Statements, Values
from workbench.adapters.sql.refusals import ConnectionLostError, DatabaseAwayError, says_goodbye
from workbench.adapters.sql.walls import Within, Written, face, facing, ledger_of, look_at_statements
from workbench.domain.ids import new_hex_id

T = TypeVar("T")

logger = structlog.get_logger(__name__)


class Held:
    """A connection, the driver's own below it, and whose rows it was last told to show.

    `is_lent`: a proxy lends it to others between two transactions, so that nothing that it is told lasts longer.
    """

    __slots__ = ("connection", "driver", "faces", "is_lent")

    def __init__(self, connection: AsyncConnection, driver: Any, *, is_lent: bool) -> None:
        self.connection = connection
        self.driver = driver
        self.faces: Within = None
        self.is_lent = is_lent


class PostgresDatabase:
    """PostgreSQL through asyncpg. At most `pool_size` connections are open, and one on which we listen.

    It shows each transaction the rows of its workspace alone, and is told which that is in the message that begins the
    transaction. Statements that stand alone are no transaction of ours: for them a connection is told once, and used
    again for the same workspace where there is one.
    """

    dialect_name: Literal["sqlite", "postgresql"] = "postgresql"

    def __init__(
        self, url: URL, pool_size: int = 8, ssl_mode: str | None = None, direct_url: URL | None = None
    ) -> None:
        """Connect lazily, under a name of this process's own.

        `direct_url` leads to the same database past a proxy that lends connections for a transaction each: there
        nobody can listen.
        """
        self.name = f"workbench-{new_hex_id()}"
        connect_args: dict[str, Any] = {"server_settings": {"application_name": self.name}}
        if ssl_mode:
            connect_args["ssl"] = ssl_mode
        self.engine: AsyncEngine = create_async_engine(
            url.set(drivername="postgresql+asyncpg"),
            pool_size=pool_size,
            max_overflow=0,
            query_cache_size=STATEMENT_CACHE,
            connect_args=connect_args,
        )
        direct = (direct_url or url).set(drivername="postgresql+asyncpg")
        self._is_lent = direct_url is not None and direct_url != url
        self.listening_engine = create_async_engine(direct, poolclass=NullPool, connect_args=connect_args)
        self.written = Written()
        look_at_statements(self.engine.sync_engine)
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._statements = Statements(self.engine.dialect)
        self._idle: list[Held] = []
        self._slots = asyncio.Semaphore(pool_size)

    async def rows(
        self, statement: Executable, parameters: Parameters = None, within: Within = None
    ) -> Sequence[Values]:
        """Run the statement on a connection that is kept for the next one; one that the server dropped is replaced."""
        self.written.reads += 1
        with contextlib.suppress(ConnectionLostError):
            return await self._read(statement, parameters or {}, within)
        return await self._read(statement, parameters or {}, within)

    async def _read(self, statement: Executable, parameters: Row, within: Within) -> Sequence[Values]:
        compiled = self._statements.find(statement, parameters)
        if compiled is None:
            return await self._alone(within, lambda held: self._execute(held, statement, parameters, within))
        compiled.require_scoped(parameters, within, self.written)
        values = compiled.parameters(parameters)
        return compiled.read(await self._alone(within, lambda held: held.driver.fetch(compiled.text, *values)))

    async def _execute(self, held: Held, statement: Executable, parameters: Row, within: Within) -> Sequence[Values]:
        face(_plain(held.connection), within, self.written)
        return (await held.connection.execute(statement, parameters)).all()

    async def _alone(self, within: Within, run: Callable[[Held], Awaitable[T]]) -> T:
        """Run a single statement on a connection that shows the rows it is about."""

        async def shown(held: Held) -> T:
            if within is not None and held.is_lent:
                async with _transaction(held.driver, "BEGIN", within):
                    return await run(held)
            if within is not None and held.faces != within:
                self.written.facings += 1
                held.faces = None
                await held.driver.execute(facing(within, local=False))
                held.faces = within
            return await run(held)

        return await self._on_connection(within, shown)

    async def read_at_once(self, work: Callable[[Connection], T], within: Within = None) -> T:
        """Run the work in a repeatable read, which is PostgreSQL's word for one moment."""
        return await self._between("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", work, within)

    async def transact(self, work: Callable[[Connection], T], within: Within = None) -> T:
        """Run the work between BEGIN and COMMIT, which we say ourselves: each is one short trip."""

        def counted(connection: Connection) -> tuple[T, int]:
            ledger = ledger_of(connection)
            sent = ledger.sent
            return work(connection), ledger.sent - sent

        result, sent = await self._between("BEGIN", counted, within)
        self.written.add(sent + len(("BEGIN", "for whom", "COMMIT")))
        return result

    async def _between(self, begin: str, work: Callable[[Connection], T], within: Within) -> T:
        async def run(held: Held) -> T:
            face(_plain(held.connection), within, self.written)
            async with _transaction(held.driver, begin, within):
                return await held.connection.run_sync(work)

        return await self._on_connection(within, run)

    async def write(self, choose: Callable[[], Chosen[T]]) -> T:
        """Write what is chosen; a single statement in autocommit mode, which saves the trips of BEGIN and COMMIT."""
        chosen = choose()
        if isinstance(chosen, Together):
            return await self.transact(chosen.work, chosen.within)
        compiled = chosen.statement.compiled(self.engine.dialect)
        compiled.require_scoped(chosen.row, chosen.within, self.written)
        values = compiled.parameters(chosen.row)
        rows = await self._alone(chosen.within, lambda held: held.driver.fetch(compiled.text, *values))
        self.written.add(1)
        return chosen.read(rows)

    async def _on_connection(self, within: Within, run: Callable[[Held], Awaitable[T]]) -> T:
        """Run on a connection in autocommit mode, and keep it for the next, if it is whole.

        Raises ConnectionLostError where the server closes it meanwhile, DatabaseAwayError where there is none. No context
        manager: one that is a generator costs as much as a statement's way to the database.
        """
        async with self._slots:
            held = await self._take(within)
            try:
                result = await run(held)
            except BaseException as error:
                lost = held.driver.is_closed() or says_goodbye(error)
                if lost or not isinstance(error, Exception):
                    # Broken, or cancelled in the middle of an answer: its state is unknown.
                    await asyncio.shield(self._discard(held.connection))
                else:
                    self._idle.append(held)
                if lost and isinstance(error, Exception):
                    raise ConnectionLostError from error
                raise
            self._idle.append(held)
            return result

    async def _take(self, within: Within) -> Held:
        """Take an idle connection that the server has not closed, or a new one. Raises DatabaseAwayError.

        One that shows the rows that are meant goes before others.
        """
        while self._idle:
            fitting = (place for place in range(len(self._idle) - 1, -1, -1) if self._idle[place].faces == within)
            held = self._idle.pop(next(fitting, -1))
            if not held.driver.is_closed():
                return held
            await self._discard(held.connection)
        try:
            return await self._connect()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError) as error:
            logger.warning("database away", reason=str(error) or type(error).__name__)
            raise DatabaseAwayError from error

    async def _connect(self) -> Held:
        connection = await self._autocommit.connect()
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            # The number of the process that serves us; a proxy gives out one of its own.
            serving = await driver.fetchval("SELECT pg_backend_pid()")
        except BaseException:
            await asyncio.shield(self._discard(connection))
            raise
        return Held(connection, driver, is_lent=self._is_lent or driver.get_server_pid() != serving)

    async def _discard(self, connection: AsyncConnection) -> None:
        await connection.invalidate()
        await connection.close()

    async def close(self) -> None:
        """Close every connection."""
        for held in self._idle:
            await held.connection.close()
        await self.engine.dispose()
        await self.listening_engine.dispose()


@contextlib.asynccontextmanager
async def _transaction(driver: Any, begin: str, within: Within) -> AsyncGenerator[None]:
    """Begin, saying for whom in the same message, so that this costs no trip; then commit, or roll back."""
    try:
        await driver.execute(f"{begin}; {facing(within, local=True)}")
        yield
        await driver.execute("COMMIT")
    except BaseException:
        if not driver.is_closed():
            await asyncio.shield(driver.execute("ROLLBACK"))
        raise


def _plain(connection: AsyncConnection) -> Connection:
    """The connection that one in a coroutine stands for."""
    found = connection.sync_connection
    assert found is not None  # noqa: S101 - it is connected
    return found
