"""What is measured all the time, and what is looked up when somebody asks."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Generator

import msgspec
from prometheus_client.multiprocess import mark_process_dead  # pyright: ignore[reportUnknownVariableType]

from workbench.adapters.metrics.prometheus import MULTIPROCESS_FOLDER, PrometheusMeter
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.walls import Written
from workbench.domain.clock import Clock
from workbench.domain.delivery.ports import DeliveryQueue
from workbench.domain.events.hub import EventHub
from workbench.wiring.announcements import Announcements

NOTED_EVERY_SECONDS = 5.0


class Measures:
    """Reads what is measured."""

    def __init__(
        self,
        meter: PrometheusMeter,
        announcements: Announcements,
        queue: DeliveryQueue,
        hub: EventHub,
        database: Database,
        clock: Clock,
    ) -> None:
        announcements.listen(meter.committed)
        self._meter = meter
        self._queue = queue
        self._hub = hub
        self._written = database.written
        self._noted = Written()
        self._clock = clock

    async def read(self) -> bytes:
        """Look up what waits for assistants, and say everything in Prometheus' text format."""
        backlog = await self._queue.backlog()
        waited = (self._clock.now() - backlog.oldest_waiting).total_seconds() if backlog.oldest_waiting else 0.0
        self._meter.backlog(backlog, max(waited, 0.0))
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
