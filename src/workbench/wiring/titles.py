"""Whether titles are chosen, and by which model."""

from collections.abc import AsyncIterator, Mapping

import msgspec
import structlog
from dishka import Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.domain.budgets.book import LimitBook
from workbench.domain.clock import Clock
from workbench.domain.jobs.ports import JobHandler
from workbench.domain.messages.model import TITLE_JOB, Titling
from workbench.domain.titles.ports import TitleTx, TitleWriter
from workbench.domain.titles.service import TitleService
from workbench.domain.transactions import Transactions
from workbench.domain.usage.bookkeeping import Bookkeeping
from workbench.wiring.model_settings import Titles
from workbench.wiring.settings import Settings

logger = structlog.get_logger(__name__)


class TitleJobs(msgspec.Struct, frozen=True):
    """Who does the jobs that titles are, if there are any."""

    by_kind: Mapping[str, JobHandler]


class TitlesByModel(Provider):
    """Titles by a model, whose library is loaded only when it is opened."""

    scope = Scope.APP

    def __init__(self, model: Titles) -> None:
        super().__init__()
        self._model = model

    @provide
    def titling(self) -> Titling:
        """Let posting ask for titles."""
        return Titling(is_on=True)

    @provide
    async def writer(self) -> AsyncIterator[TitleWriter]:
        """Open the model."""
        from workbench.wiring.models import open_title_writer  # noqa: PLC0415 - takes seconds to load

        async with open_title_writer(self._model) as writer:
            yield writer

    @provide
    def jobs(
        self,
        transactions: Transactions[TitleTx],
        writer: TitleWriter,
        limits: LimitBook,
        books: Bookkeeping,
        clock: Clock,
    ) -> TitleJobs:
        """Say who does them."""
        return TitleJobs({TITLE_JOB: TitleService(transactions, writer, limits, books, clock)})


class NoTitles(Provider):
    """No titles, and so no jobs for them."""

    scope = Scope.APP

    @provide
    def titling(self) -> Titling:
        """Let posting ask for nothing."""
        return Titling(is_on=False)

    @provide
    def jobs(self) -> TitleJobs:
        """Say once why there is nothing to do."""
        logger.info("automatic titles are off: no model is configured")
        return TitleJobs({})


def titles_of(settings: Settings) -> Provider:
    """Provide titles as settings have them."""
    return NoTitles() if settings.title_model is None else TitlesByModel(settings.title_model)
