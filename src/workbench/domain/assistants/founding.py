"""Conversations that assistants open for others."""

from uuid import UUID

import msgspec

from workbench.domain.assistant_services.model import AssistantAddress
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.assistants.model import seat_of
from workbench.domain.assistants.ports import AssistantTx
from workbench.domain.clock import Clock
from workbench.domain.conversations.events import conversation_created
from workbench.domain.conversations.model import Conversation, ConversationDetails, NewConversation
from workbench.domain.errors import NotFoundError, UpstreamError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.participants.events import participant_created
from workbench.domain.sizes import SizeLimits
from workbench.domain.transactions import Transactions


class _Founded(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation that is stored, and how its assistant is reached."""

    details: ConversationDetails
    address: AssistantAddress | None


class FoundingService:
    """Acts of assistants that make conversations."""

    def __init__(
        self, transactions: Transactions[AssistantTx], client: AssistantClient, clock: Clock, limits: SizeLimits
    ) -> None:
        self._transactions = transactions
        self._client = client
        self._clock = clock
        self._limits = limits

    async def create_for(self, principal: Principal, owner_id: str, new: NewConversation) -> ConversationDetails:
        """Make a conversation that another user owns, and in which the assistant alone takes part.

        The owner sees it once they have redeemed a share of it. Raises NotFoundError (no such user), UpstreamError
        where the assistant's own service does not take it; then nothing is left behind.
        """
        founded = await self._store(principal, owner_id, new)
        conversation = founded.details
        try:
            await self._connect(founded)
        except UpstreamError:
            async with self._transactions.write(principal.workspace_id) as tx:
                tx.deliveries.cancel(UUID(principal.id), conversation.id)
                tx.conversations.remove(conversation.id)
            raise
        async with self._transactions.write(principal.workspace_id) as tx:
            tx.deliveries.connect(UUID(principal.id), conversation.id)
            tx.events.record(conversation_created(conversation))
            (seat,) = conversation.participants
            tx.events.record(participant_created(seat, [seat]))
        return conversation

    async def _connect(self, founded: _Founded) -> None:
        (seat,) = founded.details.participants
        if founded.address is None:
            raise UpstreamError(f"Failed to connect to assistant {seat.id}; its service has no known address")
        await self._client.put_conversation(founded.address, founded.details.id, founded.details.title)

    async def _store(self, principal: Principal, owner_id: str, new: NewConversation) -> _Founded:
        now = self._clock.now()
        assistant_id = UUID(principal.id)
        async with self._transactions.write(principal.workspace_id) as tx:
            stored = await tx.assistants.find(assistant_id)
            if stored is None or await tx.users.find(owner_id) is None:
                raise NotFoundError
            service = await tx.registrations.address(stored.assistant.assistant_service_id)
            conversation = Conversation.created(new_id(), new, owner_id, now)
            self._limits.check_json("metadata", conversation.metadata)
            seat = seat_of(stored.assistant, conversation.id, now)
            tx.conversations.add(conversation, made_by=assistant_id)
            tx.participants.add(seat)
            tx.deliveries.begin(assistant_id, conversation.id, 0)
        return _Founded(
            details=ConversationDetails.of(conversation, "read_write", [seat]),
            address=AssistantAddress(assistant_id=assistant_id, service=service) if service else None,
        )
