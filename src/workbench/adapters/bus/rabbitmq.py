"""The bus on RabbitMQ: a fanout exchange for each topic, a queue for each subscription.

Two connections: while the broker blocks those who publish, readers must go on acknowledging.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Collection

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange
from aio_pika.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed, DeliveryError, PublishError

from workbench.adapters.bus.rabbit_link import AWAY, RabbitLink, RabbitTimes, ended
from workbench.adapters.bus.rabbit_names import arguments_of, exchange_of, outgoing
from workbench.adapters.bus.rabbit_reader import RabbitSubscription
from workbench.domain.bus.errors import (
    BusBlockedError,
    BusError,
    BusFullError,
    BusUnavailableError,
    NoRouteError,
    PublishUnknownError,
    TopicMissingError,
)
from workbench.domain.bus.model import CONTROL_TOPIC, DEAD_TOPIC, BusState, Message
from workbench.domain.bus.ports import BusMeter, Loss, MessageBus, Subscription

ADMIN_SECONDS = 10.0


class RabbitBus(MessageBus):
    """Topics on a broker."""

    is_durable = True

    def __init__(self, url: str, meter: BusMeter, times: RabbitTimes | None = None) -> None:
        self._times = times or RabbitTimes()
        self._publishing = RabbitLink("publish", url, self._times, meter)
        self._consuming = RabbitLink("consume", url, self._times, meter)
        self._subscriptions: set[RabbitSubscription] = set()
        self._opening = asyncio.Lock()
        self._channel: AbstractChannel | None = None
        self._exchanges: dict[str, AbstractExchange] = {}
        self._is_open = False
        self._preparing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect. Raises RefusedError."""
        self._is_open = True
        try:
            await self._publishing.start()
            await self._consuming.start()
        except BusError:
            await self.close()
            raise
        self._preparing = asyncio.create_task(self._prepare())
        if self._publishing.is_up:
            await asyncio.wait([self._preparing], timeout=ADMIN_SECONDS)

    async def _prepare(self) -> None:
        """Make the topics of our own, as soon as there is a broker."""
        while True:
            await self._publishing.wait_until_up()
            with contextlib.suppress(BusError):
                await self.create_topic(CONTROL_TOPIC)
                await self.create_topic(DEAD_TOPIC)
                async with self._admin() as channel:
                    # One that was made under other settings stays as it is.
                    if not await self._consuming.has_queue(DEAD_TOPIC):
                        arguments = arguments_of(DEAD_TOPIC, self._times)
                        await channel.declare_queue(DEAD_TOPIC, durable=True, arguments=arguments)
                    queue = await channel.get_queue(DEAD_TOPIC)
                    await queue.bind(exchange_of(DEAD_TOPIC))
                return
            await asyncio.sleep(1)

    async def close(self, drain_seconds: float = 5.0) -> None:
        """Close subscriptions, then connections."""
        if not self._is_open:
            return
        self._is_open = False
        if self._preparing is not None:
            await ended(self._preparing)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain_seconds):
                await asyncio.gather(*[subscription.close() for subscription in list(self._subscriptions)])
        await self._publishing.close()
        await self._consuming.close()

    def state(self) -> BusState:
        """How it is with the worse of the two connections."""
        if not self._is_open:
            return "closed"
        if self._publishing.is_blocked:
            return "blocked"
        return "up" if self._publishing.is_up and self._consuming.is_up else "reconnecting"

    @contextlib.asynccontextmanager
    async def _admin(self) -> AsyncGenerator[AbstractChannel]:
        """A channel for one act, since a refusal closes it. Raises BusError."""
        self._require_open()
        channel = await self._consuming.channel()
        try:
            async with asyncio.timeout(ADMIN_SECONDS):
                yield channel
        except ChannelPreconditionFailed as error:
            raise BusError(str(error)) from error
        except ChannelNotFoundEntity as error:
            raise TopicMissingError(str(error)) from error
        except AWAY as error:
            raise BusUnavailableError("the connection to RabbitMQ was lost") from error
        finally:
            with contextlib.suppress(*AWAY):
                await channel.close()

    async def create_topic(self, topic: str) -> None:
        """Declare its exchange."""
        async with self._admin() as channel:
            await channel.declare_exchange(exchange_of(topic), aio_pika.ExchangeType.FANOUT, durable=True)

    async def delete_topic(self, topic: str, subscriptions: Collection[str]) -> None:
        """Delete its exchange, and then its queues: those do not go with it."""
        self._exchanges.pop(topic, None)
        async with self._admin() as channel:
            await channel.exchange_delete(exchange_of(topic))
            for name in subscriptions:
                await channel.queue_delete(name)

    async def topic_exists(self, topic: str) -> bool:
        """Ask."""
        try:
            async with self._admin() as channel:
                await channel.get_exchange(exchange_of(topic), ensure=True)
        except TopicMissingError:
            return False
        return True

    async def publish(self, topic: str, message: Message, seconds: float) -> None:
        """Publish, and wait for the broker's word."""
        self._require_open()
        if self._publishing.is_blocked:
            raise BusBlockedError("RabbitMQ takes no messages")
        until = time.monotonic() + seconds
        async with asyncio.timeout(seconds):
            exchange = await self._exchange(topic)
        try:
            async with asyncio.timeout(max(until - time.monotonic(), 0.001)):
                await exchange.publish(outgoing(topic, message), routing_key="", mandatory=True)
        except PublishError as error:
            raise NoRouteError(topic) from error
        except DeliveryError as error:
            raise BusFullError(topic) from error
        except ChannelNotFoundEntity as error:
            self._forget_channel()
            raise TopicMissingError(topic) from error
        except TimeoutError:
            raise
        except AWAY as error:
            self._forget_channel()
            raise PublishUnknownError("the connection to RabbitMQ was lost") from error

    async def _exchange(self, topic: str) -> AbstractExchange:
        """The exchange on the one channel that publishes. A missing one would close that, so that it is looked for first."""
        channel = self._channel
        if channel is not None and not channel.is_closed and topic in self._exchanges:
            return self._exchanges[topic]
        if not await self.topic_exists(topic):
            raise TopicMissingError(topic)
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                self._forget_channel()
                self._channel = await self._publishing.channel(confirms=True)
            exchange = self._exchanges[topic] = await self._channel.get_exchange(exchange_of(topic), ensure=False)
            return exchange

    def _forget_channel(self) -> None:
        self._channel = None
        self._exchanges.clear()

    async def subscribe(
        self, topic: str, subscription: str, prefetch: int, lost: Callable[[Loss], None] | None = None
    ) -> Subscription:
        """Bind a queue, and consume from it."""
        self._require_open()
        reader = RabbitSubscription(self._consuming, topic, subscription, self._times, lost)
        await reader.open(prefetch)
        self._subscriptions.add(reader)
        reader.when_closed(self._subscriptions.discard)
        return reader

    def _require_open(self) -> None:
        if not self._is_open:
            raise BusUnavailableError("the bus is closed")
