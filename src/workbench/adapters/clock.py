"""The wall clock."""

from datetime import UTC, datetime


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The time now, in UTC, never with zero microseconds (see the port)."""
        now = datetime.now(UTC)
        return now if now.microsecond else now.replace(microsecond=1)
