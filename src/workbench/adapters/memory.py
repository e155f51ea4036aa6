"""A bounded memory of what was found elsewhere."""

import math
import time
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memory(Generic[K, V]):
    """As many entries as fit, the one unused for longest going first; each for a while, or until it is forgotten."""

    def __init__(self, limit: int, seconds: float = math.inf, now: Callable[[], float] = time.monotonic) -> None:
        """Keep up to `limit` entries, each for so long; `now` gives monotonic seconds."""
        self._limit = limit
        self._seconds = seconds
        self._now = now
        self._kept: dict[K, tuple[V, float]] = {}

    def find(self, key: K) -> V | None:
        """Answer with what is kept, if it still counts."""
        kept = self._kept.pop(key, None)
        if kept is None or kept[1] <= self._now():
            return None
        self._kept[key] = kept
        return kept[0]

    def keep(self, key: K, value: V) -> None:
        """Keep it from now on."""
        self._kept.pop(key, None)
        if len(self._kept) >= self._limit:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (value, self._now() + self._seconds)

    def forget(self, key: K) -> None:
        """Keep it no longer."""
        self._kept.pop(key, None)
