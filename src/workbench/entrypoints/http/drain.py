"""Ending well: readiness off, streams told to come back, so that the requests in flight can finish."""

import asyncio

from workbench.domain.events.hub import EventHub


class Drain:
    """What the server, on `app.state.drain`, calls before it closes its connections."""

    def __init__(self) -> None:
        self._hub: EventHub | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, hub: EventHub) -> None:
        """Take charge of the hub, in the event loop that serves it."""
        self._hub = hub
        self._loop = asyncio.get_running_loop()

    @property
    def is_on(self) -> bool:
        """Whether the process is ending."""
        return self._hub is not None and self._hub.is_draining

    @property
    def stream_count(self) -> int:
        """How many streams are open."""
        return 0 if self._hub is None else self._hub.reader_count

    async def begin(self) -> None:
        """Take no new streams and end those there are; return when all have said goodbye."""
        if self._hub is not None:
            await self._hub.drain()

    def begin_from_thread(self) -> None:
        """Begin from another thread than the one that serves, and wait for the end."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self.begin(), self._loop).result()
