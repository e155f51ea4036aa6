"""The hub of turns: rings those who watch a turn when something happened in it, and keeps what is new at hand.

A watcher has a place in the turn's log and takes what lies behind it: from the hub where that is at hand, else from the
log. It has no queue of its own, so that a slow one costs nothing but its own time.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from workbench.domain.turns.model import TurnEvent

AT_HAND = 256
"""How many of a turn's latest events are kept at hand."""
READ_PAGE = 200
"""How many are read from the log at a time."""

ReadLog = Callable[[int, int], Awaitable[Sequence[TurnEvent]]]
"""Reads so many events of a turn behind a place."""


class Watcher:
    """One who watches a turn."""

    __slots__ = ("is_needed", "position", "ring", "tail", "turn_pk")

    def __init__(self, turn_pk: UUID, position: int, ring: Callable[[], None], *, is_needed: bool = False) -> None:
        """Watch from behind a place; `ring` is called when there may be more. Some turns need watchers, or they end."""
        self.turn_pk = turn_pk
        self.position = position
        self.ring = ring
        self.is_needed = is_needed
        self.tail: _Tail | None = None


class _Tail:
    """What is known of the end of a turn's log: all that lies behind the place `begins`; None where nothing is known."""

    def __init__(self) -> None:
        self.watchers: set[Watcher] = set()
        self.begins: int | None = None
        self.latest: list[TurnEvent] = []
        self.rings = 0
        self.reading = asyncio.Lock()

    @property
    def ends(self) -> int:
        """The place of the latest event, where anything is known."""
        return self.latest[-1].seq if self.latest else self.begins or 0

    def know(self, begins: int | None, latest: Sequence[TurnEvent]) -> None:
        """Keep as many as are kept."""
        self.latest = list(latest[-AT_HAND:])
        left_out = len(latest) - len(self.latest)
        self.begins = latest[left_out - 1].seq if left_out else begins

    def ring(self) -> None:
        """Have all watchers look."""
        self.rings += 1
        for watcher in list(self.watchers):
            watcher.ring()


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
        watcher.tail = self._tails.setdefault(watcher.turn_pk, _Tail())
        watcher.tail.watchers.add(watcher)
        if watcher.is_needed and watcher.turn_pk not in self._needed:
            self._needed.add(watcher.turn_pk)
            self.attendance_changed.set()

    def part(self, watcher: Watcher) -> None:
        """Forget the watcher, and with the last one what was kept for them."""
        tail, watcher.tail = watcher.tail, None
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
        if tail.begins is not None and events[0].seq == tail.ends + 1:
            tail.know(tail.begins, [*tail.latest, *events])
        else:
            # Others may have added to it before and since: only the log can tell.
            tail.know(None, [])
        tail.ring()

    def notice(self, turn_pk: UUID | None) -> None:
        """Hear that a turn, or any, may have gone on elsewhere."""
        tails = self._tails.values() if turn_pk is None else filter(None, [self._tails.get(turn_pk)])
        for tail in list(tails):
            tail.know(None, [])
            tail.ring()

    def has_at_hand(self, watcher: Watcher) -> bool:
        """Whether all behind the watcher's place is at hand, without a hole."""
        tail = watcher.tail
        if tail is None or tail.begins is None:
            return False
        count = tail.ends - watcher.position
        return count == 0 or (0 < count <= len(tail.latest) and tail.latest[-count].seq == watcher.position + 1)

    async def behind(self, watcher: Watcher, read: ReadLog) -> Sequence[TurnEvent]:
        """What lies behind the watcher's place, or the beginning of it.

        What is not at hand is read from the log, once for all who wait for the same.
        """
        tail = watcher.tail
        if tail is None:
            return await read(watcher.position, READ_PAGE)
        found = _at_hand(tail, watcher.position)
        if found is not None:
            return found
        async with tail.reading:
            found = _at_hand(tail, watcher.position)
            return await _read(tail, watcher.position, read) if found is None else found


def _at_hand(tail: _Tail, place: int) -> Sequence[TurnEvent] | None:
    ends = tail.ends
    if tail.begins is None or not tail.begins <= place <= ends:
        return None
    if place == ends:
        return ()
    return tail.latest[bisect_right(tail.latest, place, key=_place_of) :]


def _place_of(event: TurnEvent) -> int:
    return event.seq


async def _read(tail: _Tail, place: int, read: ReadLog) -> Sequence[TurnEvent]:
    """Read a page; what is its last one is kept at hand, unless something came meanwhile that it may lack."""
    rings = tail.rings
    events = await read(place, READ_PAGE)
    if len(events) < READ_PAGE and rings == tail.rings:
        tail.know(place, events)
    return events
