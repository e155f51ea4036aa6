"""The service that assistants of flows belong to, as every assistant service is called: but it lives in this process."""

from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.assistant_services.model import AssistantAddress, ServiceAddress
from workbench.domain.assistant_services.shapes import Config, ServiceInfo
from workbench.domain.errors import InvalidError, UpstreamError
from workbench.domain.flow_assistants.model import MAX_IN_A_ROW, Place, service_info, shown
from workbench.domain.flow_assistants.offering import FlowTemplates
from workbench.domain.flow_assistants.ports import FlowAssistantTx
from workbench.domain.flows.model import AssistantUse
from workbench.domain.identity.model import FLOW_SERVICE_ID
from workbench.domain.identity.ports import AssistantDirectory
from workbench.domain.messages.model import Message, MessageQuery
from workbench.domain.residents.answering import AnsweringService, asks, names, speaking, told_message
from workbench.domain.residents.hosting import ResidentHost
from workbench.domain.transactions import Transactions


class FlowAssistantHost(ResidentHost):
    """Answers the calls that assistant services get; what its assistants are stands in the blueprints of flows."""

    service_id = FLOW_SERVICE_ID

    def __init__(
        self,
        transactions: Transactions[FlowAssistantTx],
        directory: AssistantDirectory,
        templates: FlowTemplates,
        answering: AnsweringService,
    ) -> None:
        super().__init__(directory)
        self._transactions = transactions
        self._templates = templates
        self._answering = answering

    async def info(self, service: ServiceAddress, workspace_id: str) -> ServiceInfo:  # noqa: ARG002 - there is only this one
        """The templates of a workspace. Raises UpstreamError (no_flow) where there is none."""
        info = service_info(await self._templates.running(workspace_id))
        if not info.templates:
            raise UpstreamError("no running flow offers an assistant here", status=503, code="no_flow")
        return info

    async def put_assistant(self, address: AssistantAddress, assistant_name: str, template_id: str) -> None:  # noqa: ARG002 - the name is kept elsewhere
        """Look whether a flow offers the template, one that was stopped too. Raises UpstreamError (404)."""
        place = Place.of(template_id)
        async with self._transactions.read(await self._workspace(address)) as tx:
            interface = place.offered_by(await tx.flows.find(place.flow_id))
        if interface is None:
            raise UpstreamError(f"there is no template {template_id!r}", status=404)

    async def delete_assistant(self, address: AssistantAddress) -> None:
        """Nothing to be forgotten."""

    async def config(self, address: AssistantAddress) -> Config:
        """What the blueprint says. Raises UpstreamError (404)."""
        place, use = await self._use(address)
        return shown(place, use)

    async def set_config(self, address: AssistantAddress, config: dict[str, Any]) -> Config:
        """Take only what is so already. Raises InvalidError, UpstreamError (404)."""
        there = await self.config(address)
        for name, value in config.items():
            if name not in there.config or there.config[name] != value:
                raise InvalidError(
                    "an assistant of a flow is configured by the flow's blueprint", field=f"config.{name}"
                )
        return there

    async def export_assistant(self, address: AssistantAddress) -> bytes:
        """Which interface of which flow it is, as JSON."""
        place, _ = await self._use(address)
        return msgspec.json.encode(place)

    async def restore_assistant(
        self, address: AssistantAddress, assistant_name: str, template_id: str, data: bytes
    ) -> None:
        """Nothing to be kept: its template says which flow it is of, which may begin to run later."""

    async def post_event(self, address: AssistantAddress, conversation_id: UUID, envelope: bytes) -> None:
        """Open a turn for a message that this assistant is to answer; all else is heard and left.

        Raises UpstreamError, which says when to come again, while the answer to an earlier message is made.
        """
        message = told_message(envelope)
        own = str(address.assistant_id)
        if message is None or message.message_type != "chat" or message.sender.participant_id == own:
            return
        _, use = await self._use(address)
        is_for_it = (
            self._asked(message, address.assistant_id, use)
            if message.sender.participant_role == "user"
            else names(message, address.assistant_id)
        )
        workspace_id = await self._workspace(address)
        if not is_for_it or await self._goes_on_for_ever(workspace_id, conversation_id, message):
            return
        principal = speaking(workspace_id, address.assistant_id, FLOW_SERVICE_ID)
        await self._answering.answer(principal, conversation_id, message)

    @staticmethod
    def _asked(message: Message, assistant_id: UUID, use: AssistantUse | None) -> bool:
        """Whether a user's message is for it; of a flow that is gone, it says that it is not there."""
        only_named = use is not None and use.respond == "mention"
        return asks(message, assistant_id) and (not only_named or names(message, assistant_id))

    async def _goes_on_for_ever(self, workspace_id: str, conversation_id: UUID, message: Message) -> bool:
        """Whether assistants have been talking among themselves for long enough."""
        if message.sender.participant_role == "user":
            return False
        before = MessageQuery(message_types=("chat",), before=message.id, limit=MAX_IN_A_ROW - 1)
        async with self._transactions.read(workspace_id) as tx:
            found = await tx.messages.page(conversation_id, before)
        is_full = len(found) == MAX_IN_A_ROW - 1
        return is_full and all(one.sender.participant_role == "assistant" for one in found)

    async def _use(self, address: AssistantAddress) -> tuple[Place, AssistantUse | None]:
        async with self._transactions.read(await self._workspace(address)) as tx:
            stored = await tx.assistants.find(address.assistant_id)
            if stored is None:
                raise UpstreamError("there is no such assistant", status=404)
            place = Place.of(stored.assistant.template_id)
            interface = place.offered_by(await tx.flows.find(place.flow_id))
        return place, None if interface is None else interface.assistant
