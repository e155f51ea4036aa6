"""A reader of a topic that belongs to the product itself: bound again for as long as its process lives."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from workbench.domain.bus.errors import BusError
from workbench.domain.bus.model import Message
from workbench.domain.bus.ports import MessageBus, Subscription

PREFETCH = 100
RETRY_SECONDS = 1.0

logger = logging.getLogger(__name__)


class Listener:
    """Hears what is said to all on a topic, each message once, as long as the bus is there."""

    def __init__(
        self, bus: MessageBus, topic: str, name: str, hear: Callable[[Message], Coroutine[Any, Any, None]]
    ) -> None:
        self._bus = bus
        self._topic = topic
        self._name = name
        self._hear = hear

    async def run(self) -> None:
        """Listen for ever."""
        while True:
            subscription: Subscription | None = None
            try:
                await self._bus.create_topic(self._topic)
                subscription = await self._bus.subscribe(self._topic, self._name, PREFETCH)
                async for delivery in subscription:
                    await self._hear(delivery.message)
                    await delivery.ack()
            except (BusError, TimeoutError) as error:
                logger.warning("%s is not heard: %s %s", self._topic, type(error).__name__, error)
            finally:
                if subscription is not None:
                    await subscription.close()
            await asyncio.sleep(RETRY_SECONDS)
