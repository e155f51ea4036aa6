"""Who counts."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from workbench.domain.identity.model import Principal
from workbench.domain.rates.model import Rate


class RateLimiter(Protocol):
    """Counts what callers do."""

    async def count(self, principal: Principal, rate: Rate) -> None:
        """Count one more time. Raises ExhaustedError, with the seconds to wait, where it is one too many."""
        ...


class RateKeeping(Protocol):
    """What was counted in all workspaces, of which only the times are looked at."""

    async def forget(self, before: datetime, limit: int) -> int:
        """Forget so many callers' acts that were last done before that time; says how many."""
        ...


class RateMeter(Protocol):
    """Counts for operators what came too often."""

    def expect_limits(self, routes: Iterable[str]) -> None:
        """Know these routes, so that there is something to be seen of them before anything comes too often."""
        ...

    def limited(self, route: str) -> None:
        """Count a request that came too often."""
        ...
