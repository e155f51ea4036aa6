"""What every way to tell a turn can do, and our own."""

from functools import lru_cache
from typing import Protocol

from workbench.domain.turns.model import TurnEvent

Headers = tuple[tuple[bytes, bytes], ...]
FRAMES_REMEMBERED = 512


class Telling(Protocol):
    """Tells the events of a turn to one watcher."""

    headers: Headers
    """What the response says of itself beside what all streams of turns say."""

    @property
    def is_over(self) -> bool:
        """Whether this watcher can be told no more, though the turn goes on: they have to come back."""
        ...

    def frames(self, event: TurnEvent) -> bytes:
        """The frames of an event; none where the vocabulary has no word for it."""
        ...


@lru_cache(FRAMES_REMEMBERED)
def turn_frame(event: TurnEvent) -> bytes:
    """An event on the stream of its turn; encoded once for all watchers."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.type.encode("ascii"), event.data.encode())


class Native:
    """Every event as it is."""

    headers: Headers = ()
    is_over = False

    def frames(self, event: TurnEvent) -> bytes:
        """The frame of an event."""
        return turn_frame(event)
