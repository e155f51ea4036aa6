"""Ends turns that were left alone, on every process alike: each change is stored by one of them."""

import asyncio

from workbench.domain.turns.reaping import ReapingService

ROUND_SECONDS = 15.0


class ReapingWorker:
    """Looks, waits, looks again."""

    def __init__(self, reaping: ReapingService) -> None:
        self._reaping = reaping

    async def run(self) -> None:
        """Look after turns for ever."""
        while True:
            await self._reaping.round()
            await asyncio.sleep(ROUND_SECONDS)
