"""What is made of an answer, on its way to the workbench: joined to batches, sent in order, never more than fits."""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec

from workbench.sdk.errors import SdkError
from workbench.sdk.model import Json

FLUSH_SECONDS = 0.08
FLUSH_BYTES = 4 * 1024
DELTA_BYTES = 16 * 1024
BATCH_BYTES = 192 * 1024  # the workbench takes 256 KiB, with all that is around the events
EVENT_BYTES = 250 * 1024
BATCH_EVENTS = 256
ROOM_BYTES = 256 * 1024
QUIET_SECONDS = 5.0  # a cancelled turn is ended without us after ten


class Pending:
    """What is not sent yet. Deltas that follow on each other are one event."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.size_bytes = 0
        self._events = deque[tuple[Json | msgspec.Raw, int]]()

    def add(self, event: Json) -> None:
        """Keep an event as it is now. Raises TypeError for what JSON does not have, ValueError for what is too large."""
        encoded = msgspec.json.encode(event)
        size = len(encoded)
        if size > EVENT_BYTES:
            raise ValueError(f"{event['type']} takes {size} bytes, and {EVENT_BYTES} is the most")
        if event["type"].endswith(".delta"):
            before = self._joinable(event)
            if before is None:
                self._events.append((dict(event), size))
            else:
                last, last_size = before
                size = len(msgspec.json.encode(event["delta"])) - 2
                last["delta"] += event["delta"]
                self._events[-1] = last, last_size + size
        else:
            self._events.append((msgspec.Raw(encoded), size))
        self.size_bytes += size

    def take(self) -> list[Any]:
        """Take out as much as goes into one batch: at least one event, if there is any."""
        taken: list[Any] = []
        size = 0
        while self._events and len(taken) < BATCH_EVENTS:
            event, its_size = self._events[0]
            if taken and size + its_size > BATCH_BYTES:
                break
            self._events.popleft()
            taken.append(event)
            size += its_size
        self.size_bytes -= size
        return taken

    def _joinable(self, event: Json) -> tuple[Json, int] | None:
        if not self._events:
            return None
        last, size = self._events[-1]
        if not isinstance(last, dict) or size >= DELTA_BYTES or {**last, "delta": ""} != {**event, "delta": ""}:
            return None
        return last, size


class Sender:
    """Sends what is added: the first at once, the rest in batches, at most 80 ms later.

    In silence it sends an empty batch from time to time, which keeps the turn ours.
    """

    def __init__(self, send: Callable[[list[Any]], Awaitable[None]], quiet_seconds: float = QUIET_SECONDS) -> None:
        """Begin at once to see that the turn is kept."""
        self._send = send
        self._quiet_seconds = quiet_seconds
        self._pending = Pending()
        self._stirred, self._room = asyncio.Event(), asyncio.Event()
        self._now = asyncio.get_running_loop().time
        self._sent_at = self._now()
        self._is_first, self._is_closing = True, False
        self._task = asyncio.create_task(self._work())

    async def add(self, event: Json) -> None:
        """Have an event sent; waits while there is too much unsent. Raises what sending met, if it did."""
        while self._pending.size_bytes >= ROOM_BYTES and not self._task.done():
            self._room.clear()
            await self._room.wait()
        if self._is_closing or self._task.done():
            raise (self._task.exception() if self._task.done() else None) or SdkError("the answer has ended")
        self._pending.add(event)
        self._stirred.set()

    async def finish(self) -> BaseException | None:
        """Send the rest, and give what sending met, if it did."""
        self._is_closing = True
        self._stirred.set()
        try:
            await asyncio.wait([self._task])
        finally:
            self._task.cancel()
        return self._task.exception()

    async def _work(self) -> None:
        try:
            while await self._is_due():
                events = self._pending.take()
                self._room.set()
                self._is_first = self._is_first and not events
                await self._send(events)
                self._sent_at = self._now()
        finally:
            self._room.set()

    async def _is_due(self) -> bool:
        """Wait for the time of the next batch; False when there will be none."""
        while not self._is_closing:
            left = self._due_at() - self._now()
            if left <= 0:
                return True
            self._stirred.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._stirred.wait()
        return self._pending.size_bytes > 0

    def _due_at(self) -> float:
        if not self._pending.size_bytes:
            return self._sent_at + self._quiet_seconds
        if self._is_first or self._pending.size_bytes >= FLUSH_BYTES:
            return -math.inf
        return self._sent_at + FLUSH_SECONDS
