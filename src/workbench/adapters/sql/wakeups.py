"""Word that another process committed: NOTIFY on PostgreSQL, the file's change counter on SQLite.

Only positions travel. What is missed is found by the slow look that is made beside, whether or not anybody can listen.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.positions import TURN_CHANNEL, WAKEUP_CHANNEL
from workbench.adapters.sql.sqlite import SqliteDatabase

Heard = Callable[[str | None, int | None], None]
TurnHeard = Callable[[UUID | None], None]

NET_SECONDS = 5.0
"""How long after a missed word the log is looked at all the same."""
SQLITE_LOOK_SECONDS = 0.05


class SqlWakeups:
    """Listens in the way that the database offers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: list[Heard] = []
        self._turn_listeners: list[TurnHeard] = []

    def listen(self, heard: Heard) -> None:
        """Add a listener."""
        self._listeners.append(heard)

    def listen_to_turns(self, heard: TurnHeard) -> None:
        """Add a listener for what happens in turns."""
        self._turn_listeners.append(heard)

    async def run(self) -> None:
        """Listen until cancelled; raises where the connection is lost, to be run again."""
        if isinstance(self._database, SqliteDatabase):
            await self._watch(self._database)
            return
        self._tell(None, None)
        looking = asyncio.create_task(self._look_now_and_then())
        try:
            await self._listen(self._database)
        finally:
            looking.cancel()

    def _tell(self, workspace_id: str | None, position: int | None) -> None:
        for heard in self._listeners:
            heard(workspace_id, position)
        if workspace_id is None:
            self._tell_of_turn(None)

    def _tell_of_turn(self, turn_pk: UUID | None) -> None:
        for heard in self._turn_listeners:
            heard(turn_pk)

    async def _look_now_and_then(self) -> None:
        """Have everything looked at, as no word may have come."""
        while True:
            await asyncio.sleep(NET_SECONDS)
            self._tell(None, None)

    async def _listen(self, database: Any) -> None:
        """Hold one connection with LISTEN on it, outside the readers' and writers' pool; notice when it is lost.

        The database is PostgreSQL, whose module SQLite does without.
        """
        async with database.listening_engine.connect() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            await raw.add_listener(WAKEUP_CHANNEL, partial(self._hear, database.name))
            await raw.add_listener(TURN_CHANNEL, partial(self._hear_of_turn, database.name))
            try:
                # Whatever was committed before the listener stood.
                self._tell(None, None)
                while True:
                    await asyncio.sleep(NET_SECONDS)
                    await raw.execute("SELECT 1", timeout=NET_SECONDS)
            finally:
                await connection.invalidate()

    def _hear(self, own_name: str, _connection: Any, _process: int, _channel: str, payload: str) -> None:
        workspace_id, position, sender = payload.split(" ", 2)
        if sender != own_name:
            self._tell(workspace_id, int(position))

    def _hear_of_turn(self, own_name: str, _connection: Any, _process: int, _channel: str, payload: str) -> None:
        turn_pk, sender = payload.split(" ", 1)
        if sender != own_name:
            self._tell_of_turn(UUID(turn_pk))

    async def _watch(self, database: SqliteDatabase) -> None:
        """Look whether another process has committed; this one hears of its own commits directly."""
        seen = await database.foreign_changes()
        # Whatever was committed before the first look.
        self._tell(None, None)
        while True:
            await asyncio.sleep(SQLITE_LOOK_SECONDS)
            now = await database.foreign_changes()
            if now != seen:
                seen = now
                self._tell(None, None)
