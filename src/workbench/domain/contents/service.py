"""Removing contents that nothing refers to: struck off first, their bytes by a job that cannot be lost."""

from datetime import timedelta

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.contents.model import REST, Removal, StoredContent, Sweep
from workbench.domain.contents.ports import ContentStore, ContentTx
from workbench.domain.errors import StaleError
from workbench.domain.jobs.model import Job
from workbench.domain.transactions import Transactions

SWEEP_PAGE = 500


class SweepService:
    """Walks over a workspace's contents, a page a job."""

    def __init__(self, transactions: Transactions[ContentTx], clock: Clock) -> None:
        self._transactions = transactions
        self._clock = clock

    async def carry_out(self, job: Job) -> None:
        """Strike off what is unused on the next page, and set down the walk over the rest."""
        begun = msgspec.convert(job.payload, Sweep)
        rested = self._clock.now() - REST
        async with self._transactions.read(job.workspace_id) as tx:
            page = await tx.contents.behind(begun.after_hash, SWEEP_PAGE)
        for content in page:
            if not content.in_use and content.touched_datetime <= rested:
                await self.strike_off(content, REST)
        async with self._transactions.write(job.workspace_id) as tx:
            tx.jobs.finish(job)
            if len(page) == SWEEP_PAGE:
                rest = Sweep(after_hash=page[-1].hash)
                # Under a key of its own: one of this job's would be finished with it.
                tx.jobs.enqueue(rest.job(f"{job.key.partition(':')[0]}:{rest.after_hash}", self._clock.now()))

    async def strike_off(self, content: StoredContent, rest: timedelta) -> bool:
        """Forget one and set its bytes down for removal; not where it has come into use meanwhile."""
        now = self._clock.now()
        try:
            async with self._transactions.write(content.workspace_id) as tx:
                tx.contents.forget(content, now - rest)
                tx.jobs.enqueue(Removal(storage_key=content.storage_key).job(now))
        except StaleError:
            return False
        return True


class DisposalService:
    """Removes bytes whose content is forgotten."""

    def __init__(self, transactions: Transactions[ContentTx], store: ContentStore) -> None:
        self._transactions = transactions
        self._store = store

    async def carry_out(self, job: Job) -> None:
        """Remove them, then forget the job. Raises UnavailableError."""
        await self._store.remove([msgspec.convert(job.payload, Removal).storage_key])
        async with self._transactions.write(job.workspace_id) as tx:
            tx.jobs.finish(job)
