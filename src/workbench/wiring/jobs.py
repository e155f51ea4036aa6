"""Who does which jobs."""

from dishka import Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.domain.archive.storing import UNDO_JOB, ArchivedFiles
from workbench.domain.contents.model import REMOVE_JOB, SWEEP_JOB
from workbench.domain.contents.service import DisposalService, SweepService
from workbench.domain.jobs.ports import JobHandlers
from workbench.domain.troubleshooting.documents import EMBED_JOB, WALK_JOB
from workbench.domain.troubleshooting.embedding import EmbeddingService
from workbench.domain.troubleshooting.indexing import IndexingService
from workbench.wiring.titles import TitleJobs


class Jobs(Provider):
    """The jobs of all capabilities."""

    scope = Scope.APP

    @provide
    def handlers(
        self,
        titles: TitleJobs,
        sweeping: SweepService,
        disposal: DisposalService,
        imports: ArchivedFiles,
        embedding: EmbeddingService,
        indexing: IndexingService,
    ) -> JobHandlers:
        """List them. Only titles are waited for; all else is found by looking now and then."""
        of_files = {SWEEP_JOB: sweeping, REMOVE_JOB: disposal, UNDO_JOB: imports}
        of_sessions = {EMBED_JOB: embedding, WALK_JOB: indexing}
        return JobHandlers({**of_files, **of_sessions, **titles.by_kind}, are_urgent=bool(titles.by_kind))
