"""Windows, which limit holds for whom, and what a refusal says."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest

from workbench.domain.budgets.model import (
    HELD_RETRY,
    BudgetExceededError,
    Limit,
    Spend,
    Standing,
    Subjects,
    Terms,
    check_room,
    in_force,
)
from workbench.domain.budgets.windows import Window, months_after, window_of

UTC_ZONE = ZoneInfo("UTC")
VIENNA = ZoneInfo("Europe/Vienna")
NOW = datetime(2026, 5, 10, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def days(window: Window) -> tuple[str, str]:
    return window.starts_at.date().isoformat(), window.resets_at.date().isoformat()


# Windows


@pytest.mark.parametrize(
    ("now", "window"),
    [
        ("2026-01-31", ("2026-01-31", "2026-02-28")),
        ("2026-02-27", ("2026-01-31", "2026-02-28")),
        ("2026-02-28", ("2026-02-28", "2026-03-31")),
        ("2026-03-30", ("2026-02-28", "2026-03-31")),
        ("2026-03-31", ("2026-03-31", "2026-04-30")),
        ("2026-04-30", ("2026-04-30", "2026-05-31")),
        ("2028-02-29", ("2028-02-29", "2028-03-31")),
        ("2028-02-28", ("2028-01-31", "2028-02-29")),
        ("2025-12-31", ("2025-12-31", "2026-01-31")),
        ("2025-12-30", ("2025-11-30", "2025-12-31")),
    ],
)
def test_months_are_counted_from_the_anchor_each_time(now: str, window: tuple[str, str]) -> None:
    assert days(window_of("month", at(now), UTC_ZONE, date(2026, 1, 31))) == window


def test_every_moment_of_years_lies_in_its_window_and_windows_touch() -> None:
    for anchor in (date(2026, 1, 29), date(2026, 1, 30), date(2026, 1, 31), date(2024, 2, 29), None):
        last: Window | None = None
        for day in range(3 * 366):
            now = at("2026-01-01") + timedelta(days=day, hours=7)
            window = window_of("month", now, UTC_ZONE, anchor)
            assert window.starts_at <= now < window.resets_at
            assert last in (None, window) or last.resets_at == window.starts_at
            last = window


def test_without_an_anchor_months_are_those_of_the_calendar() -> None:
    assert days(window_of("month", at("2026-02-11"), UTC_ZONE)) == ("2026-02-01", "2026-03-01")


def test_months_before_an_anchor_are_counted_backwards() -> None:
    assert months_after(date(2026, 1, 31), -2) == date(2025, 11, 30)
    assert months_after(date(2026, 1, 31), -13) == date(2024, 12, 31)


def test_days_begin_at_midnight_where_the_workspace_is() -> None:
    window = window_of("day", at("2026-01-10T23:30"), VIENNA)
    assert (window.starts_at, window.resets_at) == (at("2026-01-10T23:00"), at("2026-01-11T23:00"))
    assert days(window_of("day", at("2026-01-10T23:30"), UTC_ZONE)) == ("2026-01-10", "2026-01-11")


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_on_which_clocks_change_is_shorter_or_longer(day: str, hours: int) -> None:
    window = window_of("day", at(f"{day}T12:00"), VIENNA)
    assert window.resets_at - window.starts_at == timedelta(hours=hours)


# Which limit holds


def limit(scope: Any = "user", subject: str = "*", amount: int | None = 10, **terms: Any) -> Limit:
    return Limit(scope=scope, subject=subject, amount=amount, **{"measure": "turns", "period": "day", **terms})


def held(stored: list[Limit], *defaults: Limit, **subjects: str) -> list[tuple[str, str, int | None]]:
    found = in_force(defaults, stored, Subjects(workspace="w", **subjects))
    return [(each.name, each.subject, each.amount) for each in found]


def test_what_is_stored_for_one_goes_before_what_is_stored_for_all_and_that_before_the_settings() -> None:
    own, every, default = limit(subject="ann", amount=1), limit(amount=2), limit(amount=3)
    name = "user/turns/day"
    assert held([], default, user="ann") == [(name, "ann", 3)]
    assert held([every], default, user="ann") == [(name, "ann", 2)]
    for stored in ([own, every], [every, own]):
        assert held(stored, default, user="ann") == [(name, "ann", 1)]
        assert held(stored, default, user="bea") == [(name, "bea", 2)]


def test_limits_of_each_measure_period_and_scope_hold_beside_each_other() -> None:
    limits = [limit(), limit(period="month"), limit(measure="tokens"), limit("workspace"), limit("assistant")]
    assert len(held(limits, user="ann", assistant="a")) == 5
    assert held(limits) == [("workspace/turns/day", "w", 10)]


def test_one_who_is_unlimited_is_not_limited_by_what_holds_for_all() -> None:
    assert held([limit(), limit(subject="ann", amount=None)], user="ann") == []


def test_only_months_have_an_anchor() -> None:
    given = {"measure": "turns", "period": "day", "amount": 1, "anchor": "2026-01-31"}
    with pytest.raises(msgspec.ValidationError, match="only months have an anchor"):
        msgspec.convert(given, Terms)
    assert msgspec.convert({**given, "period": "month"}, Terms).anchor == date(2026, 1, 31)


# Refusals


def standing(used: int, reserved: int = 0, amount: int = 10, **fields: Any) -> Standing:
    given = {"name": "user/turns/day", "scope": "user", "subject": "ann", "measure": "turns", "period": "day", **fields}
    hours = given.pop("hours", 12)
    return Standing(
        limit=amount,
        used=used,
        reserved=0,
        left=0,
        starts_at=NOW,
        resets_at=NOW + timedelta(hours=hours),
        resets_in_seconds=hours * 3600,
        **given,
    ).holding(reserved)


def refusal(spend: Spend, *standings: Standing) -> BudgetExceededError:
    with pytest.raises(BudgetExceededError) as caught:
        check_room(spend, standings)
    return caught.value


def test_the_last_unit_may_be_spent_and_none_behind_it() -> None:
    spend = Spend(key="k")
    check_room(spend, [standing(9), standing(8, 1)])
    refused = refusal(spend, standing(10))
    assert (refused.error_code, refused.retry_after_seconds) == ("budget_exceeded", 12 * 3600)
    assert refused.extra["deny_reason"] == "user/turns/day"
    assert refused.extra["reset_at"] == NOW + timedelta(hours=12)
    assert refused.extra["limits"][0].left == 0


def test_what_took_more_than_was_foreseen_leaves_nothing_and_not_less() -> None:
    assert standing(12, 3).left == 0
    assert refusal(Spend(key="k"), standing(12)).standings[0].left == 0


def test_of_several_that_are_spent_the_one_that_is_reset_last_is_named() -> None:
    month = standing(100, amount=100, name="user/turns/month", period="month", hours=500)
    for standings in ([standing(10), month], [month, standing(10)]):
        refused = refusal(Spend(key="k"), *standings)
        assert (refused.extra["deny_reason"], refused.retry_after_seconds) == ("user/turns/month", 500 * 3600)
    assert refusal(Spend(key="k"), standing(10), standing(1, name="other", hours=500)).extra["deny_reason"] == (
        "user/turns/day"
    )


def test_where_only_what_is_under_way_is_in_the_way_it_is_soon_worth_asking_again() -> None:
    held_up = refusal(Spend(key="k"), standing(9, 1))
    assert held_up.retry_after_seconds == HELD_RETRY.total_seconds()
    assert held_up.detail == "The budget of the user is held by what is under way: 10 turns a day"
    both = refusal(Spend(key="k"), standing(9, 1), standing(10))
    assert both.retry_after_seconds == 12 * 3600


def test_an_estimate_has_to_fit_too() -> None:
    tokens = standing(900, amount=1000, measure="tokens")
    check_room(Spend(key="k", tokens=100), [tokens])
    refusal(Spend(key="k", tokens=101), tokens)
    refusal(Spend(key="k", tokens=0), standing(1000, amount=1000, measure="tokens"))


def test_the_exempt_are_never_refused() -> None:
    check_room(Spend(key="k", is_exempt=True), [standing(10)])


def test_whose_limits_a_spend_touches() -> None:
    spend = Spend(key="k", user_id="ann", assistant_id=UUID(int=1))
    assert Subjects.of("w", spend).named() == {"workspace": "w", "user": "ann", "assistant": str(UUID(int=1))}
    assert Subjects.of("w", Spend(key="k")).named() == {"workspace": "w"}
