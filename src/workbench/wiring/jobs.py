"""Who does which jobs."""

from dishka import Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.domain.archive.storing import UNDO_JOB, ArchivedFiles
from workbench.domain.contents.model import REMOVE_JOB, SWEEP_JOB
from workbench.domain.contents.service import DisposalService, SweepService
from workbench.domain.jobs.ports import JobHandlers
from workbench.domain.troubleshooting.output_jobs import OUTPUT_JOB, OutputService
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
        outputs: OutputService,
    ) -> JobHandlers:
        """List them. Only titles are waited for; all else is found by looking now and then."""
        return JobHandlers(
            {
                SWEEP_JOB: sweeping,
                REMOVE_JOB: disposal,
                UNDO_JOB: imports,
                OUTPUT_JOB: outputs,
                **titles.by_kind,
            },
            are_urgent=bool(titles.by_kind),
        )
