"""Who does which jobs."""

from typing import NewType

from dishka import Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.domain.archive.storing import UNDO_JOB, ArchivedFiles
from workbench.domain.contents.model import REMOVE_JOB, SWEEP_JOB
from workbench.domain.contents.service import DisposalService, SweepService
from workbench.domain.jobs.ports import JobHandler, JobHandlers
from workbench.domain.troubleshooting.documents import EMBED_JOB, WALK_JOB
from workbench.domain.troubleshooting.duties import ALARM_JOB, IDLE_JOB, PURGE_JOB
from workbench.domain.troubleshooting.embedding import EmbeddingService
from workbench.domain.troubleshooting.indexing import IndexingService
from workbench.domain.troubleshooting.output_jobs import OUTPUT_JOB, OutputService
from workbench.domain.troubleshooting.upkeep import DeletedSessions, IdleSessions, OverdueEscalations
from workbench.wiring.titles import TitleJobs

SessionJobs = NewType("SessionJobs", dict[str, JobHandler])


class Jobs(Provider):
    """The jobs of all capabilities."""

    scope = Scope.APP

    @provide
    def of_sessions(
        self,
        idle: IdleSessions,
        overdue: OverdueEscalations,
        deleted: DeletedSessions,
        outputs: OutputService,
        embedding: EmbeddingService,
        indexing: IndexingService,
    ) -> SessionJobs:
        """List those about troubleshooting sessions."""
        duties: dict[str, JobHandler] = {IDLE_JOB: idle, ALARM_JOB: overdue, PURGE_JOB: deleted}
        return SessionJobs({**duties, OUTPUT_JOB: outputs, EMBED_JOB: embedding, WALK_JOB: indexing})

    @provide
    def handlers(
        self,
        titles: TitleJobs,
        sweeping: SweepService,
        disposal: DisposalService,
        imports: ArchivedFiles,
        sessions: SessionJobs,
    ) -> JobHandlers:
        """List them. Only titles are waited for; all else is found by looking now and then."""
        return JobHandlers(
            {SWEEP_JOB: sweeping, REMOVE_JOB: disposal, UNDO_JOB: imports, **sessions, **titles.by_kind},
            are_urgent=bool(titles.by_kind),
        )
