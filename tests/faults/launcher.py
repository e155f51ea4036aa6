"""The server under test, with labelled points and a clock that can be set.

Where it is told what to do are two places in the environment: a folder of its own, and the file that arms a point.
"""

import os
import socket
from collections.abc import AsyncIterator, Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dishka import Provider, Scope, provide
from tests.faults.points import (
    PointedAnnouncements,
    PointedClient,
    PointedGroup,
    Points,
    pointed_database,
)

from workbench.adapters.assistants.breaker import CircuitBreakers
from workbench.adapters.assistants.client import Patience
from workbench.adapters.clock import SystemClock
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.group_commit import GroupCommit
from workbench.adapters.sql.leases import SqlLeases
from workbench.adapters.sql.remembered import Remembered
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.clock import Clock
from workbench.domain.identity.ports import ApiKeyStore
from workbench.domain.jobs.ports import Leases
from workbench.entrypoints.cli.draining import ServiceConfig, SingleServer
from workbench.entrypoints.http.app import create_app
from workbench.wiring.announcements import Announcements
from workbench.wiring.outbound import AssistantHttp
from workbench.wiring.settings import Settings, load_settings

HERE = "FAULTS_HERE"
ARMED = "FAULTS_ARMED"
CLOCK_FILE = "clock"
HOLDERS_FILE = "holders"


class ShiftedClock:
    """The machine's clock and an offset in seconds, which stands in a file."""

    def __init__(self, offset: Path) -> None:
        self._clock = SystemClock()
        self._offset = offset

    def now(self) -> datetime:
        try:
            return self._clock.now() + timedelta(seconds=float(self._offset.read_text()))
        except (FileNotFoundError, ValueError):
            return self._clock.now()


class KnownLeases(SqlLeases):
    """Notes under which names this process holds leases, so that they can be ended when it has been killed."""

    def __init__(self, database: Database, holders: Path) -> None:
        super().__init__(database)
        self._file = holders
        self._known: set[str] = set()

    async def acquire(self, names: Collection[str], holder: str, seconds: float) -> set[str]:
        if holder not in self._known:
            self._known.add(holder)
            self._file.write_text("\n".join(self._known))
        return await super().acquire(names, holder, seconds)


class Prepared(Provider):
    """The adapters that stand in for the product's own."""

    scope = Scope.APP

    def __init__(self, here: Path, armed: Path) -> None:
        super().__init__()
        self._here = here
        self._points = Points(armed)

    @provide
    def points(self) -> Points:
        return self._points

    @provide
    def clock(self) -> Clock:
        return ShiftedClock(self._here / CLOCK_FILE)

    @provide
    def announcements(self, points: Points) -> Announcements:
        return PointedAnnouncements(points)

    @provide
    async def database(self, settings: Settings, points: Points) -> AsyncIterator[Database]:
        async for database in pointed_database(settings, points):
            yield database

    @provide
    async def group(
        self, database: Database, announcements: Announcements, points: Points, remembered: Remembered
    ) -> AsyncIterator[GroupCommit]:
        group = PointedGroup(database, announcements.tell, announcements.tell_of_turn, remembered)
        group.points = points
        yield group
        await group.close()

    @provide
    def leases(self, database: Database) -> Leases:
        return KnownLeases(database, self._here / HOLDERS_FILE)

    @provide
    def assistants(
        self, http: AssistantHttp, breakers: CircuitBreakers, keys: ApiKeyStore, clock: Clock, settings: Settings
    ) -> AssistantClient:
        patience = Patience(event_seconds=settings.delivery.timeout_seconds)
        client = PointedClient(http, breakers, keys, clock, patience)
        client.points = self._points
        return client


class PreparedConfig(ServiceConfig):
    """Serves the prepared application."""

    def load_app(self) -> Any:
        app = create_app(self.settings, Prepared(Path(os.environ[HERE]), Path(os.environ[ARMED])))
        self.drain = app.state.drain
        return lambda: app


def serve(port: int) -> None:
    """Serve until killed."""
    settings = load_settings(service={"port": port})
    with socket.create_server(("127.0.0.1", port)) as listening:
        SingleServer(PreparedConfig(settings, workers=1, announcement="")).run([listening])
