"""An assistant's configuration and its states, which its service keeps and we pass on."""

from typing import Any
from uuid import UUID

from workbench.domain.assistant_services.model import AssistantAddress
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.assistant_services.shapes import Config, State, StateDescription
from workbench.domain.assistants.model import StateEvent
from workbench.domain.assistants.ports import AssistantTx
from workbench.domain.assistants.service import owned, visible
from workbench.domain.errors import NotFoundError, UpstreamError
from workbench.domain.events.model import NewEvent
from workbench.domain.identity.model import Principal
from workbench.domain.transactions import Transactions, retrying


class InspectionService:
    """Acts that look into assistants, and let them say that there is something to see."""

    def __init__(self, transactions: Transactions[AssistantTx], client: AssistantClient) -> None:
        self._transactions = transactions
        self._client = client

    async def config(self, principal: Principal, assistant_id: UUID) -> Config:
        """The configuration of the caller's assistant. Raises NotFoundError, UpstreamError."""
        return await self._client.config(await self._own(principal, assistant_id))

    async def set_config(self, principal: Principal, assistant_id: UUID, config: dict[str, Any]) -> Config:
        """Configure the caller's assistant. Raises NotFoundError, UpstreamError."""
        return await self._client.set_config(await self._own(principal, assistant_id), config)

    async def states(self, principal: Principal, assistant_id: UUID, conversation_id: UUID) -> list[StateDescription]:
        """The states that an assistant keeps for a conversation. Raises NotFoundError, UpstreamError."""
        address = await self._seated(principal, assistant_id, conversation_id, writing=False)
        return await self._client.states(address, conversation_id)

    async def state(self, principal: Principal, assistant_id: UUID, conversation_id: UUID, state_id: str) -> State:
        """One state. Raises NotFoundError, UpstreamError."""
        address = await self._seated(principal, assistant_id, conversation_id, writing=False)
        return await self._client.state(address, conversation_id, state_id)

    async def set_state(
        self, principal: Principal, assistant_id: UUID, conversation_id: UUID, state_id: str, data: dict[str, Any]
    ) -> State:
        """Set a state; observers may not. Raises NotFoundError, UpstreamError."""
        address = await self._seated(principal, assistant_id, conversation_id, writing=True)
        return await self._client.set_state(address, conversation_id, state_id, data)

    async def tell(
        self, principal: Principal, assistant_id: UUID, event: StateEvent, conversation_id: UUID | None
    ) -> None:
        """Let an assistant tell of one of its states, in one conversation or in all that it is active in.

        Raises NotFoundError for another assistant, or a conversation that it is not active in.
        """
        if principal.id != str(assistant_id):
            raise NotFoundError
        await retrying(lambda: self._tell(principal, event, conversation_id))

    async def _tell(self, principal: Principal, event: StateEvent, conversation_id: UUID | None) -> None:
        async with self._transactions.write(principal.workspace_id) as tx:
            active_in = await tx.participants.conversations_with([UUID(principal.id)], active=True)
            if conversation_id is not None and conversation_id not in active_in:
                raise NotFoundError
            for each in active_in if conversation_id is None else [conversation_id]:
                data = {"assistant_id": principal.id, "state_id": event.state_id, "conversation_id": str(each)}
                tx.events.record(NewEvent(conversation_id=each, type=f"assistant.state.{event.event}", data=data))

    async def _own(self, principal: Principal, assistant_id: UUID) -> AssistantAddress:
        async with self._transactions.read(principal.workspace_id) as tx:
            stored = await owned(tx, principal, assistant_id)
            return await _address(tx, stored.assistant.id, stored.assistant.assistant_service_id)

    async def _seated(
        self, principal: Principal, assistant_id: UUID, conversation_id: UUID, *, writing: bool
    ) -> AssistantAddress:
        async with self._transactions.read(principal.workspace_id) as tx:
            stored = await visible(tx, principal, assistant_id)
            seat = await tx.participants.seat(conversation_id, principal)
            seat.require_administer() if writing else seat.require_see()
            if conversation_id not in await tx.participants.conversations_with([assistant_id], active=True):
                raise NotFoundError
            return await _address(tx, assistant_id, stored.assistant.assistant_service_id)


async def _address(tx: AssistantTx, assistant_id: UUID, assistant_service_id: str) -> AssistantAddress:
    """Where the assistant is. Raises UpstreamError at once where its service is known to be away."""
    service = await tx.registrations.address(assistant_service_id)
    registration = await tx.registrations.find(assistant_service_id)
    if service is None or registration is None or not registration.assistant_service_online:
        where = service.join(assistant_id) if service else "(unknown)"
        raise UpstreamError(f"Failed to connect to assistant at url {where}; its service is offline")
    return AssistantAddress(assistant_id=assistant_id, service=service)
