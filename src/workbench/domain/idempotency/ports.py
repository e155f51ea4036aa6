"""Where keys are kept."""

from datetime import datetime
from typing import Protocol

from workbench.domain.idempotency.model import Answer, Attempt, Entry
from workbench.domain.identity.model import Principal


class IdempotencyKeys(Protocol):
    """The keys of one workspace's callers; each caller's keys are apart, and so are those of each route."""

    async def find(self, principal: Principal, attempt: Attempt) -> Entry | None:
        """What is known of the key, if anything is."""
        ...

    def take(self, principal: Principal, attempt: Attempt, entry: Entry, before: Entry | None) -> None:
        """Store a key as taken; stale where it is no longer as it was `before`."""
        ...

    def keep(self, principal: Principal, attempt: Attempt, claim: str, answer: Answer) -> None:
        """Store the answer; stale where the claim was lost."""
        ...

    def free(self, principal: Principal, attempt: Attempt, claim: str) -> None:
        """Forget a key that nothing was done under; nothing happens where the claim was lost."""
        ...


class IdempotencyTx(Protocol):
    """The slice of a transaction that keys touch."""

    @property
    def idempotency_keys(self) -> IdempotencyKeys: ...


class ExpiredKeys(Protocol):
    """The keys of all workspaces, of which only the times are looked at."""

    async def remove(self, now: datetime, limit: int) -> int:
        """Forget so many of those whose time is over; says how many."""
        ...
