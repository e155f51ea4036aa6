"""Labelled points in the server under test, where it kills itself as a power cut would.

The product knows nothing of them: they stand in adapters that the launcher puts in place of its own. A point is armed
by a file, shared by all replicas, with a label and how often it is to be passed first; one replica alone takes it.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection

from workbench.adapters.assistants.client import HttpAssistantClient
from workbench.adapters.sql.chosen import Chosen, Together
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.deliveries import _ADVANCE
from workbench.adapters.sql.group_commit import GroupCommit
from workbench.adapters.sql.postgresql import PostgresDatabase
from workbench.adapters.sql.sqlite import SqliteDatabase
from workbench.adapters.sql.walls import Within
from workbench.adapters.sql.writes import Writes
from workbench.domain.assistant_services.model import AssistantAddress
from workbench.domain.events.model import Event
from workbench.wiring.announcements import Announcements
from workbench.wiring.settings import Settings

T = TypeVar("T")

INSERTED = "after the insert"
COMMITTED = "after the commit"
PUBLISHED = "after the publishing"
SENT = "after the HTTP send"
NOT_REMEMBERED = "before the cursor is stored"
LABELS = (INSERTED, COMMITTED, PUBLISHED, SENT, NOT_REMEMBERED)
ON_ITS_WAY_SECONDS = 0.002
"""How long a statement gets to leave; whether it is carried out is then the database's affair."""


class Points:
    """The points of one process."""

    def __init__(self, armed: Path) -> None:
        self._armed = armed
        self._order = ""
        self._left = 0

    def passing(self, label: str) -> None:
        """Come by; not everybody comes away."""
        order = self._order_now()
        if order != self._order:
            self._order = order
            self._left = int(order.partition(":")[0] or 0)
        if order.partition(":")[2] != label:
            return
        self._left -= 1
        if self._left <= 0:
            with suppress(FileNotFoundError):
                self._armed.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(60)  # a signal may take a moment, in which nothing more may happen

    def is_armed(self, label: str) -> bool:
        """Whether the label is the one."""
        return self._order_now().endswith(label)

    def in_work(self, work: Callable[[Connection], T]) -> Callable[[Connection], T]:
        """The same work, with a point behind it: before it is committed."""

        def working(connection: Connection) -> T:
            result = work(connection)
            self.passing(INSERTED)
            return result

        return working

    def _order_now(self) -> str:
        try:
            return self._armed.read_text()
        except FileNotFoundError:
            return ""


class PointedSqlite(SqliteDatabase):
    """SQLite with points around its commits."""

    points: Points

    async def transact(self, work: Callable[[Connection], T], within: Within = None) -> T:
        result = await super().transact(self.points.in_work(work), within)
        self.points.passing(COMMITTED)
        return result

    async def write(self, choose: Callable[[], Chosen[T]]) -> T:
        result = await super().write(lambda: self._pointed(choose()))
        self.points.passing(COMMITTED)
        return result

    def _pointed(self, chosen: Chosen[T]) -> Chosen[T]:
        if isinstance(chosen, Together):
            return Together(self.points.in_work(chosen.work), chosen.within)
        if not self.points.is_armed(INSERTED):
            return chosen
        # It commits by itself: there is a place between the insert and the commit only if it is made to wait.
        work = self.points.in_work(lambda connection: chosen.statement.one(connection, chosen.row))
        return Together(lambda connection: chosen.read(work(connection)), chosen.within)


class PointedPostgres(PostgresDatabase):
    """PostgreSQL with points around its commits."""

    points: Points

    async def transact(self, work: Callable[[Connection], T], within: Within = None) -> T:
        result = await super().transact(self.points.in_work(work), within)
        self.points.passing(COMMITTED)
        return result

    async def write(self, choose: Callable[[], Chosen[T]]) -> T:
        chosen = choose()
        if isinstance(chosen, Together):
            return await self.transact(chosen.work, chosen.within)
        running = asyncio.ensure_future(super().write(lambda: chosen))
        if self.points.is_armed(INSERTED):
            # It commits by itself: what lies between the insert and the commit is the way to the server and back.
            await asyncio.sleep(ON_ITS_WAY_SECONDS)
            self.points.passing(INSERTED)
        result = await running
        self.points.passing(COMMITTED)
        return result


class PointedGroup(GroupCommit):
    """The group commit, with a point before an assistant's place is stored."""

    points: Points

    async def commit(self, writes: Writes) -> None:
        if any(change.statement is _ADVANCE for change in writes.changes):
            self.points.passing(NOT_REMEMBERED)
        await super().commit(writes)


class PointedAnnouncements(Announcements):
    """Tells of commits, with a point behind it."""

    def __init__(self, points: Points) -> None:
        super().__init__()
        self._points = points

    def tell(self, events: Sequence[Event]) -> None:
        super().tell(events)
        self._points.passing(PUBLISHED)


class PointedClient(HttpAssistantClient):
    """Calls assistant services, with a point behind each event that arrived."""

    points: Points

    async def post_event(self, address: AssistantAddress, conversation_id: UUID, envelope: bytes) -> None:
        await super().post_event(address, conversation_id, envelope)
        self.points.passing(SENT)


async def pointed_database(settings: Settings, points: Points) -> AsyncIterator[Database]:
    """Open the database that the settings name, as the product does, with points in it."""
    db = settings.db
    database: PointedSqlite | PointedPostgres
    if settings.database_kind == "sqlite":
        database = PointedSqlite(settings.sqlalchemy_url, db.sqlite_synchronous)
    else:
        database = PointedPostgres(
            settings.sqlalchemy_url, db.postgresql_pool_size, db.postgresql_ssl_mode, settings.direct_url
        )
    database.points = points
    yield database
    await database.close()
