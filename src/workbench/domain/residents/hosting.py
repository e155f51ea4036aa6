"""What all assistant services of this process have in common: they are always there, and keep nothing of their own."""

from typing import Any, NoReturn
from uuid import UUID

from workbench.domain.assistant_services.model import AssistantAddress, CircuitState
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.assistant_services.shapes import State, StateDescription
from workbench.domain.errors import UpstreamError
from workbench.domain.identity.ports import AssistantDirectory


class ResidentHost(AssistantClient):
    """Called as every assistant service is; what its assistants know is in the conversations."""

    service_id: str

    def __init__(self, directory: AssistantDirectory) -> None:
        self._directory = directory

    def heard(self, assistant_service_id: str) -> None:
        """Nothing: it is always there."""

    def circuit(self, assistant_service_id: str) -> CircuitState:  # noqa: ARG002 - there is only this one
        """Say that it is always there."""
        return "closed"

    async def states(self, address: AssistantAddress, conversation_id: UUID) -> list[StateDescription]:  # noqa: ARG002 - it keeps none
        """None: what it knows is in the conversation."""
        return []

    async def state(self, address: AssistantAddress, conversation_id: UUID, state_id: str) -> State:  # noqa: ARG002 - it keeps none
        """Raises UpstreamError (404)."""
        _no_state(state_id)

    async def set_state(
        self,
        address: AssistantAddress,  # noqa: ARG002 - it keeps none
        conversation_id: UUID,  # noqa: ARG002
        state_id: str,
        data: dict[str, Any],  # noqa: ARG002
    ) -> State:
        """Raises UpstreamError (404)."""
        _no_state(state_id)

    async def put_conversation(self, address: AssistantAddress, conversation_id: UUID, title: str) -> None:
        """Nothing to be kept: its seat says where it takes part."""

    async def delete_conversation(self, address: AssistantAddress, conversation_id: UUID) -> None:
        """Nothing to be forgotten."""

    async def export_conversation(self, address: AssistantAddress, conversation_id: UUID) -> bytes:  # noqa: ARG002 - it keeps none
        """Nothing: what it knows is in the conversation."""
        return b""

    async def restore_conversation(
        self, address: AssistantAddress, conversation_id: UUID, title: str, data: bytes
    ) -> None:
        """Nothing to be kept."""

    async def _workspace(self, address: AssistantAddress) -> str:
        """Whose the assistant is. Raises UpstreamError (404)."""
        found = await self._directory.workspace_of_assistant(address.assistant_id, self.service_id)
        if found is None:
            raise UpstreamError("there is no such assistant", status=404)
        return found


def _no_state(state_id: str) -> NoReturn:
    raise UpstreamError(f"there is no state {state_id!r}", status=404)
