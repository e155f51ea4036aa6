"""When the allowance for models begins anew. The numbers are those of the specification of sessions (16)."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from workbench.domain.budgets.windows import window_of
from workbench.domain.troubleshooting.quotas import plan_limits

ANCHOR = date(2026, 1, 31)


@pytest.mark.parametrize(
    ("now", "begins", "ends"),
    [
        ("2026-03-01", "2026-02-28", "2026-03-31"),
        ("2026-04-29", "2026-03-31", "2026-04-30"),
        ("2026-05-01", "2026-04-30", "2026-05-31"),
        ("2028-02-29", "2028-02-29", "2028-03-31"),
        ("2028-02-28", "2028-01-31", "2028-02-29"),
    ],
)
def test_40_months_are_counted_from_the_anchor(now: str, begins: str, ends: str) -> None:
    (monthly,) = [each for each in plan_limits("free", ANCHOR) if each.period == "month"]
    window = window_of(monthly.period, datetime.fromisoformat(f"{now}T12:00:00+00:00"), UTC, monthly.anchor)
    assert (f"{window.starts_at:%F}", f"{window.resets_at:%F}") == (begins, ends)


def test_40_a_day_follows_the_zone_over_a_change_of_clocks() -> None:
    vienna = ZoneInfo("Europe/Vienna")
    (daily,) = [each for each in plan_limits("free", ANCHOR) if each.period == "day"]
    spring = window_of(daily.period, datetime(2026, 3, 29, 12, tzinfo=UTC), vienna, daily.anchor)
    autumn = window_of(daily.period, datetime(2026, 10, 25, 12, tzinfo=UTC), vienna, daily.anchor)
    assert spring.starts_at == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert spring.resets_at - spring.starts_at == timedelta(hours=23)
    assert autumn.resets_at - autumn.starts_at == timedelta(hours=25)
