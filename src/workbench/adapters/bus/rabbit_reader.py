"""A subscription on RabbitMQ: bound again whenever its connection was lost."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import ChannelNotFoundEntity

from workbench.adapters.bus.rabbit_link import AWAY, RabbitLink, RabbitTimes, ended
from workbench.adapters.bus.rabbit_names import arguments_of, attempt_of, exchange_of, incoming
from workbench.domain.bus.errors import BusError, BusUnavailableError, TopicMissingError
from workbench.domain.bus.model import TopicName
from workbench.domain.bus.ports import Delivery, Loss, Subscription

ATTACH_SECONDS = 10.0
AGAIN_SECONDS = 0.5
CLOSE_SECONDS = 2.0

logger = structlog.get_logger(__name__)


class RabbitDelivery(Delivery):
    """A message in hand. After its channel is gone the broker gives it to somebody else, whatever is said of it."""

    def __init__(self, message: AbstractIncomingMessage) -> None:
        self.message = incoming(message)
        self.attempt = attempt_of(message)
        self._incoming = message

    async def ack(self) -> None:
        """Acknowledge."""
        with contextlib.suppress(*AWAY):
            await self._incoming.ack()

    async def reject(self, *, requeue: bool) -> None:
        """Reject; a queue with a dead-letter exchange puts aside what is not requeued."""
        with contextlib.suppress(*AWAY):
            await self._incoming.reject(requeue=requeue)


class RabbitSubscription(Subscription):
    """A reader."""

    def __init__(
        self, link: RabbitLink, topic: str, name: str, times: RabbitTimes, lost: Callable[[Loss], None] | None
    ) -> None:
        self._link = link
        self._topic = topic
        self._name = name
        self._times = times
        self._lost = lost
        self._is_shared = TopicName.parse(topic).is_shared
        self._prefetch = 1
        self._ready: asyncio.Queue[RabbitDelivery | None] = asyncio.Queue()
        self._channel: AbstractChannel | None = None
        self._queue: AbstractQueue | None = None
        self._detached = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._failure: BusError | None = None
        self._is_closed = False
        self._when_closed: Callable[[RabbitSubscription], None] | None = None

    def when_closed(self, act: "Callable[[RabbitSubscription], None]") -> None:
        """Have this done at the end."""
        self._when_closed = act

    async def open(self, prefetch: int) -> None:
        """Bind, and keep it so. Raises BusError."""
        self._prefetch = prefetch
        await self._attach(first=True)
        self._keeping = asyncio.create_task(self._keep())

    async def _attach(self, *, first: bool) -> None:
        channel = await self._link.channel()
        try:
            async with asyncio.timeout(ATTACH_SECONDS):
                await self._bind(channel, first=first)
        except BusError:
            raise
        except AWAY as error:
            raise BusUnavailableError("the connection to RabbitMQ was lost") from error

    async def _bind(self, channel: AbstractChannel, *, first: bool) -> None:
        await channel.set_qos(prefetch_count=self._prefetch)
        try:
            exchange = await channel.get_exchange(exchange_of(self._topic), ensure=True)
        except ChannelNotFoundEntity:
            raise TopicMissingError(self._topic) from None
        is_there = await self._link.has_queue(self._name)
        if not first and not self._is_shared and not is_there:
            self._tell("queue")
        if is_there:
            # As it is: one that was made under other settings keeps its length, and may not be declared with ours.
            queue = await channel.declare_queue(self._name, passive=True)
        else:
            arguments = arguments_of(self._topic, self._times)
            queue = await channel.declare_queue(self._name, durable=True, arguments=arguments)
        await queue.bind(exchange)
        detached = self._detached = asyncio.Event()

        def gone(*_: object) -> None:
            detached.set()

        channel.close_callbacks.add(gone)
        underlay: Any = await channel.get_underlay_channel()
        # The broker ends a consumer when its queue is deleted.
        underlay.on_consumer_cancel_callbacks.add(gone)
        ready = self._ready = self._replaced()

        async def take(message: AbstractIncomingMessage) -> None:
            ready.put_nowait(RabbitDelivery(message))

        await queue.consume(take)
        self._channel, self._queue = channel, queue

    def _replaced(self) -> "asyncio.Queue[RabbitDelivery | None]":
        """A new place for what comes: what came over the connection before will come again."""
        before, self._ready = self._ready, asyncio.Queue()
        before.put_nowait(None)
        return self._ready

    async def _keep(self) -> None:
        while True:
            await self._detached.wait()
            self._tell("connection")
            try:
                await self._attach_again()
            except TopicMissingError as error:
                self._failure = error
                self._ready.put_nowait(None)
                return

    async def _attach_again(self) -> None:
        """Try until it is done. Raises TopicMissingError."""
        while True:
            await self._link.wait_until_up()
            try:
                return await self._attach(first=False)
            except TopicMissingError:
                raise
            except (BusError, *AWAY) as error:
                logger.info("a subscription is not bound again yet", reason=str(error) or type(error).__name__)
            await asyncio.sleep(AGAIN_SECONDS)

    def _tell(self, loss: Loss) -> None:
        if self._lost is not None:
            self._lost(loss)

    def __aiter__(self) -> AsyncIterator[Delivery]:
        return self._deliveries()

    async def _deliveries(self) -> AsyncGenerator[Delivery]:
        while not self._is_closed:
            delivery = await self._ready.get()
            if delivery is not None:
                yield delivery
            elif self._failure is not None:
                raise self._failure

    async def close(self) -> None:
        """Read no more: what is in hand goes back, and a queue that was this reader's alone goes away."""
        self._is_closed = True
        if self._when_closed is not None:
            self._when_closed(self)
        self._ready.put_nowait(None)
        if self._keeping is not None:
            await ended(self._keeping)
        with contextlib.suppress(*AWAY):
            async with asyncio.timeout(CLOSE_SECONDS):
                if self._queue is not None and not self._is_shared:
                    await self._queue.delete(if_unused=False, if_empty=False)
                if self._channel is not None:
                    await self._channel.close()
