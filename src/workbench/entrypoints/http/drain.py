"""Ending well: readiness off, streams told to come back, so that the requests in flight can finish; or at once."""

import asyncio

from workbench.domain.events.hub import EventHub
from workbench.domain.flows.calling import FlowGateway
from workbench.domain.turns.hub import TurnHub
from workbench.entrypoints.workers.running import RunningWorker

FLOW_SECONDS = 4.0
"""Less than what streams have to say goodbye by default: who is told to come back still has to be answered."""


class Drain:
    """What the server, on `app.state.drain`, calls before it closes its connections."""

    def __init__(self) -> None:
        self._hub: EventHub | None = None
        self._turn_hub: TurnHub | None = None
        self._flows: FlowGateway | None = None
        self._running: RunningWorker | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, hub: EventHub, turn_hub: TurnHub, flows: FlowGateway, running: RunningWorker) -> None:
        """Take charge of what keeps connections and the process open, in the event loop that serves them."""
        self._running = running
        self._flows = flows
        self._hub = hub
        self._turn_hub = turn_hub
        self._loop = asyncio.get_running_loop()

    @property
    def is_on(self) -> bool:
        """Whether the process is ending."""
        return self._hub is not None and self._hub.is_draining

    @property
    def stream_count(self) -> int:
        """How many streams are open."""
        readers = 0 if self._hub is None else self._hub.reader_count
        return readers + (0 if self._turn_hub is None else self._turn_hub.watcher_count)

    async def begin(self) -> None:
        """Take no new streams and end those there are; return when all have said goodbye.

        Requests to flows cannot be taken up again elsewhere, and have FLOW_SECONDS to come to their end.
        """
        if self._hub is not None and self._turn_hub is not None and self._flows is not None:
            await asyncio.gather(self._hub.drain(), self._turn_hub.drain(), self._flows.drain(FLOW_SECONDS))

    def hurry(self) -> None:
        """Give answers that are under way no more time."""
        if self._running is not None:
            self._running.hurry()

    def begin_from_thread(self) -> None:
        """Begin from another thread than the one that serves, and wait for the end."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self.begin(), self._loop).result()
