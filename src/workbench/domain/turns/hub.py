"""The hub of turns: rings those who watch a turn when something happened in it, and keeps what is new at hand.

A watcher has a place in the turn's log and takes what lies behind it: from the hub where that is at hand, else from the
log. It has no queue of its own, so that a slow one costs nothing but its own time.
"""

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

from workbench.domain.turns.model import TurnEvent

AT_HAND = 256
"""How many of a turn's latest events are kept at hand."""


class Watcher:
    """One who watches a turn."""

    __slots__ = ("is_needed", "position", "ring", "turn_pk")

    def __init__(self, turn_pk: UUID, position: int, ring: Callable[[], None], *, is_needed: bool = False) -> None:
        """Watch from behind a place; `ring` is called when there may be more. Some turns need watchers, or they end."""
        self.turn_pk = turn_pk
        self.position = position
        self.ring = ring
        self.is_needed = is_needed


class _Tail:
    def __init__(self) -> None:
        self.watchers: set[Watcher] = set()
        self.latest: list[TurnEvent] = []


class TurnHub:
    """All watchers of this process."""

    def __init__(self) -> None:
        self._tails: dict[UUID, _Tail] = {}
        self._empty = asyncio.Event()
        self._needed: set[UUID] = set()
        self._left: set[UUID] = set()
        self.attendance_changed = asyncio.Event()
        self.is_draining = False

    @property
    def watcher_count(self) -> int:
        """How many watchers there are."""
        return sum(len(tail.watchers) for tail in self._tails.values())

    def take_attended(self) -> list[UUID]:
        """The turns that need watchers and have some here, or have just lost the last of them."""
        attended, self._left = self._needed | self._left, set()
        self.attendance_changed.clear()
        return sorted(attended)

    async def drain(self) -> None:
        """Let all watchers go, and return when they have."""
        self.is_draining = True
        self.notice(None)
        if self._tails:
            await self._empty.wait()

    def join(self, watcher: Watcher) -> None:
        """Ring the watcher from here on."""
        self._tails.setdefault(watcher.turn_pk, _Tail()).watchers.add(watcher)
        if watcher.is_needed and watcher.turn_pk not in self._needed:
            self._needed.add(watcher.turn_pk)
            self.attendance_changed.set()

    def part(self, watcher: Watcher) -> None:
        """Forget the watcher, and with the last one what was kept for them."""
        tail = self._tails.get(watcher.turn_pk)
        if tail is None:
            return
        tail.watchers.discard(watcher)
        if not tail.watchers:
            del self._tails[watcher.turn_pk]
            if watcher.turn_pk in self._needed:
                self._needed.discard(watcher.turn_pk)
                self._left.add(watcher.turn_pk)
                self.attendance_changed.set()
        if self.is_draining and not self._tails:
            self._empty.set()

    def announce(self, turn_pk: UUID, events: Sequence[TurnEvent]) -> None:
        """Take what this process just committed."""
        tail = self._tails.get(turn_pk)
        if tail is None:
            return
        if tail.latest and events[0].seq != tail.latest[-1].seq + 1:
            # Another process has added to it in between.
            tail.latest = []
        tail.latest = [*tail.latest, *events][-AT_HAND:]
        _ring(tail)

    def notice(self, turn_pk: UUID | None) -> None:
        """Hear that a turn, or any, may have gone on elsewhere."""
        tails = self._tails.values() if turn_pk is None else filter(None, [self._tails.get(turn_pk)])
        for tail in list(tails):
            tail.latest = []
            _ring(tail)

    def at_hand(self, watcher: Watcher) -> Sequence[TurnEvent] | None:
        """What comes right behind the watcher's place; None where only the log can tell."""
        tail = self._tails.get(watcher.turn_pk)
        if tail is None or not tail.latest or not tail.latest[0].seq <= watcher.position + 1 <= tail.latest[-1].seq:
            return None
        return tail.latest[watcher.position + 1 - tail.latest[0].seq :]


def _ring(tail: _Tail) -> None:
    for watcher in list(tail.watchers):
        watcher.ring()
