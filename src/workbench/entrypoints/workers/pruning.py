"""Retention: forgets old events in small steps, on one replica at a time."""

import asyncio
import random
from datetime import timedelta
from uuid import uuid4

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.events.ports import EventKeeping
from workbench.domain.jobs.model import LEASE_SECONDS
from workbench.domain.jobs.ports import Leases

LEASE = "pruning"
STEP = 1000
PAUSE_SECONDS = 0.05
ROUND_SECONDS = 300.0


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long events are kept."""

    days: float


class PruningWorker:
    """Takes a lease, prunes until nothing is too old, gives the lease back, waits."""

    def __init__(self, keeping: EventKeeping, leases: Leases, clock: Clock, retention: Retention) -> None:
        self._keeping = keeping
        self._leases = leases
        self._clock = clock
        self._retention = retention
        self._holder = uuid4().hex

    async def run(self) -> None:
        """Prune for ever. Replicas that start together do not ask at the same time."""
        while True:
            if await self._leases.acquire([LEASE], self._holder, LEASE_SECONDS):
                try:
                    await self.prune()
                finally:
                    await self._leases.release([LEASE], self._holder)
            await asyncio.sleep(ROUND_SECONDS * (0.5 + random.random()))  # noqa: S311 - spreads load, guards nothing

    async def prune(self) -> int:
        """Forget everything that is too old now, and say how many events that was."""
        before = self._clock.now() - timedelta(days=self._retention.days)
        total = 0
        while pruned := await self._keeping.prune(before, STEP):
            total += pruned
            await asyncio.sleep(PAUSE_SECONDS)
        return total
