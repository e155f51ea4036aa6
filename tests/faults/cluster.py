"""The service under test as processes: one on SQLite, or two replicas on PostgreSQL, to be killed and revived."""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import update
from tests.faults.launcher import ARMED, CLOCK_FILE, HERE, HOLDERS_FILE
from tests.faults.servers import ForkedServer
from tests.support.databases import open_store
from tests.support.postgres import Postgres

from workbench.adapters.sql.tables import leases
from workbench.wiring.local_tokens import require_local_key
from workbench.wiring.settings import Settings

COMPRESSED = {
    # Minutes of patience in seconds.
    "WORKBENCH__DELIVERY__FIRST_RETRY_SECONDS": "0.05",
    "WORKBENCH__DELIVERY__MAX_RETRY_SECONDS": "0.5",
    "WORKBENCH__DELIVERY__BREAKER_FIRST_SECONDS": "0.2",
    "WORKBENCH__DELIVERY__BREAKER_MAX_SECONDS": "0.5",
    # So small that a reader that rests falls behind.
    "WORKBENCH__EVENTS__READER_BUFFER": "16",
}


class Cluster:
    """Equal replicas on one database."""

    def __init__(self, name: str, folder: Path, database_url: str, replicas: int, postgres: Postgres | None) -> None:
        """Where there is a `postgres`, it is ours to stop."""
        self.name = name
        self.folder = folder
        self.database_url = database_url
        self.postgres = postgres
        self.kills = 0
        self.is_patient = False
        """Whether the leases of the dead run out by themselves, after half a minute."""
        self._armed = folder / "armed"
        self.servers = [self._server(number) for number in range(replicas)]

    @property
    def urls(self) -> list[str]:
        """Where the replicas are, running or not."""
        return [server.url for server in self.servers]

    def _server(self, number: int) -> ForkedServer:
        here = self._here(number)
        here.mkdir()
        environment = {
            **COMPRESSED,
            "WORKBENCH__DATA_ROOT": str(self.folder / "data"),
            "WORKBENCH__DB__URL": self.database_url,
            "WORKBENCH__DB__POSTGRESQL_SSL_MODE": "disable",
            "WORKBENCH__DB__MIGRATE_AT_START": "false",
            "WORKBENCH__LOGGING__LOG_LEVEL": "ERROR",
            HERE: str(here),
            ARMED: str(self._armed),
        }
        return ForkedServer(environment, here / "log")

    def _here(self, number: int) -> Path:
        return self.folder / f"replica-{number}"

    async def open(self) -> None:
        """Start all, with one key for all."""
        require_local_key(Settings.of(data_root=self.folder / "data"))
        await asyncio.gather(*(server.start() for server in self.servers))

    async def close(self) -> None:
        """Kill all."""
        await self.kill(self.servers)

    def arm(self, label: str, passes: int) -> None:
        """Let one replica kill itself when it has come by that point so often."""
        self._armed.write_text(f"{passes}:{label}")

    async def death(self, timeout_seconds: float) -> bool:
        """Wait until a replica has died; disarm."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while not any(server.has_ended for server in self.servers):  # noqa: ASYNC110 - a process says nothing
                    await asyncio.sleep(0.01)
        self._armed.unlink(missing_ok=True)
        return any(server.has_ended for server in self.servers)

    async def kill(self, victims: Sequence[ForkedServer]) -> None:
        """Kill these at once."""
        await asyncio.gather(*(server.kill() for server in victims))

    async def revive(self) -> None:
        """Start whoever is dead. What they held is free at once, unless the cluster is patient."""
        dead = [number for number, server in enumerate(self.servers) if server.has_ended]
        self.kills += len(dead)
        if not self.is_patient:
            await self._end_leases(dead)
        await asyncio.gather(*(self.servers[number].start() for number in dead))

    async def _end_leases(self, dead: Sequence[int]) -> None:
        files = [self._here(number) / HOLDERS_FILE for number in dead]
        holders = [holder for file in files if file.exists() for holder in file.read_text().split()]
        async with open_store(self.database_url) as store:
            over = update(leases).where(leases.c.holder.in_(holders)).values(expires_at=datetime.now(UTC))
            await store.database.transact(lambda connection: connection.execute(over))

    def set_clocks(self, offsets: Sequence[float]) -> None:
        """Set the replicas' clocks off by so many seconds."""
        for number, offset in enumerate(offsets):
            (self._here(number) / CLOCK_FILE).write_text(str(offset))

    def pick(self, chance: random.Random) -> list[ForkedServer]:
        """Choose whom it befalls: mostly one, now and then all."""
        return list(self.servers) if chance.random() < 0.15 else [chance.choice(self.servers)]


@contextlib.asynccontextmanager
async def running(cluster: Cluster) -> AsyncGenerator[Cluster]:
    """Run the cluster for the length of the block."""
    try:
        await cluster.open()
        yield cluster
    finally:
        await cluster.close()
