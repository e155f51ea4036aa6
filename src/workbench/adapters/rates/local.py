"""Rates counted in this process.

Exact where one process serves, and costs nothing. Where several do, each counts by itself, so that a caller may do as often
as that times the number of processes.
"""

import time

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from workbench.domain.identity.model import Principal
from workbench.domain.rates.model import Rate, too_often
from workbench.domain.rates.ports import RateLimiter


class LocalRateLimiter(RateLimiter):
    """Counts over a moving window."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def count(self, principal: Principal, rate: Rate) -> None:
        """Count, unless it is one too many."""
        item = RateLimitItemPerSecond(rate.times, rate.seconds, namespace=rate.act)
        caller = (principal.workspace_id, principal.role, principal.id)
        if not await self._limiter.hit(item, *caller):
            window = await self._limiter.get_window_stats(item, *caller)
            raise too_often(rate, window.reset_time - time.time())
