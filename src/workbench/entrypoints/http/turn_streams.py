"""Streams of a turn (specification of turns, 4): what happened in it, from any place, until its end."""

from functools import lru_cache
from typing import ClassVar

from workbench.domain.identity.model import Principal
from workbench.domain.turns.model import TurnEvent
from workbench.domain.turns.reading import ReadingService, Watch, is_ending
from workbench.entrypoints.http.streams import Heartbeats, Stream

RETRY = b"retry: 2000\n\n"
FRAMES_REMEMBERED = 512
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"connection", b"keep-alive"),
    (b"x-accel-buffering", b"no"),
]


@lru_cache(FRAMES_REMEMBERED)
def turn_frame(event: TurnEvent) -> bytes:
    """An event on the stream of its turn; encoded once for all watchers."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.type.encode("ascii"), event.data.encode())


class TurnStream(Stream):
    """One who watches a turn."""

    __slots__ = ("_is_over", "_principal", "_reading", "watch")

    headers: ClassVar[list[tuple[bytes, bytes]]] = HEADERS

    def __init__(self, reading: ReadingService, principal: Principal, beats: Heartbeats) -> None:
        """Make a stream; its watch is set before it is served."""
        super().__init__(beats)
        self._reading = reading
        self._principal = principal
        self._is_over = False
        self.watch: Watch

    async def begin(self) -> None:
        """Say how soon to come back, and what is told in one."""
        await self.write(RETRY + b"".join(map(turn_frame, self.watch.first)))
        self._is_over = any(map(is_ending, self.watch.first))

    async def next(self) -> bytes:
        """The frames of what happened since, up to the end."""
        if self._is_over:
            return b""
        frames: list[bytes] = []
        for event in await self._reading.more(self._principal, self.watch.watcher):
            frames.append(turn_frame(event))
            if is_ending(event):
                self._is_over = True
                break
        return b"".join(frames)

    def last_words(self) -> bytes | None:
        """Nothing comes behind the end; who is sent away meanwhile comes back to where they were."""
        if self._is_over:
            return b""
        return b": the server is restarting; reconnect with Last-Event-ID\n\n" if self._reading.is_draining else None

    def sign_of_life(self) -> bytes:
        """A comment."""
        return b": hb\n\n"

    def close(self) -> None:
        """Give the watch back."""
        self._reading.close(self.watch.watcher)
