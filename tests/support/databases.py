"""Databases for tests: a migrated SQLite file or PostgreSQL database, and blocks on it without a server."""

import shutil
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.engine import make_url
from tests.support.clocks import SettableClock

from workbench.adapters.sql.database import Database, open_database
from workbench.adapters.sql.group_commit import GroupCommit
from workbench.adapters.sql.transactions import SqlTransactions
from workbench.adapters.sql.walls import Duty, Within
from workbench.domain.clock import Clock
from workbench.domain.events.model import Event
from workbench.domain.participants.model import Participant, Permission

OWNER, SERVICE = "workbench_owner", "workbench_app"
"""The roles of PostgreSQL: whose the tables are, and as whom the service works."""
OBSERVE = Duty(name="observe", places=(), reason="Tests look at what is stored, and set it as it would be long after.")


class Observed:
    """A database that a test looks at past the wall; what says for whom it looks is held to that."""

    def __init__(self, database: Any) -> None:
        self.unobserved = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unobserved, name)

    async def rows(self, statement: Any, parameters: Any = None, within: Within = OBSERVE) -> Any:
        return await self.unobserved.rows(statement, parameters, within)

    async def transact(self, work: Any, within: Within = OBSERVE) -> Any:
        return await self.unobserved.transact(work, within)


class Store:
    """SQL transactions on a database of the test's own, and the events they announced."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database: Any = Observed(database)
        self.clock = clock
        self.announced: list[Event] = []
        self.listeners: list[Callable[[Sequence[Event]], None]] = []
        self.group = GroupCommit(database, self._announce)
        self.transactions = SqlTransactions(database, self.group, clock)

    def _announce(self, events: Sequence[Event]) -> None:
        self.announced.extend(events)
        for listener in self.listeners:
            listener(events)

    async def seat_user(
        self, conversation_id: UUID, user_id: str, permission: Permission = "read_write", workspace_id: str = "default"
    ) -> None:
        """Give a user a seat, as redeeming a share does."""
        seat = Participant.of_user(conversation_id, user_id, user_id.title(), None, self.clock.now())
        row = {field: getattr(seat, field) for field in seat.__struct_fields__}
        async with self.transactions.write(workspace_id) as tx:
            tx.participants.add(Participant(**{**row, "conversation_permission": permission}))


def owner_of(url: str) -> str:
    """The same database as the role that owns its tables; a SQLite file has none."""
    parsed = make_url(url)
    return url if parsed.get_backend_name() == "sqlite" else parsed.set(username=OWNER).render_as_string(False)


def db_of(url: str) -> dict[str, Any]:
    """The settings of a database, its owner included."""
    settings: dict[str, Any] = {"url": url, "postgresql_ssl_mode": "disable"}
    return settings if owner_of(url) == url else {**settings, "postgresql_owner_url": owner_of(url)}


@asynccontextmanager
async def open_store(url: str, clock: Clock | None = None) -> AsyncGenerator[Store]:
    """Open the database at the URL."""
    database = open_database(make_url(url), ssl_mode="disable")
    store = Store(database, clock or SettableClock())
    try:
        yield store
    finally:
        await store.group.close()
        await database.close()


def copy_of_template(template: Path, folder: Path) -> str:
    """Copy a migrated SQLite file, and give its URL."""
    shutil.copy(template, folder / "workbench.db")
    return f"sqlite:///{folder / 'workbench.db'}"
