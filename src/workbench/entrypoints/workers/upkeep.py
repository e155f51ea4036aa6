"""What is due about sessions and keys in all workspaces: found on one replica at a time, done by whoever is free."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

from workbench.domain.clock import Clock
from workbench.domain.idempotency.service import KeyExpiry
from workbench.domain.ids import RANDOM
from workbench.domain.jobs.model import LEASE_SECONDS
from workbench.domain.jobs.ports import Leases
from workbench.domain.rates.ports import RateKeeping
from workbench.domain.troubleshooting.upkeep import SessionDispatcher

LEASE = "upkeep"
ROUND_SECONDS = 60.0
PAUSE_SECONDS = 0.05
"""Between two steps, so that others get to write as well."""
COUNTED = timedelta(hours=1)
"""So long after it was last done nobody need know how often; the longest rate is of a minute."""
STEP = 500
STEPS = 20
"""At most in a round, which is over before the lease is."""


class UpkeepWorker:
    """Takes a lease, looks, gives the lease back, waits."""

    def __init__(
        self, dispatcher: SessionDispatcher, keys: KeyExpiry, rates: RateKeeping, leases: Leases, clock: Clock
    ) -> None:
        self._dispatcher = dispatcher
        self._keys = keys
        self._rates = rates
        self._leases = leases
        self._clock = clock
        self._holder = uuid4().hex

    async def run(self) -> None:
        """Look for ever. Replicas that start together do not ask at the same time."""
        while True:
            await asyncio.sleep(ROUND_SECONDS * (0.5 + RANDOM.random()))
            await self.look()

    async def look(self) -> None:
        """Look once, unless another replica does."""
        if await self._leases.acquire([LEASE], self._holder, LEASE_SECONDS):
            try:
                await self._round()
            finally:
                await self._leases.release([LEASE], self._holder)

    async def _round(self) -> None:
        """Set a job down for each session that something is due for, and forget keys and counts whose time is over."""
        await self._dispatcher.dispatch()
        await _repeated(self._keys.step)
        before = self._clock.now() - COUNTED
        await _repeated(lambda: self._rates.forget(before, STEP))


async def _repeated(step: Callable[[], Awaitable[int]]) -> None:
    """Do a step until it finds nothing more, or often enough for now."""
    for _ in range(STEPS):
        if not await step():
            return
        await asyncio.sleep(PAUSE_SECONDS)
