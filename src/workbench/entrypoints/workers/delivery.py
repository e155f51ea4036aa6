"""Delivery to assistants: finds what waits, holds the leases, and runs one task for each conversation of each.

An assistant's lease is held by one process at a time. Within it, every conversation is delivered by a task of
its own, so that what is slow or dead delays nothing else; an assistant gets at most so many calls at once.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from uuid import UUID, uuid4

import structlog

from workbench.domain.clock import Clock
from workbench.domain.delivery.model import Delivery
from workbench.domain.delivery.ports import DeliveryQueue
from workbench.domain.delivery.service import DeliveryService
from workbench.domain.events.model import Event
from workbench.domain.jobs.model import LEASE_SECONDS, RENEWAL_SECONDS
from workbench.domain.jobs.ports import Leases

SCAN_SECONDS = 5.0
"""How often everything is looked at, in case a word was missed."""
GATHER_SECONDS = 0.02
"""Between two looks, so that a burst of events is one look."""
SCAN_LIMIT = 1000
CALLS_AT_ONCE = 4
SEND_MARGIN_SECONDS = 21.0
"""A call is made only while the lease outlasts it: the longest call that settings allow takes 20 seconds."""
ERROR_PAUSE_SECONDS = 1.0
FAREWELL_SECONDS = 0.5
"""What calls that are under way get to finish when the process ends."""

Key = tuple[UUID, UUID]

logger = structlog.get_logger(__name__)


def lease_name(assistant_id: UUID) -> str:
    """Name the lease for delivering to an assistant."""
    return f"delivery:{assistant_id}"


class Desk:
    """The delivery of one conversation to one assistant, while there is something to do."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.bell = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class DeliveryWorker:
    """The delivering of one process."""

    def __init__(self, queue: DeliveryQueue, service: DeliveryService, leases: Leases, clock: Clock) -> None:
        self._queue = queue
        self._service = service
        self._leases = leases
        self._clock = clock
        self._holder = uuid4().hex
        self._good_until: dict[str, float] = {}
        self._desks: dict[Key, Desk] = {}
        self._calls: dict[UUID, asyncio.Semaphore] = {}
        self._touched: set[UUID] = set()
        self._look_everywhere = True
        self._bell = asyncio.Event()

    def announce(self, events: Sequence[Event]) -> None:
        """Hear of events that this process committed."""
        self._touched.update(event.conversation_id for event in events if event.conversation_id is not None)
        self._bell.set()

    def notice(self, _workspace_id: str | None, _position: int | None) -> None:
        """Hear that another process committed something."""
        self._look_everywhere = True
        self._bell.set()

    async def run(self) -> None:
        """Look, deliver and renew, for ever."""
        renewed = time.monotonic()
        scanned = 0.0
        while True:
            now = time.monotonic()
            if now - renewed >= RENEWAL_SECONDS:
                await self._renew()
                renewed = now
            if now - scanned >= SCAN_SECONDS:
                self._look_everywhere = True
            if self._look_everywhere:
                scanned = now
            await self._look()
            await asyncio.sleep(GATHER_SECONDS)
            await _rung(self._bell, min(SCAN_SECONDS, RENEWAL_SECONDS) / 2)

    async def stop(self) -> None:
        """End all tasks and give the leases to whoever goes on.

        What is being sent may still arrive, and be remembered, so that the next holder does not send it again.
        """
        held, self._good_until = list(self._good_until), {}
        tasks = {desk.task for desk in self._desks.values() if desk.task is not None}
        for desk in self._desks.values():
            desk.bell.set()
        if tasks:
            _, tasks = await asyncio.wait(tasks, timeout=FAREWELL_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._leases.release(held, self._holder)

    async def _look(self) -> None:
        """Find what waits where something happened, and see that somebody is at each desk."""
        self._bell.clear()
        touched, self._touched = self._touched, set()
        everywhere, self._look_everywhere = self._look_everywhere, False
        if not everywhere and not touched:
            return
        waiting = await self._queue.waiting(None if everywhere else touched, SCAN_LIMIT)
        await self._acquire({delivery.assistant_id for delivery in waiting})
        for delivery in waiting:
            if self._holds(delivery.assistant_id, 0):
                self._see_to(delivery)

    def _see_to(self, delivery: Delivery) -> None:
        desk = self._desks.get(delivery.key)
        if desk is None:
            self._desks[delivery.key] = desk = Desk(delivery)
            desk.task = asyncio.create_task(self._serve(desk))
        elif delivery.retry_at is None:
            # Put off here, but since then its service was heard of, or something else made it worth a try.
            desk.bell.set()

    async def _serve(self, desk: Desk) -> None:
        """Deliver until nothing waits or the lease is lost."""
        key = desk.delivery.key
        calls = self._calls.setdefault(key[0], asyncio.Semaphore(CALLS_AT_ONCE))
        current: Delivery | None = desk.delivery
        try:
            while current is not None and self._holds(key[0], 0):
                desk.delivery = current
                desk.bell.clear()
                await self._wait(desk)
                async with calls:
                    current = await self._proceed(current)
        finally:
            del self._desks[key]
            if desk.bell.is_set():
                # Rung when the last look at the log was over already.
                self._touched.add(key[1])
                self._bell.set()

    async def _proceed(self, delivery: Delivery) -> Delivery | None:
        try:
            if not self._holds(delivery.assistant_id):
                await asyncio.sleep(GATHER_SECONDS)
                return delivery
            return await self._service.proceed(delivery, lambda: self._holds(delivery.assistant_id))
        except Exception:
            # A defect or a database that is away; the position is stored, so nothing is lost by trying again.
            logger.exception("delivery failed", assistant_id=str(delivery.assistant_id))
            await asyncio.sleep(ERROR_PAUSE_SECONDS)
            return delivery

    async def _wait(self, desk: Desk) -> None:
        """Wait until the delivery's time has come, or somebody rings."""
        if desk.delivery.retry_at is None:
            return
        pause = (desk.delivery.retry_at - self._clock.now()).total_seconds()
        if pause > 0:
            await _rung(desk.bell, pause)

    def _holds(self, assistant_id: UUID, margin: float = SEND_MARGIN_SECONDS) -> bool:
        """Whether the lease is ours for so many seconds more."""
        return self._good_until.get(lease_name(assistant_id), 0.0) - time.monotonic() > margin

    async def _acquire(self, assistant_ids: set[UUID]) -> None:
        wanted = {lease_name(assistant_id) for assistant_id in assistant_ids} - self._good_until.keys()
        before = time.monotonic()
        for name in await self._leases.acquire(wanted, self._holder, LEASE_SECONDS):
            self._good_until[name] = before + LEASE_SECONDS

    async def _renew(self) -> None:
        if not self._good_until:
            return
        before = time.monotonic()
        held = await self._leases.renew(self._holder, LEASE_SECONDS)
        self._good_until = dict.fromkeys(held, before + LEASE_SECONDS)


async def _rung(bell: asyncio.Event, seconds: float) -> None:
    """Wait for the bell, but no longer than that. (`asyncio.wait_for` can swallow a cancellation before Python 3.12.)"""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await bell.wait()
