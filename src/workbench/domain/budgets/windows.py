"""When a budget begins anew: at midnight where the workspace is, each day or each month from an anchor on."""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

import msgspec

from workbench.domain.budgets.model import Period

MONTHS = 12
FIRST_OF_A_MONTH = date(2001, 1, 1)
"""The anchor of those who have none: their months are those of the calendar."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """From when on spending counts, and when it is forgotten; in UTC, the end not included."""

    starts_at: datetime
    resets_at: datetime


def zone_named(name: str) -> tzinfo:
    """A time zone of the machine; UTC is known everywhere. Raises ZoneInfoNotFoundError, ValueError, OSError."""
    return UTC if name == "UTC" else ZoneInfo(name)


def window_of(period: Period, now: datetime, zone: tzinfo, anchor: date | None = None) -> Window:
    """The window that now lies in."""
    today = now.astimezone(zone).date()
    if period == "day":
        return _between(today, today + timedelta(days=1), zone)
    first = anchor or FIRST_OF_A_MONTH
    # The day of an anchor may come later in this month than today, or not at all.
    months = (today.year - first.year) * MONTHS + today.month - first.month
    if months_after(first, months) > today:
        months -= 1
    return _between(months_after(first, months), months_after(first, months + 1), zone)


def months_after(anchor: date, months: int) -> date:
    """So many months after a day, or before: its day of the month, or the last one where that month is shorter.

    Counted from the anchor each time: after the 31st of January come the 28th of February and the 31st of March.
    """
    year, month = divmod(anchor.year * MONTHS + anchor.month - 1 + months, MONTHS)
    return date(year, month + 1, min(anchor.day, monthrange(year, month + 1)[1]))


def _between(first: date, last: date, zone: tzinfo) -> Window:
    return Window(starts_at=_midnight(first, zone), resets_at=_midnight(last, zone))


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)
