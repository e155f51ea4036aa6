"""Notes which turns are watched here, and has those ended that nobody watches any more."""

import asyncio
import contextlib

from workbench.domain.turns.attending import AttendanceService

ROUND_SECONDS = 5.0


class AttendanceWorker:
    """Looks at once when a watcher comes or goes, and otherwise every few seconds."""

    def __init__(self, attendance: AttendanceService) -> None:
        self._attendance = attendance

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self._attendance.round()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._attendance.changed(), ROUND_SECONDS)
