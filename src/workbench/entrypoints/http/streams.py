"""Server-sent events (WHATWG HTML, 9.2): frames of events, and the response that carries them.

A stream that has nothing to say costs no task but the request's own, which waits for the client to go. What is to be
sent is sent by one task for all streams, which lives only while there is something to send, and waits for nobody: a
stream whose client is slow, or that has to look up what it says, is given a task of its own for as long as that takes.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, cast

import msgspec
import structlog
from litestar import Response
from litestar.types import Receive, Scope, Send

from workbench.domain.events.model import TURN_TYPES, Event
from workbench.domain.events.readers import ConversationReader, FeedReader, WorkspaceReader
from workbench.domain.events.service import EventService, Gap
from workbench.entrypoints.http.corked import FLOW, UNCORK

RETRY_MILLISECONDS = 1000
WIRE = "wire"
"""Under this name a request's state has the server's own `send`, without what the layers between wrap around it."""
FRAMES_REMEMBERED = 64
"""Frames kept encoded for the readers that are still to send them; an event may have a MiB."""

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"connection", b"keep-alive"),
    (b"x-accel-buffering", b"no"),
]
PARTING_WORDS = {
    "behind": b": this reader fell behind; resume with Last-Event-ID\r\n",
    "no access": b": access to this conversation has ended\r\n",
    "expired": b": the credentials have run out; connect again with new ones and Last-Event-ID\r\n",
    "draining": b": the server is restarting; reconnect with Last-Event-ID\r\nretry: 1000\r\n",
}

Frame = Callable[[Event], bytes]

logger = structlog.get_logger(__name__)


def _frame(position: int, name: str, data: bytes) -> bytes:
    return b"id: %d\r\nevent: %s\r\ndata: %s\r\nretry: %d\r\n\r\n" % (
        position,
        name.encode("ascii"),
        data,
        RETRY_MILLISECONDS,
    )


def named_frame(name: str, data: Any, number: int | None = None) -> bytes:
    """An event of a stream that is no log of events: its data are one JSON text, and it need not have a place."""
    numbered = b"" if number is None else b"id: %d\n" % number
    return b"%sevent: %s\ndata: %s\n\n" % (numbered, name.encode("ascii"), msgspec.json.encode(data))


def _timestamp(event: Event) -> bytes:
    return msgspec.json.encode(event.timestamp)


@lru_cache(FRAMES_REMEMBERED)
def conversation_frame(event: Event) -> bytes:
    """An event on the stream of its conversation; encoded once for all readers."""
    data = b'{"timestamp":%s,"data":%s}' % (_timestamp(event), event.data.encode("ascii"))
    return _frame(event.position, event.type, data)


@lru_cache(FRAMES_REMEMBERED)
def feed_frame(event: Event) -> bytes:
    """An event on a user's stream over all conversations; encoded once for all readers."""
    data = b'{"timestamp":%s,"data":%s,"conversation_id":"%s"}' % (
        _timestamp(event),
        event.data.encode("ascii"),
        str(event.conversation_id).encode("ascii"),
    )
    return _frame(event.feed_position, event.type, data)


@lru_cache(FRAMES_REMEMBERED)
def workspace_frame(event: Event) -> bytes:
    """An event on the stream of its workspace; encoded once for all readers."""
    data = b'{"timestamp":%s,"data":%s}' % (_timestamp(event), event.data.encode("ascii"))
    return _frame(event.feed_position, event.type, data)


def gap_frame(gap: Gap) -> bytes:
    """Say that events are missing. Its id lets the next connection begin where this one goes on."""
    return _frame(gap.first_available - 1, "stream.gap", msgspec.json.encode(gap))


def position_of(last_event_id: str | None) -> tuple[bool, int | None]:
    """Whether a position was given, and which; one that we never gave out is None, and makes a gap."""
    if not last_event_id:
        return False, None
    plain = last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19  # noqa: PLR2004
    return True, int(last_event_id) if plain else None


class Heartbeats:
    """One task for the signs of life of all silent streams."""

    def __init__(self, every_seconds: float) -> None:
        """Ping each stream that was silent for about that long."""
        self.round = Round()
        self._every = every_seconds
        self._streams: set[Stream] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, stream: "Stream") -> None:
        """Keep the stream alive until it is removed."""
        self._streams.add(stream)
        if self._task is None:
            self._task = asyncio.create_task(self._beat())

    def remove(self, stream: "Stream") -> None:
        """Let the stream be."""
        self._streams.discard(stream)
        if not self._streams and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._every / 5)
            silent_since = time.monotonic() - self._every * 0.8
            for stream in list(self._streams):
                stream.ping(silent_since)


class Wire(NamedTuple):
    """The server's own way to a client, and the control of its flow, where the server lets one look at that."""

    send: Send
    flow: Any
    uncork: Callable[[], None] | None


class Round:
    """One task for what all streams have ready: a task for each would cost half as much again as the sending itself."""

    def __init__(self) -> None:
        self._due: list[Stream] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, stream: "Stream") -> None:
        """Send what the stream has, in this turn of the event loop or the next."""
        self._due.append(stream)
        if self._task is None:
            self._task = asyncio.create_task(self._go())

    async def _go(self) -> None:
        try:
            while self._due:
                due, self._due = self._due, []
                for stream in due:
                    await stream.pump_at_once()
        finally:
            self._task = None


class Stream:
    """One open stream: sends what there is, until the client goes or there will be nothing more."""

    __slots__ = (
        "_beats",
        "_flow",
        "_is_pumped",
        "_ping",
        "_pump_task",
        "_rung",
        "_send",
        "_sent_at",
        "_started",
        "_wire",
    )

    looks_up = True
    """Whether `next` may have to wait for what it says, and may leave something for the next time."""

    def __init__(self, beats: Heartbeats) -> None:
        self._beats = beats
        self._send: Any = None
        self._wire: Any = None
        self._flow: Any = None
        self._sent_at = 0.0
        self._started = False
        self._ping = False
        self._rung = False
        self._is_pumped = False
        self._pump_task: asyncio.Task[None] | None = None

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What the response says of itself."""
        return HEADERS

    async def begin(self) -> None:
        """Send what comes first."""

    async def next(self) -> bytes:
        """What is to be sent now; empty where there is nothing."""
        raise NotImplementedError

    def has_at_hand(self) -> bool:
        """Whether `next` would not have to wait just now, nor leave anything; of those that may have to."""
        return False

    def last_words(self) -> bytes | None:
        """What is sent when there will be nothing more; None while there may be."""
        raise NotImplementedError

    def sign_of_life(self) -> bytes:
        """A comment, so that nobody between takes the stream for dead."""
        return b": ping - %s\r\n" % datetime.now(UTC).isoformat().encode("ascii")

    def close(self) -> None:
        """Let go of what it reads from."""
        raise NotImplementedError

    def ring(self) -> None:
        """There is something to send."""
        self._rung = True
        if self._started and not self._is_pumped:
            self._is_pumped = True
            self._beats.round.add(self)

    def ping(self, silent_since: float) -> None:
        """Send a sign of life, unless something was sent since that time (monotonic, in seconds)."""
        if self._sent_at < silent_since:
            self._ping = True
            self.ring()

    async def serve(self, receive: Receive, send: Send, wire: Wire) -> None:
        """Send headers, then what was missed, then what comes; return when the client is gone.

        Headers and the end go through `send`, as every layer wants to see them; frames go straight to the `wire`,
        since nobody between has anything to say to them (measured: a tenth of what an event on a stream costs).
        """
        self._send, self._wire, self._flow = send, wire.send, wire.flow
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.headers})
            await self.write(b"")
            if wire.uncork is not None:
                wire.uncork()
            await self.begin()
            self._started = True
            self._beats.add(self)
            self.ring()
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            self._started = False
            self._beats.remove(self)
            self.close()
            if self._pump_task is not None:
                self._pump_task.cancel()

    async def pump_at_once(self) -> None:
        """Send all there is that can be sent without waiting, and leave what cannot to a task of the stream's own."""
        while self._started:
            if self._flow is None or self._flow.write_paused or (self.looks_up and not self.has_at_hand()):
                self._pump_task = asyncio.create_task(self._pump())
                return
            if not await self._step():
                break
        self._is_pumped = False

    async def _pump(self) -> None:
        """Send all there is, several frames in one write where they have gathered; then be gone."""
        try:
            while await self._step():
                pass
        finally:
            self._is_pumped = False
            self._pump_task = None

    async def _step(self) -> bool:
        """Send what comes next; whether there may be more."""
        self._rung = False
        try:
            if body := await self.next():
                await self.write(body)
                return self._rung or (self.looks_up and not self.has_at_hand()) or self.last_words() is not None
            if (parting := self.last_words()) is not None:
                await self.write(parting, more=False)
                return False
            if self._ping:
                await self.write(self.sign_of_life())
        except Exception:
            # Nobody awaits this, and the client will find its stream silent: end it.
            logger.exception("stream failed")
            with contextlib.suppress(Exception):
                await self.write(b"", more=False)
            return False
        return self._rung

    async def write(self, body: bytes, *, more: bool = True) -> None:
        """Send bytes."""
        self._ping = False
        self._sent_at = time.monotonic()
        send = self._wire if more else self._send
        await send({"type": "http.response.body", "body": body, "more_body": more})


class EventStream(Stream):
    """A stream of what happens in conversations, or outside them."""

    __slots__ = ("_frame", "_resume", "_service", "_untold", "reader")

    looks_up = False

    def __init__(
        self,
        service: EventService,
        frame: Frame,
        beats: Heartbeats,
        last_event_id: str | None,
        *,
        with_turns: bool = False,
    ) -> None:
        """Make a stream, from behind that id if one is given; its reader is set before it is served."""
        super().__init__(beats)
        self._untold = frozenset[str]() if with_turns else TURN_TYPES
        self._service = service
        self._frame = frame
        self._resume = position_of(last_event_id)
        self.reader: ConversationReader | FeedReader | WorkspaceReader

    async def begin(self) -> None:
        """Replay the log, if a place was given."""
        is_given, after = self._resume
        if not is_given:
            return
        async for item in self._service.replay(self.reader, after):
            if isinstance(item, Gap):
                await self.write(gap_frame(item))
            else:
                await self.write(self._frames(item))

    async def next(self) -> bytes:
        """The frames of what the reader has, but for what was replayed."""
        reader = self.reader
        while events := reader.take():
            frames: list[bytes] = []
            for event in events:
                place = reader.place(event)
                if place > reader.position:
                    reader.position = place
                    if event.type not in self._untold:
                        frames.append(self._frame(event))
            if frames:
                return b"".join(frames)
        return b""

    def _frames(self, events: Sequence[Event]) -> bytes:
        return b"".join([self._frame(event) for event in events if event.type not in self._untold])

    def last_words(self) -> bytes | None:
        """Why the reader was ended."""
        return PARTING_WORDS[self.reader.ended] if self.reader.ended else None

    def close(self) -> None:
        """Give the reader up."""
        self._service.close(self.reader)


class StreamResponse(Response[None]):
    """Litestar's view of a stream."""

    def __init__(self, stream: Stream) -> None:
        """Serve the stream."""
        super().__init__(None)
        self._stream = stream

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        """Be the response oneself: the framework's own would wrap each frame."""
        stream = self._stream

        async def respond(scope: Scope, receive: Receive, send: Send) -> None:
            connection = cast("dict[str, Any]", scope)
            await stream.serve(
                receive, send, Wire(connection["state"][WIRE], connection.get(FLOW), connection.get(UNCORK))
            )

        return respond
