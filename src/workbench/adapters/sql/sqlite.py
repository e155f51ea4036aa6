"""SQLite: read in place or on a thread, and written on a thread of its own, one writer at a time."""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from sqlalchemy import URL, Connection, Engine, Executable, create_engine, event
from sqlalchemy.exc import OperationalError

from workbench.adapters.sql.chosen import Chosen, Together
from workbench.adapters.sql.prepared import STATEMENT_CACHE, Parameters, Row, Statements, Values
from workbench.adapters.sql.threads import Threads
from workbench.adapters.sql.walls import Ledger, Within, Written, face, ledger_of, look_at_statements

T = TypeVar("T")

BUSY_TIMEOUT_SECONDS = 30
BUSY_PAUSE_SECONDS = 0.01
PAGE_CACHE_KIB = 16 << 10
"""Of each connection. What is not in it is a copy away, in the system's own cache, which all of them share."""
SQLITE_READERS = 2
GLANCE_SECONDS = 0.003
GLANCE_CHECK_STEPS = 1000
"""Steps of SQLite's virtual machine between two looks at the time: some tens of microseconds."""


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
        look_at_statements(self._engine)
        self._local = threading.local()
        self._held: list[Connection] = []
        self._readers = Threads(SQLITE_READERS, "sqlite-read")
        self._writer = Threads(1, "sqlite-write")
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
        return await self._readers.call(self._read, statement, parameters, within)

    def _glance(self, statement: Executable, parameters: Row, within: Within) -> Sequence[Values]:
        if self._glancing is None:
            self._glancing = self._open_for_glances()
        self._glance_ends = time.perf_counter() + GLANCE_SECONDS
        compiled = self._statements.find(statement, parameters)
        if compiled is None:
            face(self._glancing, within, self.written)
            return self._glancing.execute(statement, parameters).all()
        compiled.require_scoped(parameters, within, self.written)
        driver = ledger_of(self._glancing).driver
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
        return await self._readers.call(self._read_at_once, work, within)

    def _read_at_once(self, work: Callable[[Connection], T], within: Within) -> T:
        connection = self._connection(within)
        connection.exec_driver_sql("BEGIN")
        try:
            return work(connection)
        finally:
            connection.exec_driver_sql("ROLLBACK")

    async def transact(self, work: Callable[[Connection], T], within: Within = None) -> T:
        """Run the work on the writer thread."""
        return await self._writer.call(self._transact, work, within)

    async def write(self, choose: Callable[[], Chosen[T]]) -> T:
        """Write what is chosen once the writer thread has come to it."""
        return await self._writer.call(lambda: self._write(choose))

    def _write(self, choose: Callable[[], Chosen[T]]) -> T:
        chosen = choose()
        if isinstance(chosen, Together):
            return self._transact(chosen.work, chosen.within)
        # Without BEGIN and COMMIT, each of which is a way to SQLite and back on which others get the interpreter's lock.
        connection = self._connection(chosen.within)
        rows = chosen.statement.one(connection, chosen.row)
        self.written.add(1)
        return chosen.read(rows)

    def _transact(self, work: Callable[[Connection], T], within: Within) -> T:
        connection = self._connection(within)
        ledger = ledger_of(connection)
        sent = ledger.sent
        _say(ledger, "BEGIN IMMEDIATE")
        try:
            result = work(connection)
            _say(ledger, "COMMIT")
            self.written.add(ledger.sent - sent)
        except BaseException:
            # A failed COMMIT (disk full) may have ended the transaction already.
            with contextlib.suppress(sqlite3.Error):
                _say(ledger, "ROLLBACK")
            raise
        return result

    async def foreign_changes(self) -> int:
        """A number that moves when another process commits; the writer's own commits do not move it."""
        return await self._writer.call(self._data_version)

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
        self._readers.shut_down()
        self._writer.shut_down()
        for connection in self._held:
            connection.close()
        self._engine.dispose()


def _say(ledger: Ledger, words: str) -> None:
    """Have the driver run what says where a transaction begins and ends, which SQLAlchemy has nothing to add to."""
    ledger.sent += 1
    ledger.driver.execute(words)


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
            f"cache_size=-{PAGE_CACHE_KIB}",
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
