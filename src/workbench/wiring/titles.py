"""Whether titles are chosen, and by which model."""

from collections.abc import AsyncIterator

import structlog
from dishka import AsyncContainer, Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.domain.jobs.model import RetryPolicy
from workbench.domain.jobs.ports import JobHandlers
from workbench.domain.messages.model import TITLE_JOB, Titling
from workbench.domain.titles.ports import TitleTx, TitleWriter
from workbench.domain.titles.service import TitleService
from workbench.domain.transactions import Transactions
from workbench.wiring.settings import Settings

logger = structlog.get_logger(__name__)


class Titles(Provider):
    """Titles by a model, if settings name one; its library is loaded only then."""

    scope = Scope.APP

    retries = provide(RetryPolicy)

    @provide
    def titling(self, settings: Settings) -> Titling:
        """Say whether posting is to ask for titles."""
        return Titling(is_on=settings.title_model is not None)

    @provide
    async def writer(self, settings: Settings) -> AsyncIterator[TitleWriter]:
        """Open the model. Nobody asks for it while titles are off."""
        from workbench.wiring.models import open_title_writer  # noqa: PLC0415 - takes seconds to load

        async with open_title_writer(settings.title_model or settings.titles) as writer:
            yield writer

    @provide
    async def handlers(
        self, titling: Titling, transactions: Transactions[TitleTx], container: AsyncContainer
    ) -> JobHandlers:
        """List who does which jobs."""
        if not titling.is_on:
            logger.info("automatic titles are off: no model is configured")
            return JobHandlers({})
        return JobHandlers({TITLE_JOB: TitleService(transactions, await container.get(TitleWriter))})
