"""Assistants: created at their service, and looked up."""

from uuid import UUID

from workbench.domain.assistant_services.model import AssistantAddress
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.assistants.model import Assistant, NewAssistant, StoredAssistant
from workbench.domain.assistants.ports import AssistantTx
from workbench.domain.clock import Clock
from workbench.domain.errors import InvalidError, NotFoundError, UpstreamError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.sizes import SizeLimits
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.users.service import meet


class AssistantService:
    """Acts about assistants."""

    def __init__(
        self, transactions: Transactions[AssistantTx], client: AssistantClient, clock: Clock, limits: SizeLimits
    ) -> None:
        self._transactions = transactions
        self._client = client
        self._clock = clock
        self._limits = limits

    async def create(self, principal: Principal, new: NewAssistant) -> Assistant:
        """Create an assistant here and at its service; where the service fails, it is gone again here too.

        Raises InvalidError (service unknown or offline), UpstreamError.
        """
        self._limits.check_json("metadata", new.metadata)
        stored, address = await retrying(lambda: self._store(principal, new))
        try:
            # Its row is committed first, since the service may call back as that assistant before it answers.
            await self._client.put_assistant(address, new.name, new.template_id)
        except UpstreamError:
            async with self._transactions.write(principal.workspace_id) as tx:
                tx.assistants.remove(stored.assistant.id)
            raise
        return stored.assistant

    async def _store(self, principal: Principal, new: NewAssistant) -> tuple[StoredAssistant, AssistantAddress]:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            await meet(tx, principal, now)
            service_id = new.assistant_service_id
            registration = await tx.registrations.find(service_id)
            if registration is None:
                raise InvalidError(f"assistant service id {service_id} is not valid", field="assistant_service_id")
            address = await tx.registrations.address(service_id)
            if address is None or not registration.assistant_service_online:
                raise InvalidError(
                    f"assistant service '{registration.name}' ({service_id}) is currently offline",
                    code="assistant_service_offline",
                )
            assistant = Assistant(
                id=new_id(),
                name=new.name,
                image=new.image,
                assistant_service_id=service_id,
                assistant_service_online=True,
                template_id=new.template_id,
                metadata=new.metadata,
                created_datetime=now,
            )
            stored = StoredAssistant(assistant=assistant, owner_id=principal.id)
            tx.assistants.add(stored)
        return stored, AssistantAddress(assistant_id=assistant.id, service=address)

    async def get(self, principal: Principal, assistant_id: UUID) -> Assistant:
        """An assistant that the caller owns or shares a conversation with. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            stored = await tx.assistants.find(assistant_id)
            if stored is None or not await tx.assistants.is_visible_to(assistant_id, principal):
                raise NotFoundError
        return stored.assistant
