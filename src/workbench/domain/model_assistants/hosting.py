"""The service that model assistants belong to, as every assistant service is called: but it lives in this process."""

from typing import Any, NoReturn
from uuid import UUID, uuid5

import msgspec

from workbench.domain.assistant_services.model import AssistantAddress, CircuitState, ServiceAddress
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.assistant_services.shapes import Config, ServiceInfo, State, StateDescription
from workbench.domain.errors import (
    ConflictError,
    ExhaustedError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UpstreamError,
)
from workbench.domain.identity.model import MODEL_SERVICE_ID, Principal
from workbench.domain.identity.ports import AssistantDirectory
from workbench.domain.messages.model import Message, NewMessage
from workbench.domain.messages.service import MessageService
from workbench.domain.model_assistants.model import (
    TEMPLATES,
    Offer,
    StoredConfig,
    configured,
    service_info,
    shown,
)
from workbench.domain.model_assistants.ports import ModelAssistantTx, ModelGateway
from workbench.domain.transactions import Transactions
from workbench.domain.turns.opening import OpeningService
from workbench.domain.turns.refusals import TURN_ACTIVE
from workbench.domain.turns.shapes import NewTurn, TurnInput

BUSY_SECONDS = 0.5
"""How soon a message is looked at again while the answer to the one before is made."""
NO_MODEL = (
    "No model is configured. Name one with WORKBENCH__MODELS__NAMED__<name>__PROVIDER and "
    "WORKBENCH__MODELS__NAMED__<name>__MODEL"
)


class _Told(msgspec.Struct):
    message: Message


class _Envelope(msgspec.Struct):
    event: str
    data: msgspec.Raw


class ModelHost(AssistantClient):
    """Answers the calls that assistant services get; a chat message of a user opens a turn."""

    def __init__(
        self,
        transactions: Transactions[ModelAssistantTx],
        directory: AssistantDirectory,
        gateway: ModelGateway,
        opening: OpeningService,
        messages: MessageService,
    ) -> None:
        self._transactions = transactions
        self._directory = directory
        self._gateway = gateway
        self._opening = opening
        self._messages = messages

    @property
    def _offer(self) -> Offer:
        return Offer(
            models=tuple(model.name for model in self._gateway.models), mcp_servers=tuple(self._gateway.mcp_servers)
        )

    def heard(self, assistant_service_id: str) -> None:
        """Nothing: it is always there."""

    def circuit(self, assistant_service_id: str) -> CircuitState:  # noqa: ARG002 - there is only this one
        """Say that it is always there."""
        return "closed"

    async def info(self, service: ServiceAddress) -> ServiceInfo:  # noqa: ARG002 - there is only this one
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
        told = msgspec.json.decode(envelope, type=_Envelope)
        if told.event != "message.created":
            return
        message = msgspec.json.decode(told.data, type=_Told).message
        if not asks(message, address.assistant_id):
            return
        principal = speaking(await self._workspace(address), address.assistant_id)
        try:
            await self._opening.open(principal, conversation_id, answering(message.id, address.assistant_id))
        except ConflictError as error:
            if error.error_code == TURN_ACTIVE:
                raise UpstreamError("the answer before is still made", retry_after_seconds=BUSY_SECONDS) from error
            raise UpstreamError(error.detail) from error
        except (NotFoundError, ForbiddenError, InvalidError):
            return  # taken out meanwhile, or made an observer, or the message is gone: nobody waits for an answer
        except ExhaustedError as error:
            await self._say_why_not(principal, conversation_id, message, error)

    async def _say_why_not(
        self, principal: Principal, conversation_id: UUID, message: Message, why: ExhaustedError
    ) -> None:
        """Post once why a message gets no answer."""
        notice = NewMessage(
            id=uuid5(message.id, principal.id),
            content=why.detail,
            message_type="notice",
            metadata={"code": why.error_code, "in_reply_to": str(message.id)},
        )
        await self._messages.post(principal, conversation_id, notice)

    def _require_model(self) -> None:
        if not self._gateway.models:
            raise UpstreamError(NO_MODEL, status=503, code="no_model")

    async def _workspace(self, address: AssistantAddress) -> str:
        found = await self._directory.workspace_of_assistant(address.assistant_id, MODEL_SERVICE_ID)
        if found is None:
            raise UpstreamError("there is no such assistant", status=404)
        return found

    async def _stored(self, address: AssistantAddress) -> StoredConfig:
        async with self._transactions.read(await self._workspace(address)) as tx:
            stored = await tx.model_configs.find(address.assistant_id)
        if stored is None:
            raise UpstreamError("the assistant has no configuration", status=404)
        return stored


def speaking(workspace_id: str, assistant_id: UUID) -> Principal:
    """A model assistant as the one who acts."""
    return Principal(workspace_id=workspace_id, role="assistant", id=str(assistant_id), service_id=MODEL_SERVICE_ID)


def asks(message: Message, assistant_id: UUID) -> bool:
    """Whether a message is for this assistant to answer: chat of a user, not asked by a turn already, nor another's."""
    if not message.is_users_chat or "turn" in message.metadata:
        return False
    directed, mentioned = message.metadata.get("directed_at"), message.metadata.get("mentions")
    if isinstance(directed, str) and directed:
        return directed == str(assistant_id)
    return str(assistant_id) in mentioned if isinstance(mentioned, list) and mentioned else True


def answering(message_id: UUID, assistant_id: UUID) -> NewTurn:
    """The turn that answers a message; its id comes from the message's, so that it is opened once however often."""
    return NewTurn(
        turn_id=f"{message_id}.{assistant_id}", assistant_id=assistant_id, input=TurnInput(message_id=message_id)
    )


def _no_state(state_id: str) -> NoReturn:
    raise UpstreamError(f"there is no state {state_id!r}", status=404)
