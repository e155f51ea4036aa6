"""Time, as the domain sees it."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The time now, in UTC.

        Its microseconds are never zero: the JSON encoder leaves a zero fraction out, and clients compare
        the printed times as text, which works only while all have six fraction digits.
        """
        ...
