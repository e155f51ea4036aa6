"""What sessions are found and compared by, as settings have it; and who keeps it up to date."""

import ssl
from collections.abc import AsyncIterator

import httpx
from dishka import AnyOf, Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.adapters.embeddings.chosen import ChosenEmbedders
from workbench.adapters.embeddings.hashed import HashedEmbedder
from workbench.adapters.embeddings.openai import OpenAiEmbedder
from workbench.adapters.sql.transactions import SqlTransactions
from workbench.domain.embeddings.model import Descriptor
from workbench.domain.embeddings.ports import Embedders
from workbench.domain.transactions import Transactions
from workbench.domain.troubleshooting.by_hand import ByHandService
from workbench.domain.troubleshooting.choosing import ChoosingService, ChoosingTx
from workbench.domain.troubleshooting.embedding import EmbeddingService
from workbench.domain.troubleshooting.finding import FindingService
from workbench.domain.troubleshooting.indexing import IndexingService, Pace
from workbench.domain.troubleshooting.likening import LikeningService, SharingPolicy
from workbench.domain.troubleshooting.searches import SearchTx
from workbench.domain.troubleshooting.sourcing import LikeCases
from workbench.wiring.settings import Settings

EVERYWHERE = "*"


class Finding(Provider):
    """Search and similarity."""

    scope = Scope.APP

    finding = provide(FindingService)
    likening = provide(LikeningService, provides=AnyOf[LikeningService, LikeCases])
    by_hand = provide(ByHandService)
    embedding = provide(EmbeddingService)
    indexing = provide(IndexingService)
    choosing = provide(ChoosingService)

    @provide
    def pace(self) -> Pace:
        """Walk over sessions as is usual."""
        return Pace()

    @provide
    def search_tx(self, sql: SqlTransactions) -> Transactions[SearchTx]:
        """See what finding sessions needs."""
        return sql

    @provide
    def choosing_tx(self, sql: SqlTransactions) -> Transactions[ChoosingTx]:
        """See what deciding for a workspace needs."""
        return sql

    @provide
    def sharing(self, settings: Settings) -> SharingPolicy:
        """Where resolved sessions are told of to everybody, as far as workspaces decide nothing else."""
        workspaces = frozenset(settings.sessions.share_resolutions)
        return SharingPolicy(workspaces=workspaces, everywhere=EVERYWHERE in workspaces)

    @provide
    async def embedders(self, settings: Settings, authorities: ssl.SSLContext) -> AsyncIterator[Embedders]:
        """Make vectors; by a model where settings name one."""
        chosen, hashed = settings.embeddings, HashedEmbedder()
        if chosen.provider == "hashed" or chosen.model is None or chosen.dimensions is None:
            yield ChosenEmbedders(hashed)
            return
        key = chosen.api_key
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        async with httpx.AsyncClient(headers=headers, timeout=chosen.timeout_seconds, verify=authorities) as client:
            model = OpenAiEmbedder(
                client,
                chosen.base_url,
                Descriptor(provider="openai", model=chosen.model, dims=chosen.dimensions),
                min_cosine=chosen.min_cosine,
                sends_dims=chosen.send_dimensions,
            )
            yield ChosenEmbedders(hashed, model, frozenset(chosen.workspaces))
