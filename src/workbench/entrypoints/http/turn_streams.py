"""Streams of a turn (specification of turns, 4): what happened in it, from any place, until its end."""

from collections.abc import Sequence
from uuid import UUID

from workbench.domain.identity.model import Principal
from workbench.domain.turns.model import TurnEvent
from workbench.domain.turns.reading import Place, ReadingService, Watch, is_ending
from workbench.entrypoints.http.streams import Heartbeats, Stream
from workbench.entrypoints.http.turn_formats.telling import Telling

RETRY = b"retry: 2000\n\n"
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"connection", b"keep-alive"),
    (b"x-accel-buffering", b"no"),
]


class TurnStream(Stream):
    """One who watches a turn."""

    __slots__ = ("_is_over", "_principal", "_reading", "more_headers", "telling", "watch")

    def __init__(self, reading: ReadingService, principal: Principal, beats: Heartbeats) -> None:
        """Make a stream; what it watches, and how that is told, is set before it is served."""
        super().__init__(beats)
        self._reading = reading
        self._principal = principal
        self._is_over = False
        self.watch: Watch
        self.telling: Telling
        self.more_headers: dict[str, str] = {}

    async def watch_turn(self, conversation_id: UUID, turn_id: str, place: Place) -> bool:
        """Watch a turn; says whether there is anything left to tell. Raises NotFoundError."""
        watch = await self._reading.watch(self._principal, conversation_id, turn_id, place, self.ring)
        if watch is not None:
            self.watch = watch
        return watch is not None

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Those of every stream of a turn, and those of its vocabulary."""
        more = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in self.more_headers.items()]
        return [*HEADERS, *self.telling.headers, *more]

    async def begin(self) -> None:
        """Say how soon to come back, and what is told in one."""
        await self.write(RETRY + self._told(self.watch.first))

    def has_at_hand(self) -> bool:
        """Whether the hub knows what comes next."""
        return self._reading.has_at_hand(self.watch)

    async def next(self) -> bytes:
        """The frames of what happened since, up to the end; not every event has one."""
        while not self._is_over:
            events = await self._reading.more(self._principal, self.watch)
            if self.watch.has_lost_access:
                return b""
            if (frames := self._told(events)) or not events:
                return frames
        return b""

    def _told(self, events: Sequence[TurnEvent]) -> bytes:
        frames: list[bytes] = []
        for event in events:
            frames.append(self.telling.frames(event))
            if is_ending(event) or self.telling.is_over:
                self._is_over = True
                break
        return b"".join(frames)

    def last_words(self) -> bytes | None:
        """Nothing comes behind the end; who is sent away meanwhile comes back to where they were."""
        if self._is_over:
            return b""
        if self.watch.has_lost_access:
            return b": access to this conversation has ended\n\n"
        return b": the server is restarting; reconnect with Last-Event-ID\n\n" if self._reading.is_draining else None

    def sign_of_life(self) -> bytes:
        """A comment."""
        return b": hb\n\n"

    def close(self) -> None:
        """Give the watch back."""
        self._reading.close(self.watch)
