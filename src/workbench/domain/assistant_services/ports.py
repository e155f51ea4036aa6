"""What assistant services need to have stored, and how they are called."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from workbench.domain.assistant_services.model import AssistantAddress, Registration, ServiceAddress
from workbench.domain.users.ports import UserTx


class Registrations(Protocol):
    """The registered services of one workspace."""

    async def find(self, assistant_service_id: str) -> Registration | None:
        """The registration, its key left out."""
        ...

    async def address(self, assistant_service_id: str) -> ServiceAddress | None:
        """How the service is reached; None where it is unknown or has never said."""
        ...

    def add(self, registration: Registration) -> None:
        """Store a new registration, its key (if any) encrypted."""
        ...

    def heard(self, assistant_service_id: str, url: str, expires: datetime) -> None:
        """The service said that it is there, until then; what waits for it is to be tried at once."""
        ...


class RegistrationTx(UserTx, Protocol):
    """The slice of a transaction that registrations may touch."""

    @property
    def registrations(self) -> Registrations: ...


class AssistantClient(Protocol):
    """Calls an assistant service, by section 5 of the contract.

    Each call raises UpstreamError: with the service's own status where it answered, without one where it
    could not be reached. None may be made inside a transaction: services call back before they answer.
    """

    async def put_assistant(self, address: AssistantAddress, assistant_name: str, template_id: str) -> None:
        """Create the assistant at its service, or tell it its new name."""
        ...

    async def put_conversation(self, address: AssistantAddress, conversation_id: UUID, title: str) -> None:
        """Let the assistant join the conversation, or tell it the new title."""
        ...

    async def delete_conversation(self, address: AssistantAddress, conversation_id: UUID) -> None:
        """Let the assistant leave the conversation; one that it does not know is done."""
        ...

    async def post_event(self, address: AssistantAddress, conversation_id: UUID, envelope: bytes) -> None:
        """Bring an event: the contract's envelope as JSON."""
        ...
