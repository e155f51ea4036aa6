"""Ending well: readiness off, streams told to come back, so that the requests in flight can finish."""

from workbench.domain.events.hub import EventHub


class Drain:
    """What the server calls before it closes its connections."""

    def __init__(self, hub: EventHub) -> None:
        self._hub = hub

    @property
    def is_on(self) -> bool:
        """Whether the process is ending."""
        return self._hub.is_draining

    async def begin(self) -> None:
        """Take no new streams and end those there are; return when all have said goodbye."""
        await self._hub.drain()
