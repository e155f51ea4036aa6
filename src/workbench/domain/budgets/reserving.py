"""Reserving before the spend, inside the block of whatever is about to spend: both are stored, or neither is.

The sums are read first, which may take as long as the history is; the reservation is then written on condition that
what came in the last minutes leaves room. So whoever commits, who is alone with that, is quick, however long it is.
"""

import math
from collections.abc import Sequence
from datetime import datetime

import msgspec

from workbench.domain.budgets.book import LimitBook, Place
from workbench.domain.budgets.model import Limit, Spend, Standing, Subjects, check_room, in_force
from workbench.domain.budgets.ports import BudgetTx, Counted, Room
from workbench.domain.budgets.windows import Window, window_of


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
    reckonings = await _touched(tx, book, spend)
    if not reckonings:
        return ()
    standings = [reckoning.standing() for reckoning in reckonings]
    check_room(spend, standings)
    rooms = () if spend.is_exempt else [reckoning.room(spend) for reckoning in reckonings]
    tx.budgets.reserve(spend, rooms, book.clock.now())
    return [standing.holding(spend.needs(standing.measure)) for standing in standings]


async def check(tx: BudgetTx, book: LimitBook, spend: Spend) -> None:
    """Raise BudgetExceededError where there is no room now; nothing is reserved."""
    reckonings = await _touched(tx, book, spend)
    check_room(spend, [reckoning.standing() for reckoning in reckonings])


async def standings_of(tx: BudgetTx, book: LimitBook, subjects: Subjects) -> Sequence[Standing]:
    """How the limits stand that hold for these."""
    return [reckoning.standing() for reckoning in await _reckon(tx, book, subjects, "")]


async def _touched(tx: BudgetTx, book: LimitBook, spend: Spend) -> Sequence[Reckoning]:
    """The limits that a spend takes anything of."""
    reckonings = await _reckon(tx, book, Subjects.of(tx.budgets.workspace_id, spend), spend.key)
    return [each for each in reckonings if spend.needs(each.limit.measure)]


async def _reckon(tx: BudgetTx, book: LimitBook, subjects: Subjects, key: str) -> Sequence[Reckoning]:
    limits = await _limits(tx, book, subjects)
    if not limits:
        return ()
    now, zone = book.clock.now(), book.policy.zone_of(tx.budgets.workspace_id)
    windows = [window_of(limit.period, now, zone, limit.anchor) for limit in limits]
    places: list[Place] = [
        (tx.budgets.workspace_id, limit.scope, limit.subject, window.starts_at)
        for limit, window in zip(limits, windows, strict=True)
    ]
    asked = {place: book.ask(place, now) for place in places}
    found = await tx.budgets.counted([each.part for each in asked.values()], key, now)
    sums = {each.place: book.learn(each, counted) for each, counted in zip(asked.values(), found, strict=True)}
    return [
        Reckoning(limit, window, now, asked[place].part.until, sums[place])
        for limit, window, place in zip(limits, windows, places, strict=True)
    ]


async def _limits(tx: BudgetTx, book: LimitBook, subjects: Subjects) -> Sequence[Limit]:
    workspace_id = tx.budgets.workspace_id
    if book.is_known_unlimited(workspace_id):
        return in_force(book.policy.defaults_of(workspace_id), (), subjects)
    stored = await tx.budgets.limits_of(subjects)
    if not stored and not await tx.budgets.are_limited():
        book.remember_unlimited(workspace_id)
    return in_force(book.policy.defaults_of(workspace_id), stored, subjects)
