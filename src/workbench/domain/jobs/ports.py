"""Where leases are kept."""

from collections.abc import Collection
from typing import Protocol


class Leases(Protocol):
    """Named leases that span workspaces and replicas; at any time each has at most one holder."""

    async def acquire(self, names: Collection[str], holder: str, seconds: float) -> set[str]:
        """Take those of the leases that are free, run out, or the holder's already; says which it now holds."""
        ...

    async def renew(self, holder: str, seconds: float) -> set[str]:
        """Prolong every lease that the holder still has; says which those are."""
        ...

    async def release(self, names: Collection[str], holder: str) -> None:
        """Give leases back, so that another may take them at once."""
        ...
