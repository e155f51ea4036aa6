"""A clock that tests set."""

from datetime import UTC, datetime, timedelta

from dishka import Provider, Scope, provide

from workbench.domain.clock import Clock

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


class SettableClock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def move(self, **by: float) -> None:
        """Move by a timedelta's keywords, forward or back."""
        self._now += timedelta(**by)


class StoppedClock(Provider):
    """Provides a clock that tests hold in their hands."""

    scope = Scope.APP

    def __init__(self, clock: SettableClock | None = None) -> None:
        super().__init__()
        self.clock = clock or SettableClock()

    @provide
    def given(self) -> Clock:
        return self.clock


class Seconds:
    """Counts seconds, as far as tests move it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
