"""The bus inside a process: nothing to install, nothing survives it.

Messages are passed as the bytes that they are, so that nobody shares an object, and publishing never runs a reader.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection

import msgspec

from workbench.domain.bus.errors import BusFullError, BusUnavailableError, NoRouteError, TopicMissingError
from workbench.domain.bus.model import CONTROL_TOPIC, DEAD_TOPIC, MAX_DELIVERIES, BusState, Message, TopicName
from workbench.domain.bus.ports import Delivery, Loss, MessageBus, Subscription

MAX_MESSAGES = 1000
MAX_BYTES = 16 << 20
REQUESTS_KEPT_SECONDS = 1800.0
"""How long a queue of requests is kept that nobody reads."""


class _Stored:
    """A message in a queue: when it is worthless, and how often it was handed out."""

    __slots__ = ("deliveries", "expires", "message")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.expires = None if message.ttl_seconds is None else time.monotonic() + message.ttl_seconds
        self.deliveries = 0


class _Queue:
    """What waits for the readers of one subscription."""

    def __init__(self, topic: TopicName, bury: Callable[[Message], None]) -> None:
        self.topic = topic
        self.readers: set[InProcessSubscription] = set()
        self.left_at: float | None = None
        self.is_gone = False
        self._bury = bury
        self._waiting: deque[_Stored] = deque()
        self._bytes = 0

    @property
    def is_forsaken(self) -> bool:
        """Whether requests have had no reader for so long that nobody will come."""
        is_old = self.left_at is not None and time.monotonic() - self.left_at > REQUESTS_KEPT_SECONDS
        return self.topic.topic_class == "request" and is_old

    def put(self, message: Message) -> bool:
        """Take a message; False where there is no room. What only one reads loses its oldest instead."""
        if self._is_full(message):
            if self.topic.is_shared:
                return False
            while self._waiting and self._is_full(message):
                self._bytes -= len(self._waiting.popleft().message.body)
        self._waiting.append(_Stored(message))
        self._bytes += len(message.body)
        self._ring()
        return True

    def _is_full(self, message: Message) -> bool:
        return len(self._waiting) >= MAX_MESSAGES or self._bytes + len(message.body) > MAX_BYTES

    def take(self) -> _Stored | None:
        """The oldest that is still worth it."""
        while self._waiting:
            stored = self._waiting.popleft()
            self._bytes -= len(stored.message.body)
            if stored.expires is None or time.monotonic() < stored.expires:
                stored.deliveries += 1
                return stored
        return None

    def put_back(self, stored: _Stored) -> None:
        """Have it delivered again before all others, or bury it where that was tried often enough."""
        if self.is_gone:
            return
        if self.topic.topic_class == "flow" and stored.deliveries >= MAX_DELIVERIES:
            self._bury(stored.message)
            return
        self._waiting.appendleft(stored)
        self._bytes += len(stored.message.body)
        self._ring()

    def set_aside(self, stored: _Stored) -> None:
        """Keep work that was refused for good where operators find it; requests are forgotten."""
        if self.topic.topic_class == "flow":
            self._bury(stored.message)

    def end(self) -> None:
        """Tell readers that the topic is gone."""
        self.is_gone = True
        self._ring()

    def _ring(self) -> None:
        for reader in self.readers:
            reader.wake.set()


class InProcessDelivery(Delivery):
    """A message in a reader's hand."""

    def __init__(self, stored: _Stored, reader: "InProcessSubscription") -> None:
        self.message = stored.message
        self.attempt = stored.deliveries
        self._stored = stored
        self._reader = reader

    async def ack(self) -> None:
        """Be done with it."""
        self._reader.settle(self._stored)

    async def reject(self, *, requeue: bool) -> None:
        """Put it back, or aside."""
        if self._reader.settle(self._stored):
            if requeue:
                self._reader.queue.put_back(self._stored)
            else:
                self._reader.queue.set_aside(self._stored)


class InProcessSubscription(Subscription):
    """A reader of a queue."""

    def __init__(self, queue: _Queue, prefetch: int, leave: Callable[["InProcessSubscription"], None]) -> None:
        self.queue = queue
        self.wake = asyncio.Event()
        self._prefetch = prefetch
        self._leave = leave
        self._in_hand: dict[int, _Stored] = {}
        self._is_closed = False

    def settle(self, stored: _Stored) -> bool:
        """Whether it was in hand; it no longer is."""
        found = self._in_hand.pop(id(stored), None) is not None
        self.wake.set()
        return found

    def __aiter__(self) -> AsyncIterator[Delivery]:
        return self._deliveries()

    async def _deliveries(self) -> AsyncGenerator[Delivery]:
        while not self._is_closed:
            self.wake.clear()
            if self.queue.is_gone:
                raise TopicMissingError(str(self.queue.topic))
            stored = self.queue.take() if len(self._in_hand) < self._prefetch else None
            if stored is None:
                await self.wake.wait()
                continue
            self._in_hand[id(stored)] = stored
            yield InProcessDelivery(stored, self)

    async def close(self) -> None:
        """Give back what is in hand, in its old order."""
        if self._is_closed:
            return
        self._is_closed = True
        in_hand, self._in_hand = list(self._in_hand.values()), {}
        self._leave(self)
        for stored in reversed(in_hand):
            self.queue.put_back(stored)
        self.wake.set()


class InProcessBus(MessageBus):
    """Topics of this process."""

    is_durable = False

    def __init__(self) -> None:
        self._topics: dict[str, dict[str, _Queue]] = {}
        self._state: BusState = "closed"

    async def start(self) -> None:
        """Be there."""
        self._state = "up"
        for topic in (CONTROL_TOPIC, DEAD_TOPIC):
            self._topics.setdefault(topic, {})
        self._queue(DEAD_TOPIC, DEAD_TOPIC)

    async def close(self, drain_seconds: float = 5.0) -> None:  # noqa: ARG002 - nothing is on its way here
        """Forget everything."""
        self._state = "closed"
        for queues in self._topics.values():
            for queue in queues.values():
                queue.end()
        self._topics.clear()

    def state(self) -> BusState:
        """Up, or closed."""
        return self._state

    async def create_topic(self, topic: str) -> None:
        """Add it."""
        self._require_up()
        TopicName.parse(topic)
        self._topics.setdefault(topic, {})

    async def delete_topic(self, topic: str, subscriptions: Collection[str]) -> None:  # noqa: ARG002 - they hang on it
        """Take it away with all that waits in it."""
        self._require_up()
        for queue in self._topics.pop(topic, {}).values():
            queue.end()

    async def topic_exists(self, topic: str) -> bool:
        """Whether it is there."""
        self._require_up()
        return topic in self._topics

    async def publish(self, topic: str, message: Message, seconds: float) -> None:  # noqa: ARG002 - takes no time
        """Put it into every queue; one that is full fails the whole, though others have it. Then readers may run."""
        self._require_up()
        queues = self._require(topic)
        for name in [name for name, queue in queues.items() if queue.is_forsaken and not queue.readers]:
            del queues[name]
        if not queues:
            raise NoRouteError(topic)
        # A copy of the headers: the sender's own dict may change.
        copy = msgspec.structs.replace(message, headers=dict(message.headers))
        took = [queue.put(copy) for queue in queues.values()]
        if not all(took):
            raise BusFullError(topic)
        await asyncio.sleep(0)

    async def subscribe(
        self,
        topic: str,
        subscription: str,
        prefetch: int,
        lost: Callable[[Loss], None] | None = None,  # noqa: ARG002 - nothing is lost here
    ) -> Subscription:
        """Join the readers of a queue, which is made for the first."""
        self._require_up()
        self._require(topic)
        queue = self._queue(topic, subscription)
        reader = InProcessSubscription(queue, prefetch, lambda reader: self._leave(topic, subscription, reader))
        queue.readers.add(reader)
        queue.left_at = None
        reader.wake.set()
        return reader

    def _queue(self, topic: str, subscription: str) -> _Queue:
        queues = self._topics[topic]
        if subscription not in queues:
            queues[subscription] = _Queue(TopicName.parse(topic), self._bury)
        return queues[subscription]

    def _leave(self, topic: str, subscription: str, reader: InProcessSubscription) -> None:
        queue = reader.queue
        queue.readers.discard(reader)
        if not queue.readers:
            queue.left_at = time.monotonic()
            if not queue.topic.is_shared and self._topics.get(topic, {}).get(subscription) is queue:
                del self._topics[topic][subscription]

    def _bury(self, message: Message) -> None:
        dead = self._queue(DEAD_TOPIC, DEAD_TOPIC)
        if not dead.put(message):
            dead.take()
            dead.put(message)

    def _require_up(self) -> None:
        if self._state != "up":
            raise BusUnavailableError("the bus is closed")

    def _require(self, topic: str) -> dict[str, _Queue]:
        queues = self._topics.get(topic)
        if queues is None:
            raise TopicMissingError(topic)
        return queues
