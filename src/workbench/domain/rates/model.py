"""A rate: so many times in so many seconds."""

import msgspec

from workbench.domain.errors import ExhaustedError


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """How often an act is allowed, counted apart for each act by its name and for each caller."""

    act: str
    times: int
    seconds: int


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How often routes may be used, as a multiple of what each says of itself."""

    factor: float = 1.0

    def times(self, usual: int) -> int:
        """How often, but once at least."""
        return max(1, round(usual * self.factor))


def too_often(rate: Rate, seconds: float) -> ExhaustedError:
    """It was one too many, and is none again after so many seconds."""
    return ExhaustedError(
        f"at most {rate.times} times in {rate.seconds} seconds",
        code="rate_limited",
        retry_after_seconds=max(seconds, 1),
    )
