"""Exporting over the wire: users take along what they see."""

from collections.abc import Sequence
from uuid import UUID

from workbench.domain.archive.gauging import Gauge
from workbench.domain.archive.making import ArchiveMaker, Export, plan_of
from workbench.domain.archive.model import archive_name
from workbench.domain.archive.ports import ExportTx
from workbench.domain.audit.model import Actor
from workbench.domain.clock import Clock
from workbench.domain.errors import NotFoundError
from workbench.domain.identity.model import Principal
from workbench.domain.transactions import Transactions


class ExportService:
    """Makes archives for users."""

    def __init__(self, transactions: Transactions[ExportTx], maker: ArchiveMaker, clock: Clock) -> None:
        self._transactions = transactions
        self._maker = maker
        self._clock = clock

    async def conversations(self, principal: Principal, conversation_ids: Sequence[UUID]) -> Export:
        """Archive those of the conversations that the caller sees, with all assistants that are active in them.

        Raises UpstreamError where one of these cannot say what it keeps.
        """
        async with self._transactions.read(principal.workspace_id) as tx:
            seen = await tx.exports.visible(principal.id, conversation_ids)
            plan = await plan_of(tx, seen)
        name = archive_name(self._clock.now())
        return await self._maker.make(principal.workspace_id, plan, name, Actor.of(principal), Gauge())

    async def assistant(self, principal: Principal, assistant_id: UUID) -> Export:
        """Archive the caller's own assistant, with the conversations that both are in.

        Raises NotFoundError, UpstreamError.
        """
        async with self._transactions.read(principal.workspace_id) as tx:
            stored = await tx.assistants.find(assistant_id)
            if stored is None or stored.owner_id != principal.id:
                raise NotFoundError
            plan = await plan_of(tx, await tx.exports.administered_with(principal.id, assistant_id), assistant_id)
        name = archive_name(self._clock.now(), stored.assistant.name)
        return await self._maker.make(principal.workspace_id, plan, name, Actor.of(principal), Gauge())
