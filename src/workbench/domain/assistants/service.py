"""Assistants: created at their service, listed, looked up, changed."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from workbench.domain.assistant_services.model import AssistantAddress, Registration, ServiceAddress
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.assistants.model import (
    Assistant,
    AssistantChange,
    DefaultAssistant,
    NewAssistant,
    StoredAssistant,
)
from workbench.domain.assistants.ports import AssistantTx
from workbench.domain.clock import Clock
from workbench.domain.conversations.model import ConversationList
from workbench.domain.conversations.service import ConversationService
from workbench.domain.errors import InvalidError, NotFoundError, StaleError, UpstreamError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.messages.model import MessageType
from workbench.domain.sizes import SizeLimits
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.users.service import meet

OFFLINE = "assistant_service_offline"


class AssistantPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The assistants that every user is to have."""

    defaults: tuple[DefaultAssistant, ...] = ()


class AssistantService:
    """Acts about assistants."""

    def __init__(
        self,
        transactions: Transactions[AssistantTx],
        conversations: ConversationService,
        client: AssistantClient,
        clock: Clock,
        limits: SizeLimits,
        policy: AssistantPolicy,
    ) -> None:
        self._transactions = transactions
        self._conversations = conversations
        self._client = client
        self._clock = clock
        self._limits = limits
        self._policy = policy

    async def create(self, principal: Principal, new: NewAssistant, default_key: str | None = None) -> Assistant:
        """Create an assistant here and at its service; where the service fails, it is gone again here too.

        Without an image it gets the one that the service shows for the template, if any.
        Raises InvalidError (service unknown or offline), UpstreamError.
        """
        self._limits.check_json("metadata", new.metadata)
        async with self._transactions.read(principal.workspace_id) as tx:
            service = await _online(tx, new.assistant_service_id)
        if not new.image:
            new = msgspec.structs.replace(new, image=await self._icon(principal, service, new.template_id))
        stored = await retrying(lambda: self._store(principal, new, default_key))
        address = AssistantAddress(assistant_id=stored.assistant.id, service=service)
        try:
            # Its row is committed first, since the service may call back as that assistant before it answers.
            await self._client.put_assistant(address, new.name, new.template_id)
        except UpstreamError:
            async with self._transactions.write(principal.workspace_id) as tx:
                tx.assistants.remove(stored.assistant.id)
            raise
        return stored.assistant

    async def _icon(self, principal: Principal, service: ServiceAddress, template_id: str) -> str | None:
        try:
            return (await self._client.info(service, principal.workspace_id)).icon(template_id)
        except UpstreamError:
            return None  # a picture is no reason to fail

    async def _store(self, principal: Principal, new: NewAssistant, default_key: str | None) -> StoredAssistant:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            await meet(tx, principal, now)
            await _online(tx, new.assistant_service_id)
            assistant = Assistant(
                id=new_id(),
                name=new.name,
                image=new.image,
                assistant_service_id=new.assistant_service_id,
                assistant_service_online=True,
                template_id=new.template_id,
                metadata=new.metadata,
                created_datetime=now,
            )
            stored = StoredAssistant(assistant=assistant, owner_id=principal.id, default_key=default_key)
            tx.assistants.add(stored)
        return stored

    async def mine(self, principal: Principal) -> list[Assistant]:
        """The caller's assistants, newest first; those that every user is to have are made where they are missing."""
        async with self._transactions.read(principal.workspace_id) as tx:
            mine = await tx.assistants.owned_by(principal.id)
        if not await self._make_missing(principal, mine):
            return list(mine)
        async with self._transactions.read(principal.workspace_id) as tx:
            return list(await tx.assistants.owned_by(principal.id))

    async def _make_missing(self, principal: Principal, mine: Sequence[Assistant]) -> bool:
        have = {(assistant.assistant_service_id, assistant.template_id) for assistant in mine}
        missing = [each for each in self._policy.defaults if (each.assistant_service_id, each.template_id) not in have]
        made = [await self._make_default(principal, default) for default in missing]
        return any(made)

    async def _make_default(self, principal: Principal, default: DefaultAssistant) -> bool:
        new = NewAssistant(
            assistant_service_id=default.assistant_service_id, template_id=default.template_id, name=default.name
        )
        try:
            await self.create(principal, new, default.key_for(principal.workspace_id, principal.id))
        except (InvalidError, UpstreamError):
            return False  # its service is not there; a later call makes it
        except StaleError:
            return True  # another call makes it at this moment
        return True

    async def active_in(self, principal: Principal, conversation_id: UUID) -> list[Assistant]:
        """The assistants that are active in a conversation that the caller may see. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            (await tx.participants.seat(conversation_id, principal)).require_see()
            return list(await tx.assistants.active_in(conversation_id))

    async def get(self, principal: Principal, assistant_id: UUID) -> Assistant:
        """An assistant that the caller owns or shares a conversation with. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            return (await visible(tx, principal, assistant_id)).assistant

    async def change(self, principal: Principal, assistant_id: UUID, change: AssistantChange) -> Assistant:
        """Change the caller's assistant, at its service first.

        While the service is offline all but the name can be changed. Raises NotFoundError, InvalidError, UpstreamError.
        """
        if isinstance(change.metadata, dict):
            self._limits.check_json("metadata", change.metadata)
        async with self._transactions.read(principal.workspace_id) as tx:
            stored = await owned(tx, principal, assistant_id)
            registration = await tx.registrations.find(stored.assistant.assistant_service_id)
            service = await tx.registrations.address(stored.assistant.assistant_service_id)
        changed = stored.assistant.changed(change)
        if stored.assistant.assistant_service_online and service is not None:
            address = AssistantAddress(assistant_id=assistant_id, service=service)
            await self._client.put_assistant(address, changed.name, changed.template_id)
        elif changed.name != stored.assistant.name:
            name = registration.name if registration else stored.assistant.assistant_service_id
            raise InvalidError(f"assistant service '{name}' is currently offline", code=OFFLINE)
        async with self._transactions.write(principal.workspace_id) as tx:
            tx.assistants.change(changed)
            tx.nameplates.rename(str(assistant_id), changed.name, changed.image)
        return changed

    async def conversations_of(
        self, principal: Principal, assistant_id: UUID, message_types: Sequence[MessageType]
    ) -> ConversationList:
        """The conversations in which the caller's assistant is active. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            await owned(tx, principal, assistant_id)
        itself = Principal(workspace_id=principal.workspace_id, role="assistant", id=str(assistant_id))
        return await self._conversations.mine(itself, message_types)


async def owned(tx: AssistantTx, principal: Principal, assistant_id: UUID) -> StoredAssistant:
    """The caller's assistant. Raises NotFoundError."""
    stored = await tx.assistants.find(assistant_id)
    if stored is None or stored.owner_id != principal.id:
        raise NotFoundError
    return stored


async def visible(tx: AssistantTx, principal: Principal, assistant_id: UUID) -> StoredAssistant:
    """An assistant that the caller owns or shares a conversation with. Raises NotFoundError."""
    stored = await tx.assistants.find(assistant_id)
    if stored is None or not await tx.assistants.is_visible_to(assistant_id, principal):
        raise NotFoundError
    return stored


async def _online(tx: AssistantTx, assistant_service_id: str) -> ServiceAddress:
    """Where a service is that may be asked for an assistant. Raises InvalidError."""
    registration: Registration | None = await tx.registrations.find(assistant_service_id)
    if registration is None:
        raise InvalidError(f"assistant service id {assistant_service_id} is not valid", field="assistant_service_id")
    address = await tx.registrations.address(assistant_service_id)
    if address is None or not registration.assistant_service_online:
        raise InvalidError(
            f"assistant service '{registration.name}' ({assistant_service_id}) is currently offline", code=OFFLINE
        )
    return address
