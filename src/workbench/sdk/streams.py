"""Streams of conversations and turns, read for as long as one likes: what breaks off is resumed where it was."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from http import HTTPStatus

import httpx
import msgspec

from workbench.sdk.calls import TIMEOUT, Calls, failure_of
from workbench.sdk.errors import CallError
from workbench.sdk.model import StreamEvent, StreamGap
from workbench.sdk.turn_model import TurnEvent

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
PASSING_4XX = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
GAP = "stream.gap"
UNDER_WAY = frozenset({"opened", "streaming"})

log = logging.getLogger(__name__)


class Frames:
    """Takes a stream apart (WHATWG HTML, 9.2.6), whatever pieces it arrives in."""

    def __init__(self) -> None:
        """Begin at the beginning of a stream."""
        self._rest = b""
        self._fields: dict[str, str] = {}

    def feed(self, chunk: bytes) -> Iterator[dict[str, str]]:
        """Give the fields of each event that the piece completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            name, _, value = line.removesuffix(b"\r").decode().partition(":")
            value = value.removeprefix(" ")
            if name == "data" and "data" in self._fields:
                self._fields["data"] += f"\n{value}"
            elif name:
                self._fields[name] = value
            elif not line.startswith(b":"):  # a line with nothing before the colon is a sign of life
                fields, self._fields = self._fields, {}
                if fields:
                    yield fields


class Resumed:
    """One stream of events, whatever connections it takes; knows its position, and how long to leave the server alone."""

    def __init__(self, calls: Calls, path: str, last_event_id: str | None) -> None:
        """Begin behind that event, or without one where the server likes to."""
        self.position = last_event_id
        self._calls = calls
        self._path = path
        self._is_over = False
        self._first_pause = FIRST_PAUSE_SECONDS
        self._pause = FIRST_PAUSE_SECONDS

    async def read(self) -> AsyncGenerator[dict[str, str]]:
        """Give the fields of each event, until the server says (204) that there is nothing more to be had.

        Raises CallError when the workbench does not let us read.
        """
        now = asyncio.get_running_loop().time
        while True:
            began = now()
            try:
                async with aclosing(self._connection()) as events:
                    async for fields in events:
                        self._pause = self._first_pause
                        yield fields
                reason = "it was ended"
            except httpx.TransportError as error:
                reason = f"{type(error).__name__} {error}"
            except CallError as error:
                if error.status < HTTPStatus.INTERNAL_SERVER_ERROR and error.status not in PASSING_4XX:
                    raise
                reason = str(error)
            if self._is_over:
                return
            if now() - began > LONGEST_PAUSE_SECONDS:  # it was well, only silent
                self._pause = self._first_pause
            log.info("%s is resumed in %.1f s: %s", self._path, self._pause, reason)
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    async def _connection(self) -> AsyncGenerator[dict[str, str]]:
        headers = {**self._calls.headers, "Accept": "text/event-stream"}
        if self.position is not None:
            headers["Last-Event-ID"] = self.position
        async with self._calls.http.stream("GET", self._path, headers=headers, timeout=TIMEOUT) as response:
            if not response.is_success:
                await response.aread()
                raise failure_of(response)
            self._is_over = response.status_code == HTTPStatus.NO_CONTENT
            frames = Frames()
            async for chunk in response.aiter_bytes():
                for fields in frames.feed(chunk):
                    self._heed(fields)
                    if "data" in fields:
                        yield fields

    def _heed(self, fields: dict[str, str]) -> None:
        self.position = fields.get("id", self.position)
        if fields.get("retry", "").isdecimal():
            self._first_pause = int(fields["retry"]) / 1000


async def conversation_events(
    calls: Calls, path: str, last_event_id: str | None
) -> AsyncGenerator[StreamEvent | StreamGap]:
    """Read what happens in a conversation, one event after the other, for ever."""
    async with aclosing(Resumed(calls, path, last_event_id).read()) as events:
        async for fields in events:
            yield event_of(fields)


async def turn_events(calls: Calls, path: str, last_event_id: str | None) -> AsyncGenerator[TurnEvent]:
    """Read what happens in a turn, up to its end."""
    stream = Resumed(calls, path, last_event_id)
    async with aclosing(stream.read()) as events:
        behind = stream.position
        async for fields in events:
            event = TurnEvent(
                id=fields.get("id", ""), event=fields.get("event", ""), data=msgspec.json.decode(fields["data"])
            )
            if event.event == "turn.snapshot" and event.data["status"] not in UNDER_WAY:
                # The end follows, with the same id. Should it not arrive, it is not to be taken for told.
                stream.position = behind
            behind = stream.position
            yield event
            if event.is_ending:
                return


def event_of(fields: dict[str, str]) -> StreamEvent | StreamGap:
    """Read the event that fields of a frame make."""
    name = fields.get("event", "message")
    known = {"id": fields.get("id", ""), "event": name}
    body = msgspec.json.decode(fields["data"])
    return msgspec.convert({**body, **known}, StreamGap if name == GAP else StreamEvent)
