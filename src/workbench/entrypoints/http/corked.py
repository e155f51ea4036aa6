"""One write for head and body of an answer.

uvicorn writes them apart, and uvloop passes each write to the kernel at once: two system calls and two packets
for every answer. Here what is written within one turn of the event loop goes out together.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

FLUSH_BYTES = 64 * 1024
"""What may gather: beyond it nothing is gained, and a writer that never pauses must feel the transport's limits."""


FLOW = "workbench.flow"
"""Under this name a request's scope has its connection's control of its flow."""
UNCORK = "workbench.uncork"
"""And under this a function that has what is written from then on sent at once, until the next request."""


class CorkedTransport:
    """A transport that gathers writes until the event loop's next turn."""

    __slots__ = ("_gathered", "_is_corked", "_loop", "_size", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Write to `transport`."""
        self._transport = transport
        self._loop = loop
        self._gathered: list[bytes] = []
        self._size = 0
        self._is_corked = True

    def cork(self) -> None:
        """Gather from now on."""
        self._is_corked = True

    def uncork(self) -> None:
        """Gather no more: what a stream writes, it writes whole, and there are many streams."""
        self._flush()
        self._is_corked = False

    def write(self, data: bytes) -> None:
        """Send the data with this turn's other data."""
        if not self._is_corked:
            if not self._transport.is_closing():
                self._transport.write(data)
            return
        if not self._gathered:
            self._loop.call_soon(self._flush)
        self._gathered.append(data)
        self._size += len(data)
        if self._size >= FLUSH_BYTES:
            self._flush()

    def close(self) -> None:
        """Close when everything is sent."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._gathered and not self._transport.is_closing():
            self._transport.writelines(self._gathered)
        self._gathered = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        """Everything else is the transport's own."""
        return getattr(self._transport, name)


class CorkedProtocol(HttpToolsProtocol):
    """uvicorn's protocol on a corked transport."""

    # uvicorn's own attributes are nearly as many as the interpreter keeps without a dictionary for each connection.
    __slots__ = ("_corked",)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a connection."""
        self._corked = CorkedTransport(transport, self.loop)
        super().connection_made(self._corked)  # type: ignore[arg-type]

    def on_message_begin(self) -> None:
        """Begin a request, and let it know how its connection flows."""
        super().on_message_begin()
        self._corked.cork()
        self.scope[FLOW] = self.flow  # type: ignore[typeddict-unknown-key]
        self.scope[UNCORK] = self._corked.uncork  # type: ignore[typeddict-unknown-key]
