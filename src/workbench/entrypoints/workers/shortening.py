"""Shortens the logs of turns that have become long."""

import asyncio
import contextlib

from workbench.domain.turns.shortening import ShorteningService

ROUND_SECONDS = 15.0


class ShorteningWorker:
    """Looks at once when a log has become long here, and otherwise now and then: who wrote it may be gone."""

    def __init__(self, shortening: ShorteningService) -> None:
        self._shortening = shortening

    async def run(self) -> None:
        """Shorten for ever."""
        while True:
            await self._shortening.round()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._shortening.rung(), ROUND_SECONDS)
