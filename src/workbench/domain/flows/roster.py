"""Which processes serve what at the moment: asked often, and so remembered for a moment."""

import time
import uuid
from collections.abc import Collection, Sequence
from datetime import timedelta

from workbench.domain.clock import Clock
from workbench.domain.flows.model import Host
from workbench.domain.flows.ports import FlowLedger

LIVE_SECONDS = 30.0
REMEMBERED_SECONDS = 1.0


class Roster:
    """The hosts that live; `host_id` is what this process is called among them."""

    def __init__(self, ledger: FlowLedger, clock: Clock) -> None:
        self.host_id = str(uuid.uuid4())
        self._ledger = ledger
        self._clock = clock
        self._hosts: Sequence[Host] = ()
        self._looked_at: float | None = None

    async def hosts(self, *, fresh: bool = False) -> Sequence[Host]:
        """Those that gave a sign of life lately."""
        now = time.monotonic()
        if fresh or self._looked_at is None or now - self._looked_at > REMEMBERED_SECONDS:
            self._hosts = await self._ledger.hosts(self._clock.now() - timedelta(seconds=LIVE_SECONDS))
            self._looked_at = now
        return self._hosts

    async def live_hosts(self, key: str, *, fresh: bool = False) -> int:
        """How many hold an assignment."""
        return sum(key in host.held for host in await self.hosts(fresh=fresh))

    async def all_held(self, keys: Collection[str], *, fresh: bool = False) -> bool:
        """Whether each of the assignments is held by somebody."""
        held = {key for host in await self.hosts(fresh=fresh) for key in host.held}
        return held.issuperset(keys)
