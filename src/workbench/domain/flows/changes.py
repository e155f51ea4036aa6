"""Word within this process that a flow has changed; other processes find it by looking."""

import asyncio
import contextlib


class FlowChanges:
    """Rings for everybody who waits."""

    def __init__(self) -> None:
        self._bells: set[asyncio.Event] = set()

    def ring(self) -> None:
        """Something changed."""
        for bell in self._bells:
            bell.set()

    async def wait(self, bell: asyncio.Event, seconds: float) -> bool:
        """Return when it rang since the last time, or after a while; whether it rang."""
        self._bells.add(bell)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(bell.wait(), seconds)
        rang = bell.is_set()
        bell.clear()
        return rang
