"""The service that model assistants belong to, as every assistant service is called: but it lives in this process."""

from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.assistant_services.model import AssistantAddress, ServiceAddress
from workbench.domain.assistant_services.shapes import Config, ServiceInfo
from workbench.domain.errors import UpstreamError
from workbench.domain.identity.model import MODEL_SERVICE_ID
from workbench.domain.identity.ports import AssistantDirectory
from workbench.domain.model_assistants.model import (
    TEMPLATES,
    Offer,
    StoredConfig,
    configured,
    service_info,
    shown,
)
from workbench.domain.model_assistants.ports import ModelAssistantTx, ModelGateway
from workbench.domain.residents.answering import AnsweringService, asks, speaking, told_message
from workbench.domain.residents.hosting import ResidentHost
from workbench.domain.transactions import Transactions

NO_MODEL = (
    "No model is configured. Name one with WORKBENCH__MODELS__NAMED__<name>__PROVIDER and "
    "WORKBENCH__MODELS__NAMED__<name>__MODEL"
)


class ModelHost(ResidentHost):
    """Answers the calls that assistant services get; a chat message of a user opens a turn."""

    service_id = MODEL_SERVICE_ID

    def __init__(
        self,
        transactions: Transactions[ModelAssistantTx],
        directory: AssistantDirectory,
        gateway: ModelGateway,
        answering: AnsweringService,
    ) -> None:
        super().__init__(directory)
        self._transactions = transactions
        self._gateway = gateway
        self._answering = answering

    @property
    def _offer(self) -> Offer:
        return Offer(
            models=tuple(model.name for model in self._gateway.models), mcp_servers=tuple(self._gateway.mcp_servers)
        )

    async def info(self, service: ServiceAddress, workspace_id: str) -> ServiceInfo:  # noqa: ARG002 - it offers the same everywhere
        """The templates. Raises UpstreamError (no_model)."""
        self._require_model()
        return service_info(self._offer)

    async def put_assistant(self, address: AssistantAddress, assistant_name: str, template_id: str) -> None:  # noqa: ARG002 - the name is kept elsewhere
        """Configure a new assistant by its template. Raises UpstreamError (no_model; 404 for an unknown template)."""
        self._require_model()
        if template_id not in TEMPLATES:
            raise UpstreamError(f"there is no template {template_id!r}", status=404)
        config = TEMPLATES[template_id][2]
        async with self._transactions.write(await self._workspace(address)) as tx:
            if await tx.model_configs.find(address.assistant_id) is None:
                tx.model_configs.put(address.assistant_id, template_id, config)

    async def delete_assistant(self, address: AssistantAddress) -> None:
        """Forget its configuration, if that has not gone with it."""
        workspace_id = await self._directory.workspace_of_assistant(address.assistant_id, MODEL_SERVICE_ID)
        if workspace_id is not None:
            async with self._transactions.write(workspace_id) as tx:
                tx.model_configs.remove(address.assistant_id)

    async def config(self, address: AssistantAddress) -> Config:
        """The configuration. Raises UpstreamError (404)."""
        return shown((await self._stored(address)).config, self._offer)

    async def set_config(self, address: AssistantAddress, config: dict[str, Any]) -> Config:
        """Change the configuration. Raises InvalidError, which names the field, UpstreamError (404)."""
        changed = configured(config, self._offer)
        stored = await self._stored(address)
        async with self._transactions.write(await self._workspace(address)) as tx:
            tx.model_configs.put(address.assistant_id, stored.template_id, changed)
        return shown(changed, self._offer)

    async def export_assistant(self, address: AssistantAddress) -> bytes:
        """Its template and configuration as JSON."""
        return msgspec.json.encode(await self._stored(address))

    async def restore_assistant(
        self,
        address: AssistantAddress,
        assistant_name: str,  # noqa: ARG002 - kept elsewhere
        template_id: str,  # noqa: ARG002 - stands in the data
        data: bytes,
    ) -> None:
        """Configure it as another one was, here or elsewhere. Raises UpstreamError (400) for what is no configuration."""
        try:
            stored = msgspec.json.decode(data, type=StoredConfig)
        except msgspec.DecodeError as error:
            raise UpstreamError(f"this is no configuration of a model assistant: {error}", status=400) from error
        async with self._transactions.write(await self._workspace(address)) as tx:
            tx.model_configs.put(address.assistant_id, stored.template_id, stored.config)

    async def post_event(self, address: AssistantAddress, conversation_id: UUID, envelope: bytes) -> None:
        """Open a turn for a chat message that asks this assistant; all else is heard and left.

        Raises UpstreamError, which says when to come again, while the answer to an earlier message is made.
        """
        message = told_message(envelope)
        if message is not None and asks(message, address.assistant_id):
            principal = speaking(await self._workspace(address), address.assistant_id, MODEL_SERVICE_ID)
            await self._answering.answer(principal, conversation_id, message)

    def _require_model(self) -> None:
        if not self._gateway.models:
            raise UpstreamError(NO_MODEL, status=503, code="no_model")

    async def _stored(self, address: AssistantAddress) -> StoredConfig:
        async with self._transactions.read(await self._workspace(address)) as tx:
            stored = await tx.model_configs.find(address.assistant_id)
        if stored is None:
            raise UpstreamError("the assistant has no configuration", status=404)
        return stored
