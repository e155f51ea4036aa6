"""What is measured all the time, and what is looked up when somebody asks."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Generator
from datetime import datetime

import msgspec
from prometheus_client.multiprocess import mark_process_dead  # pyright: ignore[reportUnknownVariableType]

from workbench.adapters.metrics.prometheus import MULTIPROCESS_FOLDER, PrometheusMeter
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.walls import Written
from workbench.domain.clock import Clock
from workbench.domain.delivery.ports import DeliveryQueue
from workbench.domain.events.hub import EventHub
from workbench.domain.flows.ports import FlowLedger
from workbench.domain.jobs.ports import JobHandlers, JobQueue
from workbench.domain.troubleshooting.watching import SessionWatch
from workbench.wiring.announcements import Announcements

NOTED_EVERY_SECONDS = 5.0


class DueJobs:
    """Since when jobs are due, by kind."""

    def __init__(self, queue: JobQueue, handlers: JobHandlers) -> None:
        self._queue = queue
        self._kinds = sorted(handlers.by_kind)

    async def oldest(self, now: datetime) -> dict[str, datetime | None]:
        """Look; a kind of which none is due is there as well."""
        found = await self._queue.oldest(now)
        return {kind: found.get(kind) for kind in self._kinds}


class Lookups:
    """What is looked up in the database: what waits, everywhere."""

    def __init__(
        self, queue: DeliveryQueue, sessions: SessionWatch, jobs: DueJobs, flows: FlowLedger, clock: Clock
    ) -> None:
        self._queue = queue
        self._flows = flows
        self._sessions = sessions
        self._jobs = jobs
        self._clock = clock

    async def read(self, meter: PrometheusMeter) -> None:
        """Look, and note it."""
        now = self._clock.now()
        backlog = await self._queue.backlog()
        meter.backlog(backlog, _seconds(backlog.oldest_waiting, now))
        meter.sessions.figures(await self._sessions.figures(now))
        meter.jobs({kind: _seconds(since, now) for kind, since in (await self._jobs.oldest(now)).items()})
        # Every process looks: what only the one with the lease knew, the others would tell as it was when they had it.
        meter.flows.flows(await self._flows.counts(), await self._flows.pending())


def _seconds(since: datetime | None, now: datetime) -> float:
    return max((now - since).total_seconds(), 0.0) if since else 0.0


class Measures:
    """Reads what is measured."""

    def __init__(
        self, meter: PrometheusMeter, announcements: Announcements, lookups: Lookups, hub: EventHub, database: Database
    ) -> None:
        announcements.listen(meter.committed)
        announcements.listen(meter.sessions.committed)
        self._meter = meter
        self._lookups = lookups
        self._hub = hub
        self._written = database.written
        self._noted = Written()

    async def read(self) -> bytes:
        """Look up what waits, and say everything in Prometheus' text format."""
        await self._lookups.read(self._meter)
        self._note()
        return self._meter.exposition()

    def _note(self) -> None:
        self._meter.streams(self._hub.reader_count)
        now = msgspec.structs.replace(self._written)
        self._meter.wrote(now.commits - self._noted.commits, now.statements - self._noted.statements)
        self._meter.read(now.reads - self._noted.reads)
        self._meter.refused_unscoped(now.unscoped - self._noted.unscoped)
        self._noted = now

    async def run(self) -> None:
        """Note what this process does for ever: another process may be the one that is asked."""
        while True:
            self._note()
            await asyncio.sleep(NOTED_EVERY_SECONDS)


@contextlib.contextmanager
def measured_together() -> Generator[None]:
    """Let the worker processes that are started in the block share what they measure, so that any can tell it."""
    with tempfile.TemporaryDirectory(prefix="workbench-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[MULTIPROCESS_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[MULTIPROCESS_FOLDER]


def forget_process(pid: int | None) -> None:
    """Count a worker that has ended no more among those that hold streams."""
    if pid is not None:
        mark_process_dead(pid)
