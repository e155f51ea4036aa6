"""The answer of a flow's service as a stream: opened when the bus has the request, closed behind its one last event."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import structlog
from litestar.types import Receive, Send
from msgspec import UNSET

from workbench.domain.bus.calls import Reply
from workbench.domain.bus.errors import CallError
from workbench.domain.flows.calling import OpenCall
from workbench.entrypoints.http.streams import Heartbeats, Stream, Wire, named_frame

AHEAD_BYTES = 64 << 10
"""How much is taken from the mailbox before the client has taken what came before."""

logger = structlog.get_logger(__name__)


class FlowStream(Stream):
    """One who reads an answer as it is made."""

    __slots__ = ("_call", "_frames", "_is_over", "_number", "_reader", "_room", "_stack", "_waiting")

    def __init__(self, call: OpenCall, stack: AsyncExitStack, beats: Heartbeats) -> None:
        """`stack` is what ends the call."""
        super().__init__(beats)
        self._call = call
        self._stack = stack
        self._frames: list[bytes] = []
        self._waiting = 0
        self._number = 0
        self._is_over = False
        self._room = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def serve(self, receive: Receive, send: Send, wire: Wire) -> None:
        """Serve, and end the call however this ends."""
        try:
            await super().serve(receive, send, wire)
        finally:
            await self._stack.aclose()

    async def begin(self) -> None:
        """Say what was asked, and begin to read."""
        call = self._call
        opened = {"id": call.id, "flow_id": call.flow.flow_id, "interface": call.interface, "deadline": call.deadline}
        await self.write(named_frame("open", opened))
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            while not self._is_over:
                self._add(await self._call.next())
                while self._waiting > AHEAD_BYTES and not self._is_over:
                    self._room.clear()
                    await self._room.wait()
        except CallError as error:
            told = {"code": error.code, "message": error.detail, **error.extra}
            self._end(named_frame("error", told))
        except Exception:
            logger.exception("reading an answer failed")
            failed = {"code": "internal", "message": "Internal Server Error", "retryable": False, "outcome": "unknown"}
            self._end(named_frame("error", failed))

    def _add(self, reply: Reply) -> None:
        if reply.kind == "reset":
            self._number = 0
            self._put(named_frame("reset", {}))
            return
        self._number += 1
        body: dict[str, Any] = {"seq": reply.seq}
        if reply.data is not UNSET:
            body["data"] = reply.data
        if reply.usage is not None:
            body["usage"] = reply.usage
        frame = named_frame("final" if reply.is_last else "part", body, self._number)
        if reply.is_last:
            self._end(frame)
        else:
            self._put(frame)

    def _put(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._waiting += len(frame)
        self.ring()

    def _end(self, frame: bytes) -> None:
        self._is_over = True
        self._put(frame)

    async def next(self) -> bytes:
        """What there is."""
        frames, self._frames, self._waiting = self._frames, [], 0
        self._room.set()
        return b"".join(frames)

    def last_words(self) -> bytes | None:
        """Nothing comes behind the last event."""
        return b"" if self._is_over and not self._frames else None

    def sign_of_life(self) -> bytes:
        """A comment."""
        return b": hb\n\n"

    def close(self) -> None:
        """Read no more."""
        if self._reader is not None:
            self._reader.cancel()
