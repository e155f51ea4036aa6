"""Reserving before the spend, inside the block of whatever is about to spend: both are stored, or neither is.

The sums are read first, which takes as long as the history is; the reservation is then written on condition that what
has come since leaves room. That condition looks at minutes only, and whoever commits is alone with it.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from workbench.domain.budgets.model import Limit, Spend, Standing, Subjects, check_room, in_force
from workbench.domain.budgets.ports import BudgetTx, Counted, Part, Room
from workbench.domain.budgets.windows import Window, window_of
from workbench.domain.clock import Clock

LOOK = timedelta(seconds=10)
"""How long a workspace without limits is believed to have none: so long another process's first limit may be unknown."""
RECENT = timedelta(minutes=15)
"""Bills are younger than this when they are stored, even where clocks differ."""
MAX_REMEMBERED = 10_000


class BudgetPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What holds where nobody stored anything else, and where workspaces are."""

    defaults: Sequence[Limit] = ()
    zone: ZoneInfo = ZoneInfo("UTC")
    zones: Mapping[str, ZoneInfo] = {}

    def zone_of(self, workspace_id: str) -> ZoneInfo:
        """Where the days of a workspace begin."""
        return self.zones.get(workspace_id, self.zone)


class LimitBook:
    """Which limits hold for whom. Where there are none, that is known without asking, but for now and then."""

    def __init__(self, policy: BudgetPolicy, clock: Clock) -> None:
        self.policy = policy
        self.clock = clock
        self._unlimited: dict[str, datetime] = {}

    def is_known_unlimited(self, workspace_id: str) -> bool:
        """Whether it was seen lately that nothing is stored."""
        seen = self._unlimited.get(workspace_id)
        return seen is not None and abs(self.clock.now() - seen) < LOOK

    def remember_unlimited(self, workspace_id: str) -> None:
        """Note that nothing is stored."""
        if len(self._unlimited) >= MAX_REMEMBERED:
            self._unlimited.clear()
        self._unlimited[workspace_id] = self.clock.now()

    def forget(self, workspace_id: str) -> None:
        """Look again next time."""
        self._unlimited.pop(workspace_id, None)


class Reckoning(msgspec.Struct, frozen=True):
    """A limit in its window, and the sums that belong to it."""

    limit: Limit
    window: Window
    now: datetime
    since: datetime
    counted: Counted

    def standing(self) -> Standing:
        """How it stands."""
        limit, measure, counted = self.limit, self.limit.measure, self.counted
        return Standing(
            name=limit.name,
            scope=limit.scope,
            subject=limit.subject,
            measure=measure,
            period=limit.period,
            limit=limit.amount or 0,
            used=counted.used.of(measure),
            reserved=0,
            left=0,
            starts_at=self.window.starts_at,
            resets_at=self.window.resets_at,
            resets_in_seconds=math.ceil((self.window.resets_at - self.now).total_seconds()),
        ).holding(counted.reserved.of(measure))

    def room(self, spend: Spend) -> Room:
        """What must still hold at the commit."""
        measure = self.limit.measure
        return Room(
            scope=self.limit.scope,
            subject=self.limit.subject,
            measure=measure,
            since=self.since,
            need=spend.needs(measure),
            room=(self.limit.amount or 0) - self.counted.before.of(measure),
        )


async def reserve(tx: BudgetTx, book: LimitBook, spend: Spend) -> Sequence[Standing]:
    """Set down a reservation in this block; answer with how the limits stand that hold for it, itself included.

    Without limits nothing is set down, and the answer is empty. Raises BudgetExceededError; stale at the commit where
    others took the room: repeat the block.
    """
    reckonings = await _reckon(tx, book, Subjects.of(tx.budgets.workspace_id, spend), spend.key)
    if not reckonings:
        return ()
    standings = [reckoning.standing() for reckoning in reckonings]
    check_room(spend, standings)
    rooms = () if spend.is_exempt else [reckoning.room(spend) for reckoning in reckonings]
    tx.budgets.reserve(spend, rooms, book.clock.now())
    return [standing.holding(spend.needs(standing.measure)) for standing in standings]


async def check(tx: BudgetTx, book: LimitBook, spend: Spend) -> None:
    """Raise BudgetExceededError where there is no room now; nothing is reserved."""
    reckonings = await _reckon(tx, book, Subjects.of(tx.budgets.workspace_id, spend), spend.key)
    check_room(spend, [reckoning.standing() for reckoning in reckonings])


async def standings_of(tx: BudgetTx, book: LimitBook, subjects: Subjects) -> Sequence[Standing]:
    """How the limits stand that hold for these."""
    return [reckoning.standing() for reckoning in await _reckon(tx, book, subjects, "")]


async def _reckon(tx: BudgetTx, book: LimitBook, subjects: Subjects, key: str) -> Sequence[Reckoning]:
    limits = await _limits(tx, book, subjects)
    if not limits:
        return ()
    now, zone = book.clock.now(), book.policy.zone_of(tx.budgets.workspace_id)
    windows = [window_of(limit.period, now, zone, limit.anchor) for limit in limits]
    parts = [
        Part(
            scope=limit.scope,
            subject=limit.subject,
            since=window.starts_at,
            until=max(window.starts_at, now - RECENT),
        )
        for limit, window in zip(limits, windows, strict=True)
    ]
    sums = await tx.budgets.counted(list(dict.fromkeys(parts)), key, now)
    by_part = dict(zip(dict.fromkeys(parts), sums, strict=True))
    return [
        Reckoning(limit, window, now, part.until, by_part[part])
        for limit, window, part in zip(limits, windows, parts, strict=True)
    ]


async def _limits(tx: BudgetTx, book: LimitBook, subjects: Subjects) -> Sequence[Limit]:
    workspace_id = tx.budgets.workspace_id
    if book.is_known_unlimited(workspace_id):
        return in_force(book.policy.defaults, (), subjects)
    stored = await tx.budgets.limits_of(subjects)
    if not stored and not await tx.budgets.are_limited():
        book.remember_unlimited(workspace_id)
    return in_force(book.policy.defaults, stored, subjects)
