"""Rates counted in this process.

Each process counts by itself, so that a caller may do as often as that times the number of processes. That bounds what
can be tried, which is what these rates are for; to count exactly would cost every act a write that all share.
"""

import time

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from workbench.domain.errors import ExhaustedError
from workbench.domain.identity.model import Principal
from workbench.domain.rates.model import Rate
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
            raise ExhaustedError(
                f"at most {rate.times} times in {rate.seconds} seconds",
                code="rate_limited",
                retry_after_seconds=max(window.reset_time - time.time(), 1),
            )
