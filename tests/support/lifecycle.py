"""Retention and erasure on a database without a server."""

from collections.abc import Sequence

from tests.support.databases import Store

from workbench.adapters.sql.events import SqlEventKeeping
from workbench.adapters.sql.retention import SqlAgedMessages
from workbench.domain.events.ports import EventKeeping
from workbench.domain.jobs.ports import Leases
from workbench.domain.lifecycle.expiry import ExpiryService
from workbench.domain.lifecycle.model import RetentionPolicy, RetentionReport, Terms
from workbench.domain.lifecycle.ports import UnfinishedErasure
from workbench.entrypoints.workers.pruning import PruningWorker

WEEK = RetentionPolicy(defaults=Terms(events_days=7))


class NoErasures:
    """Nobody is being erased."""

    async def abandoned(self) -> Sequence[UnfinishedErasure]:
        """Nothing."""
        return ()


def expiry_of(store: Store, policy: RetentionPolicy = WEEK, keeping: EventKeeping | None = None) -> ExpiryService:
    """Removal by age, with other event keeping where it is given."""
    events = keeping or SqlEventKeeping(store.database)
    return ExpiryService(store.transactions, SqlAgedMessages(store.database), events, store.clock, policy)


def pruning_worker(store: Store, leases: Leases, keeping: EventKeeping | None = None) -> PruningWorker:
    """The duty, with a week for events and nothing else to do."""
    return PruningWorker(expiry_of(store, WEEK, keeping), NoErasures(), leases)  # type: ignore[arg-type]


async def run_out(expiry: ExpiryService, only: str | None = None) -> RetentionReport:
    """Make a whole run."""
    report = RetentionReport(dry_run=False)
    async for step in expiry.run(only):
        report.take(step)
    return report
