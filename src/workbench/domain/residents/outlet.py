"""What a model says, gathered for a moment before it is stored: at most so long, and at most so much (turns, 4.1)."""

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec

from workbench.domain.parts.events import ProducerEvent
from workbench.domain.turns.shapes import MAX_BATCH_EVENTS

GATHER_SECONDS = 0.08
GATHER_BYTES = 4 * 1024
MAX_BATCH_BYTES = 128 * 1024
MAX_WAITING_BYTES = 512 * 1024
"""A model that says more than can be stored is not read any further until that is."""


class Outlet:
    """Between a model that speaks and the one who stores."""

    def __init__(self) -> None:
        self._events: list[tuple[ProducerEvent, int]] = []
        self._bytes = 0
        self._bell = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._began: float | None = None
        self._is_first = True
        self._is_over = False
        self._takes_all = False

    @property
    def is_empty(self) -> bool:
        """Whether all was taken."""
        return not self._events

    async def put(self, event: ProducerEvent) -> None:
        """Add what the model said; waits while too much is there."""
        size = len(msgspec.json.encode(event.payload))
        self._events.append((event, size))
        self._bytes += size
        self._began = self._began if self._began is not None else asyncio.get_running_loop().time()
        if self._bytes >= MAX_WAITING_BYTES and not self._takes_all:
            self._room.clear()
        self._bell.set()
        await self._room.wait()

    def ring(self) -> None:
        """Have whoever waits look up."""
        self._bell.set()

    def take_all(self) -> None:
        """Have nobody wait any more, however much comes: the model is stopping, and says its last."""
        self._takes_all = True
        self._room.set()

    def close(self) -> None:
        """Say that there will be no more."""
        self._is_over = True
        self._bell.set()

    async def due(self, until: float) -> None:
        """Wait until it is time to take something, or somebody rings, or that time of the loop has come."""
        loop = asyncio.get_running_loop()
        self._bell.clear()
        when = self._due_at(loop.time())
        if when is not None and when <= loop.time():
            return
        limit = until if when is None else min(until, when)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(limit):
                await self._bell.wait()

    def is_due(self) -> bool:
        """Whether it is time to take what is there."""
        now = asyncio.get_running_loop().time()
        when = self._due_at(now)
        return when is not None and when <= now

    def take(self) -> Sequence[ProducerEvent]:
        """Take what is there, as much as fits into a batch."""
        taken = room = 0
        for _, size in self._events[:MAX_BATCH_EVENTS]:
            if taken and room + size > MAX_BATCH_BYTES:
                break
            taken, room = taken + 1, room + size
        batch, self._events = self._events[:taken], self._events[taken:]
        self._bytes -= room
        self._is_first = False
        self._began = asyncio.get_running_loop().time() if self._events else None
        if self._bytes < MAX_WAITING_BYTES:
            self._room.set()
        return [event for event, _ in batch]

    def _due_at(self, now: float) -> float | None:
        """When what is there is to be stored: the first at once, so that people see that something happens."""
        if self._began is None:
            return None
        at_once = (
            self._is_first or self._is_over or self._bytes >= GATHER_BYTES or len(self._events) >= MAX_BATCH_EVENTS
        )
        return now if at_once else self._began + GATHER_SECONDS
