"""Limits, what is to be spent, and how a limit stands.

A limit is on what a workspace, each user or each assistant may use in a day or a month. Money is whole micro-USD: a
million of them are a dollar.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from workbench.domain.errors import ExhaustedError

Scope = Literal["workspace", "user", "assistant"]
Measure = Literal["turns", "tokens", "cost_micros", "generations"]
"""A turn, or another use of models, counts one among `turns` once it was billed for anything, however many calls.

Of these, what a model wrote for a troubleshooting session counts one among `generations`.
"""
Period = Literal["day", "month"]

EVERY = "*"
"""The subject of a limit that holds for each one of its scope."""
MAX_AMOUNT = 10**15 - 1
"""The largest number that a header field may hold (RFC 9651, 3.3.1)."""
MAX_SUBJECT_LENGTH = 255
MAX_LIMITS = 8
"""Of one subject: each measure for each period."""
RESERVED_FOR = timedelta(minutes=10)
HELD_RETRY = timedelta(seconds=10)
"""When to come back where nothing but spending under way is in the way: most turns are over by then."""

Amount = Annotated[int, msgspec.Meta(ge=0, le=MAX_AMOUNT)]


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How much in which time. Without an `amount` there is no end to it, whatever holds for everybody else.

    Months are counted from the day `anchor` on; without one they are those of the calendar.
    """

    measure: Measure
    period: Period
    amount: Amount | None
    anchor: date | None = None

    def __post_init__(self) -> None:
        """Refuse an anchor where it means nothing."""
        if self.anchor is not None and self.period != "month":
            raise ValueError("only months have an anchor")


class Limit(Terms, frozen=True, kw_only=True):
    """Terms, and whose they are: one subject's, or, as `*`, each one's of the scope."""

    scope: Scope
    subject: str = EVERY

    @property
    def name(self) -> str:
        """What it is called in headers and answers."""
        return f"{self.scope}/{self.measure}/{self.period}"


class Spend(msgspec.Struct, frozen=True, kw_only=True):
    """What is about to be used, for whom. The same `key` again is the same reservation, which it prolongs.

    `tokens` and `cost_micros` are estimates; what it really took counts once it is settled. `is_exempt` is written down
    like any other, and never refused.
    """

    key: str
    user_id: str | None = None
    assistant_id: UUID | None = None
    tokens: int = 1
    cost_micros: int = 1
    generations: int = 0
    is_exempt: bool = False
    keep: timedelta = RESERVED_FOR
    """How long the reservation holds where nobody settles or releases it."""

    def needs(self, measure: Measure) -> int:
        """How much of a measure it takes, as far as can be told; never nothing, so that what is spent is spent.

        But for `generations`, which only sessions take.
        """
        if measure == "generations":
            return self.generations
        return max({"turns": 1, "tokens": self.tokens, "cost_micros": self.cost_micros}[measure], 1)


class Subjects(msgspec.Struct, frozen=True, kw_only=True):
    """Whose limits are asked for."""

    workspace: str
    user: str | None = None
    assistant: str | None = None

    @classmethod
    def of(cls, workspace_id: str, spend: Spend) -> "Subjects":
        """Whose limits a spend touches."""
        assistant = None if spend.assistant_id is None else str(spend.assistant_id)
        return cls(workspace=workspace_id, user=spend.user_id, assistant=assistant)

    def named(self) -> Mapping[Scope, str]:
        """Those that there are, by scope."""
        all_of_them: dict[Scope, str | None] = {
            "workspace": self.workspace,
            "user": self.user,
            "assistant": self.assistant,
        }
        return {scope: subject for scope, subject in all_of_them.items() if subject is not None}


def in_force(defaults: Iterable[Limit], stored: Iterable[Limit], subjects: Subjects) -> list[Limit]:
    """The limits that hold for these subjects, each with its own subject.

    What is stored goes before the settings, and what is stored for one before what is stored for all.
    """
    chosen: dict[str, Limit] = {}
    named = subjects.named()
    for limit in [*defaults, *sorted(stored, key=lambda limit: limit.subject != EVERY)]:
        subject = named.get(limit.scope)
        if subject is not None and limit.subject in (EVERY, subject):
            chosen[limit.name] = msgspec.structs.replace(limit, subject=subject)
    return [limit for limit in chosen.values() if limit.amount is not None]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a limit stands: what was `used` in its window, what is `reserved` by what is under way, what is `left`."""

    name: str
    scope: Scope
    subject: str
    measure: Measure
    period: Period
    limit: int
    used: int
    reserved: int
    left: int
    starts_at: datetime
    resets_at: datetime
    resets_in_seconds: int

    @property
    def free(self) -> int:
        """What is left; less than nothing where more was taken than was foreseen."""
        return self.limit - self.used - self.reserved

    def holding(self, need: int) -> "Standing":
        """With so much reserved besides."""
        held = msgspec.structs.replace(self, reserved=self.reserved + need)
        return msgspec.structs.replace(held, left=max(held.free, 0))


class BudgetExceededError(ExhaustedError):
    """A budget is used up

    `standings` are all limits that hold, those included that have room.
    """

    code = "budget_exceeded"

    def __init__(
        self, standings: Sequence[Standing], denying: Standing, retry_after: timedelta, *, is_held: bool
    ) -> None:
        """Keep what is left of each, and which is in the way; where it is only held, by what is under way."""
        until = f"used up until {denying.resets_at:%Y-%m-%d %H:%M} UTC"
        how = "held by what is under way" if is_held else until
        super().__init__(
            f"The budget of the {denying.scope} is {how}: {denying.limit} {denying.measure} a {denying.period}",
            retry_after_seconds=max(retry_after.total_seconds(), 1),
            extra={"deny_reason": denying.name, "reset_at": denying.resets_at, "limits": list(standings)},
        )
        self.standings = standings


def check_room(spend: Spend, standings: Sequence[Standing]) -> None:
    """Raise BudgetExceededError where a limit has no room.

    Of several the one is named that is reset last: before that there is no room again.
    """
    spent = [standing for standing in standings if standing.free < spend.needs(standing.measure)]
    if not spent or spend.is_exempt:
        return
    denying = max(spent, key=lambda standing: standing.resets_at)
    are_held = all(standing.free + standing.reserved >= spend.needs(standing.measure) for standing in spent)
    until_reset = timedelta(seconds=denying.resets_in_seconds)
    retry_after = min(HELD_RETRY, until_reset) if are_held else until_reset
    raise BudgetExceededError(standings, denying, retry_after, is_held=are_held)
