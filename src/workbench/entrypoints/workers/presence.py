"""Notices services whose heartbeat has stopped, on every replica alike: each change is told by one of them."""

import asyncio

import msgspec

from workbench.domain.assistants.presence import PresenceService


class OnlineCheck(msgspec.Struct, frozen=True, kw_only=True):
    """How often to look."""

    seconds: float


class PresenceWorker:
    """Looks, waits, looks again."""

    def __init__(self, presence: PresenceService, check: OnlineCheck) -> None:
        self._presence = presence
        self._check = check

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await self._presence.sweep()
            await asyncio.sleep(self._check.seconds)
