"""Who counts."""

from typing import Protocol

from workbench.domain.identity.model import Principal
from workbench.domain.rates.model import Rate


class RateLimiter(Protocol):
    """Counts what callers do."""

    async def count(self, principal: Principal, rate: Rate) -> None:
        """Count one more time. Raises ExhaustedError, with the seconds to wait, where it is one too many."""
        ...
