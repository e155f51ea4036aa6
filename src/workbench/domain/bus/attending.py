"""An input on a topic that all may hear: one message after another, with a word on what was missed."""

import asyncio
import logging
import time
from collections.abc import Callable

from workbench.domain.bus.context import RunContext
from workbench.domain.bus.errors import CallError
from workbench.domain.bus.handling import results
from workbench.domain.bus.overhearing import Heard, Overhearing
from workbench.domain.bus.ports import BusMeter
from workbench.domain.bus.services import Input

ATTENTION_SECONDS = 1500.0

logger = logging.getLogger(__name__)


class Attendant:
    """Has a handler attend to what is heard. Nobody waits for it, and what fails is not done again."""

    def __init__(
        self, service: str, an_input: Input, context: Callable[[Heard], RunContext | None], meter: BusMeter
    ) -> None:
        """`context` gives none for what is not this service's to hear."""
        self._service = service
        self._input = an_input
        self._context = context
        self._meter = meter

    async def run(self, overhearing: Overhearing) -> None:
        """Go on until there is nothing to hear any more."""
        self._meter.reading(self._service, self._input.name, 1)
        try:
            while True:
                await self._attend(await overhearing.next())
        except CallError as error:
            logger.info("%s hears no more of %s: %s", self._service, self._input.name, error.code)
        finally:
            self._meter.reading(self._service, self._input.name, -1)

    async def _attend(self, heard: Heard) -> None:
        began, outcome = time.monotonic(), "error"
        try:
            context = self._context(heard)
            if context is None:
                logger.warning("a message of another workspace came to %s", self._service)
                return
            async with asyncio.timeout(ATTENTION_SECONDS):
                async for _ in results(self._input, heard.data, context):
                    pass
            outcome = "ok"
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except Exception:
            logger.exception("the service %s failed at what it heard", self._service)
        finally:
            self._meter.consumed(self._service, self._input.name, outcome, time.monotonic() - began)
