"""Everything that comes by a topic that all may hear: what a slow listener misses is counted, and disturbs nobody else."""

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from workbench.domain.bus.calls import Overflow
from workbench.domain.bus.errors import CallError, TopicMissingError
from workbench.domain.bus.model import Message
from workbench.domain.bus.ports import Loss, MessageBus, Subscription
from workbench.domain.bus.requesting import ProcessCalls
from workbench.domain.texts import read_json

PREFETCH = 200


class Heard(msgspec.Struct, frozen=True):
    """A message, what it says, and how many were lost right before it; at least so many, where a queue was lost."""

    message: Message
    data: Any
    lost: int


class _Waiting:
    """What a listener has not taken yet. Each message knows how many were lost before it."""

    def __init__(self, process: ProcessCalls, on_overflow: Overflow) -> None:
        self._budget = process.budget
        self._limits = process.limits
        self._on_overflow: Overflow = on_overflow
        self._messages: deque[Heard] = deque()
        self._bytes = 0
        self._lost = 0
        self._failure: CallError | None = None
        self._wake = asyncio.Event()

    def put(self, message: Message, data: Any) -> bool:
        """Keep a message; False where one had to be lost."""
        if self._failure is not None:
            return False
        size, has_lost = len(message.body), False
        if self._on_overflow == "drop_oldest":
            while self._messages and not self._has_room(size):
                has_lost = True
                gone = self._pop()
                self._lose_before_next(gone.lost + 1)
        if not self._has_room(size) or not self._budget.take(size):
            self.lose(1)
            return False
        self._messages.append(Heard(message, data, self._lost))
        self._bytes += size
        self._lost = 0
        self._wake.set()
        return not has_lost

    def _has_room(self, size: int) -> bool:
        limits = self._limits
        return len(self._messages) < limits.mailbox_messages and self._bytes + size <= limits.mailbox_bytes

    def _lose_before_next(self, count: int) -> None:
        """Have it told with the oldest that is left, or with the next that comes."""
        if self._messages:
            first = self._messages.popleft()
            self._messages.appendleft(Heard(first.message, first.data, first.lost + count))
        else:
            self._lost += count

    def lose(self, count: int) -> None:
        """Have it told with the next that comes, or fail where nothing may be lost."""
        self._lost += count
        if self._on_overflow == "fail":
            self.fail(CallError("slow_consumer", "Messages came faster than they were read."))

    def fail(self, error: CallError) -> None:
        """Have `next` raise when what came before is taken."""
        self._failure = self._failure or error
        self._wake.set()

    async def next(self) -> Heard:
        """The oldest. Raises the failure where nothing is left."""
        while not self._messages:
            if self._failure is not None:
                raise self._failure
            self._wake.clear()
            await self._wake.wait()
        return self._pop()

    def _pop(self) -> Heard:
        heard = self._messages.popleft()
        self._bytes -= len(heard.message.body)
        self._budget.give_back(len(heard.message.body))
        return heard

    def empty(self) -> None:
        """Let go of all."""
        while self._messages:
            self._pop()


class Overhearing:
    """A listener, from `listening_to` on."""

    def __init__(self, topic: str, waiting: _Waiting, process: ProcessCalls, label: str) -> None:
        self._topic = topic
        self._waiting = waiting
        self._meter = process.meter
        self._label = label

    async def next(self) -> Heard:
        """The next message. Raises CallError (slow_consumer, topic_missing)."""
        return await self._waiting.next()

    async def read(self, subscription: Subscription) -> None:
        """Take whatever comes, and never wait for who listens."""
        try:
            async for delivery in subscription:
                self._take(delivery.message)
                await delivery.ack()
        except TopicMissingError:
            self._waiting.fail(CallError("topic_missing", f"The topic {self._topic} is gone."))

    def _take(self, message: Message) -> None:
        self._meter.received(self._label, message.kind or "plain")
        try:
            data = read_json(message.body or b"null")
        except msgspec.DecodeError:
            self._meter.dropped(self._label, "bad")
            return
        if not self._waiting.put(message, data):
            self._meter.dropped(self._label, "overflow")


@contextlib.asynccontextmanager
async def listening_to(
    bus: MessageBus, topic: str, label: str, process: ProcessCalls, on_overflow: Overflow
) -> AsyncGenerator[Overhearing]:
    """Hear every message of a response or notify topic from now on, beside all others who do. Raises BusError."""
    waiting = _Waiting(process, on_overflow)
    overhearing = Overhearing(topic, waiting, process, label)

    def lost(loss: Loss) -> None:
        if loss == "queue":
            waiting.lose(1)

    opened = await bus.subscribe(topic, f"{label}/{uuid.uuid4()}", PREFETCH, lost)
    reader = asyncio.create_task(overhearing.read(opened))
    try:
        yield overhearing
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        await opened.close()
        waiting.empty()
