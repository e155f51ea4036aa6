"""What assistants need to have stored."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from workbench.domain.assistant_services.ports import Registrations
from workbench.domain.assistants.model import Assistant, StoredAssistant
from workbench.domain.audit.ports import AuditLog
from workbench.domain.conversations.ports import Conversations
from workbench.domain.delivery.ports import Deliveries, Recipients
from workbench.domain.events.ports import EventLog
from workbench.domain.identity.model import Principal
from workbench.domain.participants.ports import Participants
from workbench.domain.users.ports import UserTx


class GoneService(msgspec.Struct, frozen=True, kw_only=True):
    """A service that has gone silent."""

    workspace_id: str
    assistant_service_id: str


class Assistants(Protocol):
    """The assistants of one workspace."""

    async def find(self, assistant_id: UUID) -> StoredAssistant | None:
        """The assistant."""
        ...

    async def owned_by(self, user_id: str) -> Sequence[Assistant]:
        """The user's assistants, newest first, then by name."""
        ...

    async def active_in(self, conversation_id: UUID) -> Sequence[Assistant]:
        """The assistants that are active in the conversation, whoever owns them."""
        ...

    async def of_service(self, assistant_service_id: str) -> Sequence[UUID]:
        """The ids of the service's assistants."""
        ...

    async def is_visible_to(self, assistant_id: UUID, principal: Principal) -> bool:
        """Whether the user owns it, or is active in a conversation where it is active."""
        ...

    def add(self, stored: StoredAssistant) -> None:
        """Store a new assistant."""
        ...

    def change(self, assistant: Assistant) -> None:
        """Store name, image and metadata."""
        ...

    def remove(self, assistant_id: UUID) -> None:
        """Forget the assistant, what waits to be brought to it, and what could not be."""
        ...


class PresenceWatch(Protocol):
    """Which services' presence users have a wrong picture of, across workspaces."""

    async def gone(self, limit: int) -> Sequence[GoneService]:
        """Services that users were told are there, and whose time has run out."""
        ...


class AssistantTx(UserTx, Protocol):
    """The slice of a transaction that assistants may touch."""

    @property
    def assistants(self) -> Assistants: ...
    @property
    def registrations(self) -> Registrations: ...
    @property
    def audit(self) -> AuditLog: ...
    @property
    def conversations(self) -> Conversations: ...
    @property
    def participants(self) -> Participants: ...
    @property
    def deliveries(self) -> Deliveries: ...
    @property
    def recipients(self) -> Recipients: ...
    @property
    def events(self) -> EventLog: ...
