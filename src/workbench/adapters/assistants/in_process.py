"""Calls to assistant services, the ones that live inside this process included."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from workbench.domain.assistant_services.model import AssistantAddress, CircuitState, ServiceAddress
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.assistant_services.shapes import Config, ServiceInfo, State, StateDescription


class HouseCalls(AssistantClient):
    """Asks a resident service itself, and all others through the client for them."""

    def __init__(self, residents: Mapping[str, AssistantClient], others: AssistantClient) -> None:
        self._residents = residents
        self._others = others

    def heard(self, assistant_service_id: str) -> None:
        """Tell whoever calls it."""
        self._for(assistant_service_id).heard(assistant_service_id)

    def circuit(self, assistant_service_id: str) -> CircuitState:
        """Ask whoever calls it."""
        return self._for(assistant_service_id).circuit(assistant_service_id)

    async def info(self, service: ServiceAddress, workspace_id: str) -> ServiceInfo:
        """Ask."""
        return await self._for(service.assistant_service_id).info(service, workspace_id)

    async def put_assistant(self, address: AssistantAddress, assistant_name: str, template_id: str) -> None:
        """Tell."""
        await self._at(address).put_assistant(address, assistant_name, template_id)

    async def delete_assistant(self, address: AssistantAddress) -> None:
        """Tell."""
        await self._at(address).delete_assistant(address)

    async def config(self, address: AssistantAddress) -> Config:
        """Ask."""
        return await self._at(address).config(address)

    async def set_config(self, address: AssistantAddress, config: dict[str, Any]) -> Config:
        """Tell."""
        return await self._at(address).set_config(address, config)

    async def states(self, address: AssistantAddress, conversation_id: UUID) -> list[StateDescription]:
        """Ask."""
        return await self._at(address).states(address, conversation_id)

    async def state(self, address: AssistantAddress, conversation_id: UUID, state_id: str) -> State:
        """Ask."""
        return await self._at(address).state(address, conversation_id, state_id)

    async def set_state(
        self, address: AssistantAddress, conversation_id: UUID, state_id: str, data: dict[str, Any]
    ) -> State:
        """Tell."""
        return await self._at(address).set_state(address, conversation_id, state_id, data)

    async def put_conversation(self, address: AssistantAddress, conversation_id: UUID, title: str) -> None:
        """Tell."""
        await self._at(address).put_conversation(address, conversation_id, title)

    async def export_conversation(self, address: AssistantAddress, conversation_id: UUID) -> bytes:
        """Ask."""
        return await self._at(address).export_conversation(address, conversation_id)

    async def restore_conversation(
        self, address: AssistantAddress, conversation_id: UUID, title: str, data: bytes
    ) -> None:
        """Tell."""
        await self._at(address).restore_conversation(address, conversation_id, title, data)

    async def export_assistant(self, address: AssistantAddress) -> bytes:
        """Ask."""
        return await self._at(address).export_assistant(address)

    async def restore_assistant(
        self, address: AssistantAddress, assistant_name: str, template_id: str, data: bytes
    ) -> None:
        """Tell."""
        await self._at(address).restore_assistant(address, assistant_name, template_id, data)

    async def delete_conversation(self, address: AssistantAddress, conversation_id: UUID) -> None:
        """Tell."""
        await self._at(address).delete_conversation(address, conversation_id)

    async def post_event(self, address: AssistantAddress, conversation_id: UUID, envelope: bytes) -> None:
        """Tell."""
        await self._at(address).post_event(address, conversation_id, envelope)

    def _at(self, address: AssistantAddress) -> AssistantClient:
        return self._for(address.service.assistant_service_id)

    def _for(self, assistant_service_id: str) -> AssistantClient:
        return self._residents.get(assistant_service_id, self._others)
