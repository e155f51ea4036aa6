"""Whether titles are chosen, and by which model."""

from collections.abc import AsyncIterator

import structlog
from dishka import Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.domain.jobs.ports import JobHandlers
from workbench.domain.messages.model import TITLE_JOB, Titling
from workbench.domain.titles.ports import TitleTx, TitleWriter
from workbench.domain.titles.service import TitleService
from workbench.domain.transactions import Transactions
from workbench.wiring.model_settings import Titles
from workbench.wiring.settings import Settings

logger = structlog.get_logger(__name__)


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
    def handlers(self, transactions: Transactions[TitleTx], writer: TitleWriter) -> JobHandlers:
        """List who does which jobs."""
        return JobHandlers({TITLE_JOB: TitleService(transactions, writer)})


class NoTitles(Provider):
    """No titles, and so no jobs."""

    scope = Scope.APP

    @provide
    def titling(self) -> Titling:
        """Let posting ask for nothing."""
        return Titling(is_on=False)

    @provide
    def handlers(self) -> JobHandlers:
        """Say once why there is nothing to do."""
        logger.info("automatic titles are off: no model is configured")
        return JobHandlers({})


def titles_of(settings: Settings) -> Provider:
    """Provide titles as settings have them."""
    return NoTitles() if settings.title_model is None else TitlesByModel(settings.title_model)
