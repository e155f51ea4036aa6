"""How long a connection is waited for: its client may be slow, but not silent for ever.

uvicorn looks at the time only between two requests. Who connects and says nothing, stops in the middle of a request or
does not read the answer would keep a connection, and what serves it, for as long as they like.
"""

import asyncio

from workbench.entrypoints.http.corked import CorkedProtocol

SILENCE_SECONDS = 75.0
"""How often it is seen whether a client whose turn it is has moved. Who has not is let go: after so long, or twice that."""
FIRST_REQUEST_SECONDS = 1.0
"""How long who is connected may take to send the first request, once no others are taken in."""

TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

Due = tuple[str, object]
"""What a client is to do, and how far it is with that."""


class PatientProtocol(CorkedProtocol):
    """A connection that is closed when its client is silent for too long, and not before it had the time to ask."""

    __slots__ = ("_looking", "_received_bytes", "_times_read", "_was_due")

    silence_seconds = SILENCE_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a connection."""
        super().connection_made(transport)
        self._received_bytes = 0
        self._times_read = 0
        self._was_due: Due | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is under way on the connection."""
        if self._looking is not None:
            self._looking.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        self._received_bytes += len(data)
        if self._looking is None:
            self._look_later()
        super().data_received(data)

    def resume_writing(self) -> None:
        """Write on, since the client has read most of what was written."""
        self._times_read += 1
        super().resume_writing()

    def shutdown(self) -> None:
        """Close once the request in flight is answered, or the first, if it comes within a moment."""
        if not self.cycle:
            self.loop.call_later(FIRST_REQUEST_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def _look_later(self) -> None:
        self._looking = self.loop.call_later(self.silence_seconds, self._look)

    def _look(self) -> None:
        """Let the client go whose turn it is and who has not moved since the last look."""
        due = self._due()
        if due is not None and due == self._was_due:
            self._let_go(*due)
        elif due is None and self.cycle.response_complete:
            # Between two requests it is uvicorn that looks at the time.
            self._looking = self._was_due = None
        else:
            self._was_due = due
            self._look_later()

    def _due(self) -> Due | None:
        """What is waited for: that an answer is read, a body or a head is sent. A head is due whole."""
        cycle = self.cycle
        if not cycle or (cycle.response_complete and cycle.scope is not self.scope):
            return "head", cycle
        if self.flow.write_paused:
            # Nothing is written meanwhile, so that what is left only shrinks.
            return "answer", (self._times_read, self.transport.get_write_buffer_size())
        if cycle.more_body and not (self.flow.read_paused or cycle.waiting_for_100_continue):
            return "body", self._received_bytes
        return None

    def _let_go(self, due: str, _: object) -> None:
        if due == "head":
            if self.scope:
                self.transport.write(TIMED_OUT)
            self.transport.close()
        else:
            self.transport.abort()
