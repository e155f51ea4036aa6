"""What assistants need to have stored."""

from typing import Protocol
from uuid import UUID

from workbench.domain.assistant_services.ports import Registrations
from workbench.domain.assistants.model import StoredAssistant
from workbench.domain.conversations.ports import Conversations
from workbench.domain.delivery.ports import Deliveries
from workbench.domain.events.ports import EventLog
from workbench.domain.identity.model import Principal
from workbench.domain.participants.ports import Participants
from workbench.domain.users.ports import UserTx


class Assistants(Protocol):
    """The assistants of one workspace."""

    async def find(self, assistant_id: UUID) -> StoredAssistant | None:
        """The assistant."""
        ...

    async def is_visible_to(self, assistant_id: UUID, principal: Principal) -> bool:
        """Whether the user owns it, or is active in a conversation where it is active."""
        ...

    def add(self, stored: StoredAssistant) -> None:
        """Store a new assistant."""
        ...

    def remove(self, assistant_id: UUID) -> None:
        """Forget the assistant."""
        ...


class AssistantTx(UserTx, Protocol):
    """The slice of a transaction that assistants may touch."""

    @property
    def assistants(self) -> Assistants: ...
    @property
    def registrations(self) -> Registrations: ...
    @property
    def conversations(self) -> Conversations: ...
    @property
    def participants(self) -> Participants: ...
    @property
    def deliveries(self) -> Deliveries: ...
    @property
    def events(self) -> EventLog: ...
