"""What was asked of the service's speed, by the name of the figure."""

from typing import NamedTuple, Self

ONE, MANY = "bare request, 1 client", "bare request, 16 clients"
YARDSTICKS = {ONE: 9_000.0, MANY: 22_000.0}
"""Requests a second that the floor's route without a statement answers on the machine that the targets were set for."""


class Target(NamedTuple):
    """A value to be reached; `at_most` where less is better.

    `yardstick` is what tells the pace of a machine for it: a slower one can no more be held to the value than its floor.
    """

    value: float
    unit: str
    at_most: bool = False
    yardstick: str | None = None

    def is_reached_by(self, value: float) -> bool:
        """Whether a measured value is good enough."""
        return value <= self.value if self.at_most else value >= self.value

    def at(self, pace: float) -> Self:
        """The same for a machine of so much the pace."""
        return self._replace(value=self.value / pace if self.at_most else self.value * pace)

    def __str__(self) -> str:
        """Read as a cell of a table."""
        return f"{'at most' if self.at_most else 'at least'} {self.value:,.0f} {self.unit}".rstrip()


TARGETS = {
    "start until ready": Target(2, "s", at_most=True, yardstick=MANY),
    "post, 1 client": Target(800, "/s", yardstick=ONE),
    "post, 16 clients": Target(2000, "/s", yardstick=MANY),
    "post, 16 clients, p99": Target(25, "ms", at_most=True, yardstick=MANY),
    "read 100 of 1,000, 4 clients": Target(800, "/s", yardstick=MANY),
    "read 100 of 100,000, 4 clients": Target(800, "/s", yardstick=MANY),
    "read 100 of 1,000,000, 4 clients": Target(800, "/s", yardstick=MANY),
    "memory a stream": Target(20, "KiB", at_most=True),
    "events to 1,000 streams": Target(40_000, "/s", yardstick=MANY),
    "memory for an upload of 1,024 MiB": Target(150, "MiB", at_most=True),
    "memory for a download of 1,024 MiB": Target(150, "MiB", at_most=True),
    "100 turns at once, deltas lost": Target(0, "", at_most=True),
    "100 turns at once, delta late by, p99": Target(150, "ms", at_most=True),
    "posts refused or failed": Target(0, "", at_most=True),
    "events missed on streams": Target(0, "", at_most=True),
    "events repeated or out of order on streams": Target(0, "", at_most=True),
    "events not delivered": Target(0, "", at_most=True),
    "nearest 50 of 50,000 vectors, p99": Target(50, "ms", at_most=True),
    "similar to one of 50,000 sessions, p50": Target(50, "ms", at_most=True),
    "two words among 50,000 sessions, p50": Target(50, "ms", at_most=True),
    "idle streams that broke": Target(0, "", at_most=True),
    "memory an idle stream": Target(20, "KiB", at_most=True),
}
