"""A database, as repositories need it: rows of one statement, and a whole transaction of many.

SQLite is read in place and written on a thread, one writer at a time; PostgreSQL goes through asyncpg, with
readers that stay checked out in autocommit mode, since taking a connection costs more than a point read.
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, Protocol, TypeVar

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
import structlog
from sqlalchemy import URL, Connection, Engine, Executable, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from workbench.adapters.sql.prepared import (
    Compiled,
    Prepared,
    Row,
    Statements,
    Values,
    count_statement,
    statements_sent,
)
from workbench.adapters.sql.walls import (
    Within,
    Written,
    face,
    facing,
    place_in,
    require_scoped,
    require_scoped_on,
    tenant_tables_in,
)
from workbench.domain.errors import UnavailableError
from workbench.domain.ids import new_hex_id

T = TypeVar("T")

INTEGRITY_CLASS = "23"
LOCK_CONFLICTS = frozenset({"40001", "40P01"})
CONNECTION_CLASS = "08"
ENDINGS = frozenset({"57P01", "57P02", "57P03"})
"""What PostgreSQL says to a connection when it is stopped, has crashed, or is not up yet."""

BUSY_TIMEOUT_SECONDS = 30
BUSY_PAUSE_SECONDS = 0.01
SQLITE_READERS = 2
GLANCE_SECONDS = 0.003
GLANCE_CHECK_STEPS = 1000
"""Steps of SQLite's virtual machine between two looks at the time: some tens of microseconds."""
STATEMENT_CACHE = 1000

Parameters = Mapping[str, Any] | None

logger = structlog.get_logger(__name__)


class DatabaseAwayError(UnavailableError):
    """The database cannot be reached"""


class ConnectionLostError(UnavailableError):
    """The database went away in the middle"""


def violates_integrity(error: BaseException) -> bool:
    """Whether a unique or foreign key was violated, whichever library says so."""
    cause = getattr(error, "orig", None) or error
    return isinstance(cause, sqlite3.IntegrityError) or _state(cause).startswith(INTEGRITY_CLASS)


def lost_to_another(error: BaseException) -> bool:
    """Whether the database gave way to another writer (deadlock, serialization), so that a repeat may pass."""
    return _state(getattr(error, "orig", None) or error) in LOCK_CONFLICTS


def was_refused(error: BaseException) -> bool:
    """Whether the database itself said no, so that nothing was stored; of one that went away nobody can say so."""
    cause = getattr(error, "orig", None) or error
    return isinstance(cause, sqlite3.Error) or bool(_state(cause))


def _says_goodbye(error: BaseException) -> bool:
    state = _state(getattr(error, "orig", None) or error)
    return state in ENDINGS or state.startswith(CONNECTION_CLASS)


def _state(cause: BaseException) -> str:
    return getattr(cause, "sqlstate", None) or ""


class Database(Protocol):
    """What the repositories and the group commit stand on.

    `within` is whose rows a statement may touch: those of a workspace, or everybody's for a registered duty. A statement
    that names rows of workspaces and does not keep to that raises UnscopedQueryError, before it is sent.
    """

    dialect_name: Literal["sqlite", "postgresql"]
    written: Written

    async def rows(
        self, statement: Executable, parameters: Parameters = None, within: Within = None
    ) -> Sequence[Values]:
        """Run one reading statement by itself."""
        ...

    async def transact(self, work: Callable[[Connection], T], within: Within = None) -> T:
        """Run the work in one transaction and commit it; an exception rolls back."""
        ...

    async def read_at_once(self, work: Callable[[Connection], T], within: Within = None) -> T:
        """Run work that only reads, and all of it from the same moment."""
        ...

    async def run_one(self, statement: Prepared, row: Row, within: Within = None) -> Sequence[Values]:
        """Run a single writing statement, which the database commits by itself, and answer with what it returns."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...


class SqliteDatabase:
    """SQLite in WAL mode: readers never wait, and the one writer begins at once as a writer.

    Most reads take some tens of microseconds, less than the hop to a thread and back. So a read is first
    tried where it is asked for; when it takes longer than GLANCE_SECONDS, or would have to wait for a lock, it
    is interrupted and done on a thread, so that the event loop is never held up.
    """

    dialect_name: Literal["sqlite", "postgresql"] = "sqlite"

    def __init__(self, url: URL, synchronous: str = "FULL") -> None:
        """Open the file lazily; `synchronous` is FULL (each commit is on disk) or NORMAL."""
        self.written = Written()
        self._engine = sqlite_engine(url, synchronous)
        event.listen(self._engine, "before_cursor_execute", _count)
        self._local = threading.local()
        self._held: list[Connection] = []
        self._readers = ThreadPoolExecutor(SQLITE_READERS, thread_name_prefix="sqlite-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sqlite-write")
        self._statements = Statements(self._engine.dialect)
        self._glancing: Connection | None = None
        self._glance_ends = 0.0

    async def rows(
        self, statement: Executable, parameters: Parameters = None, within: Within = None
    ) -> Sequence[Values]:
        """Run the statement at once, or on a reader thread if that takes too long."""
        self.written.reads += 1
        try:
            return self._glance(statement, parameters or {}, within)
        except (OperationalError, sqlite3.OperationalError) as error:
            cause = getattr(error, "orig", error)
            # The low byte says what it is; the rest says of what kind, such as a log that is being recovered.
            if getattr(cause, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY):
                raise
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read, statement, parameters, within)

    def _glance(self, statement: Executable, parameters: Mapping[str, Any], within: Within) -> Sequence[Values]:
        if self._glancing is None:
            self._glancing = self._open_for_glances()
        self._glance_ends = time.perf_counter() + GLANCE_SECONDS
        compiled = self._statements.find(statement)
        if compiled is None:
            face(self._glancing, within, self.written)
            return self._glancing.execute(statement, parameters).all()
        _require_scoped(compiled, parameters, within, self.written)
        driver: Any = self._glancing.connection.driver_connection
        return compiled.read(driver.execute(compiled.text, compiled.parameters(parameters)).fetchall())

    def _open_for_glances(self) -> Connection:
        connection = self._engine.connect()
        self._held.append(connection)
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
        raw: Any = connection.connection.driver_connection
        raw.set_progress_handler(lambda: time.perf_counter() > self._glance_ends, GLANCE_CHECK_STEPS)
        return connection

    def _read(self, statement: Executable, parameters: Parameters, within: Within) -> Sequence[Values]:
        return self._connection(within).execute(statement, parameters).all()

    async def read_at_once(self, work: Callable[[Connection], T], within: Within = None) -> T:
        """Run the work on a reader thread; in WAL mode a transaction reads from one moment."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read_at_once, work, within)

    def _read_at_once(self, work: Callable[[Connection], T], within: Within) -> T:
        connection = self._connection(within)
        connection.exec_driver_sql("BEGIN")
        try:
            return work(connection)
        finally:
            connection.exec_driver_sql("ROLLBACK")

    async def transact(self, work: Callable[[Connection], T], within: Within = None) -> T:
        """Run the work on the writer thread."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._write, work, within)

    async def run_one(self, statement: Prepared, row: Row, within: Within = None) -> Sequence[Values]:
        """Run the statement on the writer thread, in a transaction like any other: here that costs nothing."""
        return await self.transact(lambda connection: statement.one(connection, row), within)

    def _write(self, work: Callable[[Connection], T], within: Within) -> T:
        connection = self._connection(within)
        sent = statements_sent(connection)
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.exec_driver_sql("COMMIT")
            self.written.add(statements_sent(connection) - sent)
        except BaseException:
            # A failed COMMIT (disk full) may have ended the transaction already.
            with contextlib.suppress(DBAPIError):
                connection.exec_driver_sql("ROLLBACK")
            raise
        return result

    async def foreign_changes(self) -> int:
        """A number that moves when another process commits; the writer's own commits do not move it."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._data_version)

    def _data_version(self) -> int:
        return self._connection(None).exec_driver_sql("PRAGMA data_version").scalar_one()

    def _connection(self, within: Within) -> Connection:
        """Give this thread's own connection."""
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._engine.connect()
            self._held.append(connection)
        face(connection, within, self.written)
        return connection

    async def close(self) -> None:
        """Wait for what runs, then close."""
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._readers.shutdown()
        self._writer.shutdown()
        for connection in self._held:
            connection.close()
        self._engine.dispose()


def _count(connection: Connection, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    if tables := tenant_tables_in(statement):
        rows: Sequence[Mapping[str, Any]] = getattr(context, "compiled_parameters", None) or ({},)
        require_scoped_on(connection, tables, place_in(rows[0]), rows)
    count_statement(connection)


def _require_scoped(compiled: Compiled, parameters: Mapping[str, Any], within: Within, written: Written) -> None:
    require_scoped(compiled.tables, compiled.place, (parameters,), within, written)


def sqlite_engine(url: URL, synchronous: str = "FULL") -> Engine:
    """Make an engine whose connections are in autocommit mode with the pragmas that we rely on."""
    engine = create_engine(
        url.set(drivername="sqlite"),
        isolation_level="AUTOCOMMIT",
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
        query_cache_size=STATEMENT_CACHE,
    )

    @event.listens_for(engine, "connect")
    def _(connection: sqlite3.Connection, _: object) -> None:  # pyright: ignore[reportUnusedFunction]
        cursor = connection.cursor()
        _use_wal(cursor)
        for pragma in (
            f"synchronous={synchronous}",
            "foreign_keys=ON",
            "cache_size=-65536",
            "mmap_size=268435456",
            "temp_store=MEMORY",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _use_wal(cursor: sqlite3.Cursor) -> None:
    """Choose the write-ahead log. Where others open the file at the same time, SQLite may refuse without waiting."""
    give_up = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(BUSY_PAUSE_SECONDS)
        else:
            return


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
        event.listen(self.engine.sync_engine, "before_cursor_execute", _count)
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

    async def _read(self, statement: Executable, parameters: Mapping[str, Any], within: Within) -> Sequence[Values]:
        compiled = self._statements.find(statement)
        if compiled is not None:
            _require_scoped(compiled, parameters, within, self.written)
        async with self._held(within) as held, self._facing(held, within):
            if compiled is None:
                return (await held.connection.execute(statement, parameters)).all()
            return compiled.read(await held.driver.fetch(compiled.text, *compiled.parameters(parameters)))

    @contextlib.asynccontextmanager
    async def _facing(self, held: Held, within: Within) -> AsyncGenerator[None]:
        """Have the connection show the rows that a single statement is about."""
        if within is None or held.faces == within:
            yield
        elif held.is_lent:
            async with _transaction(held.driver, "BEGIN", within):
                yield
        else:
            self.written.facings += 1
            held.faces = None
            await held.driver.execute(facing(within, local=False))
            held.faces = within
            yield

    async def read_at_once(self, work: Callable[[Connection], T], within: Within = None) -> T:
        """Run the work in a repeatable read, which is PostgreSQL's word for one moment."""
        return await self._between("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", work, within)

    async def transact(self, work: Callable[[Connection], T], within: Within = None) -> T:
        """Run the work between BEGIN and COMMIT, which we say ourselves: each is one short trip."""

        def counted(connection: Connection) -> tuple[T, int]:
            sent = statements_sent(connection)
            return work(connection), statements_sent(connection) - sent

        result, sent = await self._between("BEGIN", counted, within)
        self.written.add(sent + len(("BEGIN", "for whom", "COMMIT")))
        return result

    async def _between(self, begin: str, work: Callable[[Connection], T], within: Within) -> T:
        async with self._held(within) as held, _transaction(held.driver, begin, within):
            return await held.connection.run_sync(work)

    async def run_one(self, statement: Prepared, row: Row, within: Within = None) -> Sequence[Values]:
        """Run the statement in autocommit mode, which saves the trips of BEGIN and COMMIT."""
        compiled = statement.compiled(self.engine.dialect)
        _require_scoped(compiled, row, within, self.written)
        async with self._held(within) as held, self._facing(held, within):
            answer = await held.driver.fetch(compiled.text, *compiled.parameters(row))
        self.written.add(1)
        return answer

    @contextlib.asynccontextmanager
    async def _held(self, within: Within) -> AsyncGenerator[Held]:
        """Take a connection in autocommit mode, with the driver's own; give it back for the next, if it is whole.

        Raises ConnectionLostError where the server closes it meanwhile, DatabaseAwayError where there is none.
        """
        async with self._slots:
            held = await self._take(within)
            face(_plain(held.connection), within, self.written)
            try:
                yield held
            except BaseException as error:
                lost = held.driver.is_closed() or _says_goodbye(error)
                if lost or not isinstance(error, Exception):
                    # Broken, or cancelled in the middle of an answer: its state is unknown.
                    await asyncio.shield(self._discard(held.connection))
                else:
                    self._idle.append(held)
                if lost and isinstance(error, Exception):
                    raise ConnectionLostError from error
                raise
            self._idle.append(held)

    async def _take(self, within: Within) -> Held:
        """Take an idle connection that the server has not closed, or a new one. Raises DatabaseAwayError.

        One that shows the rows that are meant goes before others.
        """
        self._idle.sort(key=lambda held: held.faces == within)
        while self._idle:
            held = self._idle.pop()
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


def open_database(
    url: URL,
    *,
    synchronous: str = "FULL",
    pool_size: int = 8,
    ssl_mode: str | None = None,
    direct_url: URL | None = None,
) -> Database:
    """Open the database that the URL names."""
    if url.get_backend_name() == "sqlite":
        return SqliteDatabase(url, synchronous)
    return PostgresDatabase(url, pool_size, ssl_mode, direct_url)
