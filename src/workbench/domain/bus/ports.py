"""What flows need of a message bus, and who counts what happens on it."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractContextManager
from typing import Literal, Protocol

import msgspec

from workbench.domain.bus.model import BusState, Message

Loss = Literal["connection", "queue"]
"""What a subscription lost: its connection, after which it goes on with what was kept; or its queue with all in it."""


class Delivery(Protocol):
    """A message that was handed to a reader, who answers for it until it says `ack` or `reject`."""

    message: Message
    attempt: int
    """The how manieth time it is handed out, from 1 on; more than 1 also where that is all that is known."""

    async def ack(self) -> None:
        """Be done with it; nothing happens where the connection that brought it is gone."""
        ...

    async def reject(self, *, requeue: bool) -> None:
        """Give it back to be delivered again, or have it set aside where its topic's class does so."""
        ...


class Subscription(Protocol):
    """A reader that is bound: whatever is published from now on reaches it."""

    def __aiter__(self) -> AsyncIterator[Delivery]:
        """What comes, for ever; ends with `close`, raises TopicMissingError when the topic is deleted."""
        ...

    async def close(self) -> None:
        """Stop reading; what was not acknowledged is delivered to another reader."""
        ...


class MessageBus(Protocol):
    """Topics, and messages on them. Only the life cycle of flows creates topics: publishers and readers never do."""

    is_durable: bool
    """Whether work that was published outlives this process."""

    async def start(self) -> None:
        """Connect. Raises BusUnavailableError where that is refused for good: wrong password, no such host."""
        ...

    async def close(self, drain_seconds: float = 5.0) -> None:
        """Let go of everything, however often it is said; publishing fails from now on."""
        ...

    def state(self) -> BusState:
        """How it is."""
        ...

    async def create_topic(self, topic: str) -> None:
        """Make the topic, if it is not there. Raises BusError."""
        ...

    async def delete_topic(self, topic: str, subscriptions: Collection[str]) -> None:
        """Remove the topic and its queues, those of these subscriptions for certain. Raises BusError."""
        ...

    async def topic_exists(self, topic: str) -> bool:
        """Whether it is there. Raises BusError."""
        ...

    async def publish(self, topic: str, message: Message, seconds: float) -> None:
        """Return when the bus has taken responsibility, within that time. Raises BusError, TimeoutError."""
        ...

    async def subscribe(
        self, topic: str, subscription: str, prefetch: int, lost: Callable[[Loss], None] | None = None
    ) -> Subscription:
        """Bind a reader that has at most `prefetch` messages in hand; returns when it can receive.

        Readers of one subscription of a shared topic compete; elsewhere each names its own. The first failure is
        raised (BusError); later ones the reader survives, and `lost` is told.
        """
        ...


class BusTracer(Protocol):
    """Marks in a trace what belongs together. Names are those of blueprints; nothing of what is said is told."""

    def call(self, interface: str) -> AbstractContextManager[str | None]:
        """A request, for the length of the block; gives what the service goes on with, as a `traceparent`."""
        ...

    def run(self, service: str, input_name: str) -> AbstractContextManager[None]:
        """What a service does for a request, or with a piece of work."""
        ...


class Asked(msgspec.Struct, frozen=True):
    """Which interface is asked, in which workspace."""

    workspace_id: str
    interface: str


class BusMeter(Protocol):
    """Counts what happens on the bus. Labels are names of blueprints' services and interfaces, never ids.

    Whose requests they are is told too, for who counts by workspace.
    """

    def published(self, service: str, output: str, outcome: str, seconds: float) -> None:
        """Count a message that a service or the gateway sent, and how long the bus took to take it."""
        ...

    def reading(self, service: str, input_name: str, change: int) -> None:
        """Note that a service began to read an input, or ended."""
        ...

    def subscribed(self, interface: str, change: int) -> None:
        """Note that replies of an interface are read, or are no longer."""
        ...

    def consumed(self, service: str, input_name: str, outcome: str, seconds: float) -> None:
        """Count a request that a service was given, and how long it took."""
        ...

    def rate_limited(self, service: str, input_name: str) -> None:
        """Count a wait because whatever a service stands on was busy."""
        ...

    def received(self, interface: str, kind: str) -> None:
        """Count a reply."""
        ...

    def dropped(self, interface: str, reason: str) -> None:
        """Count a reply that nobody was given."""
        ...

    def requested(self, asked: Asked, outcome: str, seconds: float, first_seconds: float | None) -> None:
        """Count a request that ended."""
        ...

    def timed_out(self, asked: Asked, phase: str) -> None:
        """Count a request that took too long."""
        ...

    def in_flight(self, asked: Asked, change: int) -> None:
        """Note that a request began or ended."""
        ...

    def mailboxes(self, used_bytes: int) -> None:
        """Note how much waits for callers."""
        ...

    def reconnected(self, role: str, cause: str) -> None:
        """Count a connection that was lost and made again."""
        ...

    def connection(self, role: str, *, is_up: bool) -> None:
        """Note whether a connection is up."""
        ...

    def blocked(self, *, is_blocked: bool) -> None:
        """Note whether the broker takes messages."""
        ...
