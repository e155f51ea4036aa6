"""Where limits and reservations are kept, and how spending is counted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from workbench.domain.audit.ports import AuditLog
from workbench.domain.budgets.model import Limit, Measure, Scope, Spend, Subjects, Terms


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """So much of each measure."""

    turns: int = 0
    tokens: int = 0
    cost_micros: int = 0
    generations: int = 0

    def of(self, measure: Measure) -> int:
        """One of them."""
        return int(getattr(self, measure))

    def plus(self, other: "Amounts") -> "Amounts":
        """Both together."""
        return Amounts(
            turns=self.turns + other.turns,
            tokens=self.tokens + other.tokens,
            cost_micros=self.cost_micros + other.cost_micros,
            generations=self.generations + other.generations,
        )


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A sum that is asked for: one subject's, of what was billed `since` then, and up to `until` by itself."""

    scope: Scope
    subject: str
    since: datetime
    until: datetime


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """A sum: what was billed, how much of that before `until`, and what is reserved."""

    used: Amounts
    before: Amounts
    reserved: Amounts


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """A condition of a reservation: what is billed of a measure from `since` on, and reserved, leaves `need` of `room`."""

    scope: Scope
    subject: str
    measure: Measure
    since: datetime
    need: int
    room: int


LimitPlace = tuple[str, str, str, str]
"""Scope, subject, measure and period of the last limit of a page."""


class Budgets(Protocol):
    """The limits and reservations of one workspace."""

    @property
    def workspace_id(self) -> str:
        """Whose they are."""
        ...

    async def are_limited(self) -> bool:
        """Whether there is any limit."""
        ...

    async def limits_of(self, subjects: Subjects) -> Sequence[Limit]:
        """What is stored for these, and for all of their scopes."""
        ...

    async def limits(self, after: LimitPlace | None, limit: int) -> Sequence[Limit]:
        """All that is stored, in the order of scope and subject."""
        ...

    async def own_limits(self, scope: Scope, subject: str) -> Sequence[Limit]:
        """What is stored for just this subject."""
        ...

    def replace_limits(self, scope: Scope, subject: str, limits: Sequence[Terms]) -> None:
        """Store these for just this subject, in the place of all that it had."""
        ...

    async def counted(self, parts: Sequence[Part], key: str, now: datetime) -> Sequence[Counted]:
        """Sum up what was billed, and what is reserved now, but for the reservation `key` itself."""
        ...

    def reserve(self, spend: Spend, rooms: Sequence[Room], now: datetime) -> None:
        """Write a reservation down, or prolong it; stale where one of the rooms has become too small."""
        ...

    def release(self, key: str, now: datetime) -> None:
        """Forget a reservation, and with it those that have run out."""
        ...


class BudgetTx(Protocol):
    """The slice of a transaction that spending touches."""

    @property
    def budgets(self) -> Budgets: ...


class LimitTx(BudgetTx, Protocol):
    """The slice of a transaction that setting limits touches."""

    @property
    def audit(self) -> AuditLog: ...
