"""How much models may write for a person's sessions: plans are limits of budgets, and a refusal names what is used up (6).

There is no second account: a plan says how many `generations` a user has a day and a month where nobody stored another
limit, and what is left is how these limits stand.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal

import msgspec

from workbench.domain.budgets.model import BudgetExceededError, Limit, Period, Scope, Spend, Standing
from workbench.domain.errors import ExhaustedError

Plan = Literal["free", "pro", "team", "unlimited"]
DenyReason = Literal["daily", "monthly", "workspace_budget"]

_AMOUNTS: dict[Plan, tuple[tuple[Scope, Period, int], ...]] = {
    "free": (("user", "day", 10), ("user", "month", 100)),
    "pro": (("user", "day", 100), ("user", "month", 1500)),
    "team": (("user", "day", 300), ("user", "month", 5000), ("workspace", "month", 20_000)),
    "unlimited": (),
}
_SAID: dict[DenyReason, str] = {
    "daily": "Daily AI allowance used up",
    "monthly": "Monthly AI allowance used up",
    "workspace_budget": "The workspace's AI budget is used up",
}


class QuotaWindow(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is in a day or a month. What is under way counts as used; `reset_at` begins the next window."""

    limit: int
    used: int
    reset_at: datetime


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of what models may write for sessions. Where there is no limit, there is no window."""

    plan: Plan
    daily: QuotaWindow | None = None
    monthly: QuotaWindow | None = None
    workspace: QuotaWindow | None = None


class QuotaExceededError(ExhaustedError):
    """The allowance for models is used up"""

    code = "quota_exceeded"

    def __init__(self, reason: DenyReason, retry_after_seconds: float, extra: dict[str, Any]) -> None:
        """Keep which allowance it is."""
        super().__init__(_SAID[reason], retry_after_seconds=retry_after_seconds, extra=extra)
        self.reason: DenyReason = reason


def plan_limits(plan: Plan, anchor: date | None = None) -> tuple[Limit, ...]:
    """What a plan limits. Months are counted from the anchor on; without one they are those of the calendar."""
    return tuple(
        Limit(
            scope=scope,
            measure="generations",
            period=period,
            amount=amount,
            anchor=anchor if period == "month" else None,
        )
        for scope, period, amount in _AMOUNTS[plan]
    )


def quota_of(plan: Plan, standings: Sequence[Standing]) -> Quota:
    """How the limits stand, as far as they are on what is written for sessions."""
    found = {each.name: _window(each) for each in standings}
    return Quota(
        plan=plan,
        daily=found.get("user/generations/day"),
        monthly=found.get("user/generations/month"),
        workspace=found.get("workspace/generations/month"),
    )


def quota_exceeded(plan: Plan, spend: Spend, refused: BudgetExceededError) -> QuotaExceededError:
    """The refusal in the words of sessions. Of several limits the one is named that is reset last."""
    spent = [each for each in refused.standings if each.free < spend.needs(each.measure)]
    denying = max(spent, key=lambda each: (each.resets_at, each.period == "month", each.scope == "workspace"))
    reason = _reason(denying)
    quota = {**msgspec.structs.asdict(quota_of(plan, refused.standings)), "deny_reason": reason}
    return QuotaExceededError(
        reason,
        refused.retry_after_seconds,
        {"message": _SAID[reason], "reset_at": denying.resets_at, "quota": quota},
    )


def _reason(denying: Standing) -> DenyReason:
    if denying.scope == "workspace":
        return "workspace_budget"
    return "monthly" if denying.period == "month" else "daily"


def _window(standing: Standing) -> QuotaWindow:
    return QuotaWindow(limit=standing.limit, used=standing.used + standing.reserved, reset_at=standing.resets_at)
