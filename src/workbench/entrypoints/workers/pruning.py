"""Retention, and what erasures left undone: in small steps, on one replica at a time."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TypeVar
from uuid import uuid4

import structlog

from workbench.domain.ids import RANDOM
from workbench.domain.jobs.model import LEASE_SECONDS, RENEWAL_SECONDS
from workbench.domain.jobs.ports import Leases
from workbench.domain.lifecycle.erasure import ErasureService
from workbench.domain.lifecycle.expiry import ExpiryService
from workbench.domain.lifecycle.model import RetentionReport
from workbench.domain.lifecycle.ports import UnfinishedErasure

T = TypeVar("T")

LEASE = "pruning"
PAUSE_SECONDS = 0.05
"""Between two steps, so that others get to write as well."""
ROUND_SECONDS = 300.0

logger = structlog.get_logger(__name__)


class PruningWorker:
    """Takes a lease, removes what is too old, goes on with erasures, gives the lease back, waits."""

    def __init__(self, expiry: ExpiryService, erasures: ErasureService, leases: Leases) -> None:
        self._expiry = expiry
        self._erasures = erasures
        self._leases = leases
        self._holder = uuid4().hex

    async def run(self) -> None:
        """Prune for ever. Replicas that start together do not ask at the same time."""
        while True:
            if await self._leases.acquire([LEASE], self._holder, LEASE_SECONDS):
                try:
                    await self.round()
                finally:
                    await self._leases.release([LEASE], self._holder)
            await asyncio.sleep(ROUND_SECONDS * (0.5 + RANDOM.random()))

    async def round(self) -> RetentionReport:
        """Remove everything that is too old now, and carry out what erasures there are; says what was removed."""
        report = RetentionReport(dry_run=False)
        async for step in self._kept_up(self._expiry.run()):
            report.take(step)
        for workspace_id, expired in report.workspaces.items():
            logger.info("removed by age", workspace_id=workspace_id, **expired.counts())
        for left in await self._erasures.abandoned():
            await self._go_on(left)
        return report

    async def _go_on(self, left: UnfinishedErasure) -> None:
        """Carry an erasure out; one that fails keeps no other from its end."""
        log = logger.bind(workspace_id=left.workspace_id, erasure_id=str(left.id))
        try:
            async for erasure in self._kept_up(self._erasures.proceed(left.workspace_id, left.id)):
                if erasure.has_ended:
                    log.info("erasure ended")
        except Exception:
            log.exception("erasure failed, trying again in the next round")

    async def _kept_up(self, steps: AsyncIterator[T]) -> AsyncIterator[T]:
        """Go on while the lease is renewed; whoever lost it leaves the rest to its new holder."""
        renewed = time.monotonic()
        async for step in steps:
            yield step
            await asyncio.sleep(PAUSE_SECONDS)
            if time.monotonic() - renewed >= RENEWAL_SECONDS:
                if LEASE not in await self._leases.renew(self._holder, LEASE_SECONDS):
                    return
                renewed = time.monotonic()
