"""What a host keeps over all its services: which requests run, which are not wanted any more, which were answered."""

import asyncio
import time
import uuid
from collections import OrderedDict
from typing import Any

import msgspec

from workbench.domain.bus.listening import Listener
from workbench.domain.bus.model import CONTROL_TOPIC, Message
from workbench.domain.bus.ports import Delivery, MessageBus
from workbench.domain.texts import read_json

REMEMBERED = 10_000
REMEMBERED_SECONDS = 600.0
REMEMBERED_BYTES = 64 << 10
CANCELLED_SECONDS = 1800.0


class Running:
    """A request in hand. Its delivery changes when the broker lost sight of it and hands it out again."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.run_id = uuid.uuid4().hex
        self.seq = 0
        self.is_cancelled = False
        self.task: asyncio.Task[Any] | None = None
        self.last: Message | None = None


class HostMemory:
    """The requests of this process, by their id."""

    def __init__(self) -> None:
        self.running: dict[str, Running] = {}
        self._cancelled: OrderedDict[str, float] = OrderedDict()
        self._answered: OrderedDict[str, tuple[float, Message]] = OrderedDict()

    def cancel(self, request_id: str, run_id: str | None) -> None:
        """End the request, or keep it from beginning; a run that was replaced is ended alone."""
        running = self.running.get(request_id)
        if running is not None:
            if run_id in (None, running.run_id) and running.task is not None:
                running.is_cancelled = True
                running.task.cancel()
        elif run_id is None:
            self._cancelled[request_id] = time.monotonic() + CANCELLED_SECONDS
            while len(self._cancelled) > REMEMBERED:
                self._cancelled.popitem(last=False)

    def was_cancelled(self, request_id: str) -> bool:
        """Whether nobody waits for it; asked once."""
        until = self._cancelled.pop(request_id, None)
        return until is not None and time.monotonic() < until

    def remember(self, request_id: str, answer: Message) -> None:
        """Keep a short answer, to be sent again when the request is delivered again."""
        if len(answer.body) <= REMEMBERED_BYTES:
            self._answered[request_id] = (time.monotonic(), answer)
            while len(self._answered) > REMEMBERED:
                self._answered.popitem(last=False)

    def answered(self, request_id: str) -> Message | None:
        """The answer that was sent in the last minutes."""
        found = self._answered.get(request_id)
        return None if found is None or time.monotonic() - found[0] > REMEMBERED_SECONDS else found[1]


def control_reader(bus: MessageBus, memory: HostMemory) -> Listener:
    """Hears of requests that nobody waits for any more."""

    async def hear(message: Message) -> None:
        if message.kind != "cancel":
            return
        try:
            body = read_json(message.body)
        except msgspec.DecodeError:
            return
        if isinstance(body, dict):
            fields: dict[str, Any] = body  # pyright: ignore[reportUnknownVariableType]
            request_id, run_id = fields.get("id"), fields.get("run")
            if isinstance(request_id, str):
                memory.cancel(request_id, run_id if isinstance(run_id, str) else None)

    return Listener(bus, CONTROL_TOPIC, f"host/{uuid.uuid4()}", hear)
