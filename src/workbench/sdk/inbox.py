"""What is still to be done for an assistant in a conversation: in order, one thing at a time, each once."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec

REMEMBERED = 1_000

log = logging.getLogger(__name__)


class Job(msgspec.Struct, frozen=True):
    """Something to be done, why, and for whose request."""

    id: str
    what: str
    correlation_id: str
    run: Callable[[], Awaitable[None]]


class Inbox:
    """Takes jobs at once and does them afterwards. Its task lives only while there is something to do."""

    def __init__(self, limit: int) -> None:
        """Take so many jobs before the first is done."""
        self.worker: asyncio.Task[None] | None = None
        self._limit = limit
        self._waiting = deque[Job]()
        self._seen: dict[str, None] = {}  # a dict keeps its order, so that the oldest can be forgotten

    def take(self, job: Job) -> bool:
        """Keep a job, unless it came before: events are delivered at least once. False when there is no room."""
        if job.id in self._seen:
            return True
        if len(self._waiting) >= self._limit:
            return False
        self._seen[job.id] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._waiting.append(job)
        if self.worker is None:
            self.worker = asyncio.create_task(self._work())
        return True

    def close(self) -> None:
        """Drop what is not yet done."""
        self._waiting.clear()
        if self.worker is not None:
            self.worker.cancel()

    async def _work(self) -> None:
        try:
            while self._waiting:
                job = self._waiting.popleft()
                try:
                    await job.run()
                except Exception:
                    log.exception("%s %s failed (correlation id %s)", job.what, job.id, job.correlation_id)
        finally:
            self.worker = None
