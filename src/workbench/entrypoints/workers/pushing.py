"""Brings notes to tickets: as soon as this process set one down, and what is due of others now and then."""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from workbench.domain.clock import Clock
from workbench.domain.errors import StaleError
from workbench.domain.events.model import Event
from workbench.domain.ids import continue_cause
from workbench.domain.tickets.model import ClaimedPush
from workbench.domain.tickets.ports import PushMeter, PushQueue
from workbench.domain.troubleshooting.pushing import PushingService
from workbench.wiring.announcements import Announcements

AT_ONCE = 8
LOOK_SECONDS = 5.0
GATHER_SECONDS = 0.02
"""Between two looks, so that a burst of events is one look."""
REASONS = frozenset({"session.resolved", "session.escalation.requested", "session.status_update.created"})

logger = structlog.get_logger(__name__)


class PushWorker:
    """The notes of one process. One that is cut short is looked for at its ticket, when nobody else can have it any more."""

    def __init__(
        self, queue: PushQueue, pushing: PushingService, meter: PushMeter, clock: Clock, announcements: Announcements
    ) -> None:
        self._queue = queue
        self._pushing = pushing
        self._meter = meter
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._bell = asyncio.Event()
        announcements.listen(self.announce)

    def announce(self, events: Sequence[Event]) -> None:
        """Hear that a note may have been set down."""
        if any(event.type in REASONS for event in events):
            self._bell.set()

    async def run(self) -> None:
        """Look and bring, for ever."""
        try:
            while True:
                self._bell.clear()
                await self._look()
                await asyncio.sleep(GATHER_SECONDS)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._bell.wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _look(self) -> None:
        free = AT_ONCE - len(self._tasks)
        now = self._clock.now()
        for claimed in await self._queue.claim(now, free) if free else ():
            task = asyncio.create_task(self._bring(claimed))
            self._tasks.add(task)
            task.add_done_callback(self._done)
        since = await self._queue.oldest()
        self._meter.oldest_push(max((now - since).total_seconds(), 0.0) if since else 0.0)

    def _done(self, task: asyncio.Task[None]) -> None:
        """Look again: a hand is free."""
        self._tasks.discard(task)
        self._bell.set()

    async def _bring(self, claimed: ClaimedPush) -> None:
        continue_cause(claimed.correlation_id or claimed.push.id.hex, claimed.trace_parent)
        log = logger.bind(push_id=str(claimed.push.id), workspace_id=claimed.workspace_id)
        try:
            after = await self._pushing.bring(claimed)
        except StaleError:
            log.info("note left to another worker")
        except Exception:
            # Its time runs out, and then it is looked for, so that nothing is lost and nothing is there twice.
            log.exception("note could not be brought to its ticket")
        else:
            if after.error_code is not None:
                log.warning("note not brought to its ticket", status=after.status, code=after.error_code)
