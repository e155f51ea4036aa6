"""The documentation of a session as a stream: told by a task of its own, which ends with the stream."""

import asyncio

from litestar.types import Receive, Send

from workbench.domain.troubleshooting.metering import SessionMeter, StreamResult
from workbench.domain.troubleshooting.narrating import (
    DeltaEvent,
    DoneEvent,
    ErrorEvent,
    MetaEvent,
    Narration,
    NarrationEvent,
    ResetEvent,
)
from workbench.entrypoints.http.streams import Heartbeats, Stream, Wire, named_frame
from workbench.entrypoints.http.turn_streams import HEADERS

NAMES: dict[type[NarrationEvent], str] = {
    MetaEvent: "meta",
    DeltaEvent: "delta",
    ResetEvent: "reset",
    DoneEvent: "done",
    ErrorEvent: "error",
}


class NarrationStream(Stream):
    """One who reads a documentation as it is written.

    What is told waits here until the client takes it: it is one document, which is bounded.
    """

    __slots__ = ("_frames", "_is_over", "_meter", "_narration", "_teller")

    def __init__(self, narration: Narration, beats: Heartbeats, meter: SessionMeter) -> None:
        """Make a stream of what is told once it is served."""
        super().__init__(beats)
        self._narration = narration
        self._meter = meter
        self._frames: list[bytes] = []
        self._is_over = False
        self._teller: asyncio.Task[None] | None = None

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Those of every stream that is told once."""
        return HEADERS

    async def serve(self, receive: Receive, send: Send, wire: Wire) -> None:
        """Serve; and where the client is gone, wait until the model's work has ended and is written down."""
        try:
            await super().serve(receive, send, wire)
        finally:
            if self._teller is not None:
                await asyncio.wait([self._teller])
            if not self._is_over:
                self._meter.streamed("left")

    async def begin(self) -> None:
        """Begin to tell."""
        self._teller = asyncio.create_task(self._narration.tell(self._put))

    def _put(self, event: NarrationEvent) -> None:
        self._frames.append(named_frame(NAMES[type(event)], event))
        if isinstance(event, DoneEvent | ErrorEvent):
            self._is_over = True
            self._meter.streamed(_result(event))
        self.ring()

    async def next(self) -> bytes:
        """What there is."""
        frames, self._frames = self._frames, []
        return b"".join(frames)

    def last_words(self) -> bytes | None:
        """Nothing comes behind the last event."""
        return b"" if self._is_over and not self._frames else None

    def sign_of_life(self) -> bytes:
        """A comment."""
        return b": hb\n\n"

    def close(self) -> None:
        """Tell no more."""
        if self._teller is not None:
            self._teller.cancel()


def _result(event: DoneEvent | ErrorEvent) -> StreamResult:
    if isinstance(event, ErrorEvent):
        return "error"
    return "fallback" if event.fallback_reason else "done"
