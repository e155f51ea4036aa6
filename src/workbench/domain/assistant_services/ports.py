"""What assistant services need to have stored, and how they are called."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from workbench.domain.assistant_services.model import (
    AssistantAddress,
    CircuitState,
    Registration,
    RegistrationFilter,
    ServiceAddress,
    Sign,
)
from workbench.domain.assistant_services.shapes import Config, ServiceInfo, State, StateDescription
from workbench.domain.audit.ports import AuditLog
from workbench.domain.users.ports import UserTx


class Registrations(Protocol):
    """The registered services of one workspace."""

    async def find(self, assistant_service_id: str) -> Registration | None:
        """The registration, its key left out."""
        ...

    async def all_of(self, wanted: RegistrationFilter) -> Sequence[Registration]:
        """Those that the filter wants, their keys left out, oldest first."""
        ...

    async def address(self, assistant_service_id: str) -> ServiceAddress | None:
        """How the service is reached; None where it is unknown or has never said."""
        ...

    async def addresses(self, assistant_service_ids: Sequence[str]) -> Sequence[ServiceAddress]:
        """`address` for many services in one statement, leaving out those that have none."""
        ...

    def add(self, registration: Registration) -> None:
        """Store a new registration, without a key."""
        ...

    def change(self, assistant_service_id: str, values: Mapping[str, Any]) -> None:
        """Set fields of a registration."""
        ...

    def remove(self, assistant_service_id: str) -> None:
        """Forget the registration and its assistants."""
        ...

    def heard(self, sign: Sign) -> None:
        """The service said that it is there; what waits for it is to be tried at once."""
        ...

    def key_replaced(self, assistant_service_id: str, expires: datetime | None) -> None:
        """The service has a new key, and has not come with it yet."""
        ...

    async def told_online(self, assistant_service_id: str) -> bool:
        """Whether users were last told that the service is there."""
        ...

    def tell(self, assistant_service_id: str, *, online: bool) -> None:
        """Note what users are now told; stale where they were told so already, or where it is not so any more."""
        ...


class RegistrationTx(UserTx, Protocol):
    """The slice of a transaction that registrations may touch."""

    @property
    def registrations(self) -> Registrations: ...
    @property
    def audit(self) -> AuditLog: ...


class Residents(Protocol):
    """The assistant services that live in this process."""

    async def offering(self, workspace_id: str) -> frozenset[str]:
        """Those that have something to offer in a workspace; the others are not listed there."""
        ...


class AssistantClient(Protocol):
    """Calls an assistant service, by section 5 of the contract.

    Each call raises UpstreamError: with the service's own status where it answered, without one where it
    could not be reached, and as BadAnswerError where its answer cannot be understood. A service that failed again
    and again is not called for a while: then the error says when to come back. None may be made inside a transaction:
    services call back before they answer.
    """

    def heard(self, assistant_service_id: str) -> None:
        """The service says that it is there: one that is not called for a while is tried at once."""
        ...

    def circuit(self, assistant_service_id: str) -> CircuitState:
        """Whether this process calls the service, or leaves it alone since it failed again and again."""
        ...

    async def info(self, service: ServiceAddress, workspace_id: str) -> ServiceInfo:
        """What the service says of itself; a service of this process says to each workspace what it has there."""
        ...

    async def put_assistant(self, address: AssistantAddress, assistant_name: str, template_id: str) -> None:
        """Create the assistant at its service, or tell it its new name."""
        ...

    async def delete_assistant(self, address: AssistantAddress) -> None:
        """Let the service forget the assistant; one that it does not know is done."""
        ...

    async def config(self, address: AssistantAddress) -> Config:
        """The assistant's configuration."""
        ...

    async def set_config(self, address: AssistantAddress, config: dict[str, Any]) -> Config:
        """Set the assistant's configuration; answers with what the service made of it."""
        ...

    async def states(self, address: AssistantAddress, conversation_id: UUID) -> list[StateDescription]:
        """The states that the assistant keeps for the conversation."""
        ...

    async def state(self, address: AssistantAddress, conversation_id: UUID, state_id: str) -> State:
        """One state."""
        ...

    async def set_state(
        self, address: AssistantAddress, conversation_id: UUID, state_id: str, data: dict[str, Any]
    ) -> State:
        """Set a state's data; answers with what the service made of it."""
        ...

    async def put_conversation(self, address: AssistantAddress, conversation_id: UUID, title: str) -> None:
        """Let the assistant join the conversation, or tell it the new title."""
        ...

    async def export_conversation(self, address: AssistantAddress, conversation_id: UUID) -> bytes:
        """What the assistant keeps for the conversation, in a form that only it understands."""
        ...

    async def restore_conversation(
        self, address: AssistantAddress, conversation_id: UUID, title: str, data: bytes
    ) -> None:
        """Let the assistant join the conversation with what it kept for another."""
        ...

    async def export_assistant(self, address: AssistantAddress) -> bytes:
        """What the service keeps for the assistant, in a form that only it understands."""
        ...

    async def restore_assistant(
        self, address: AssistantAddress, assistant_name: str, template_id: str, data: bytes
    ) -> None:
        """Create the assistant at its service with what was kept for another."""
        ...

    async def delete_conversation(self, address: AssistantAddress, conversation_id: UUID) -> None:
        """Let the assistant leave the conversation; one that it does not know is done."""
        ...

    async def post_event(self, address: AssistantAddress, conversation_id: UUID, envelope: bytes) -> None:
        """Bring an event: the contract's envelope as JSON."""
        ...
