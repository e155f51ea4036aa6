"""/assistants"""

from typing import Annotated, Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from workbench.domain.assistant_services.shapes import Config, State, StateList
from workbench.domain.assistants.inspection import InspectionService
from workbench.domain.assistants.model import (
    Assistant,
    AssistantChange,
    AssistantList,
    NewAssistant,
    NewConfig,
    NewState,
    StateEvent,
)
from workbench.domain.assistants.removal import RemovalService
from workbench.domain.assistants.service import AssistantService
from workbench.domain.conversations.model import ConversationList
from workbench.domain.errors import InvalidError, NotFoundError, UpstreamError
from workbench.domain.identity.model import Principal
from workbench.entrypoints.http.conversations import LATEST, LatestTypes
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import assistants_only, users_only
from workbench.entrypoints.http.repeats import repeatable
from workbench.entrypoints.http.routing import delete, get, patch, post, put

STATES = "/{assistant_id:str}/conversations/{conversation_id:str}/states"


class AssistantController(Controller):
    """Assistants."""

    path = "/assistants"
    tags = ("assistants",)

    @post(
        operation_id="create_assistant",
        responses=failing(InvalidError, UpstreamError),
        status_code=201,
        guards=[users_only],
        summary="Create an assistant",
    )
    @repeatable
    async def create(
        self,
        request: Request[Principal, Any, Any],
        data: JSONBody[NewAssistant],
        assistants: FromDishka[AssistantService],
    ) -> Assistant:
        """Create an assistant from a template of a service; where the service fails, nothing is left behind."""
        return await assistants.create(request.user, data)

    @get(
        operation_id="list_assistants", responses=failing(NotFoundError), guards=[users_only], summary="List assistants"
    )
    async def all(
        self,
        request: Request[Principal, Any, Any],
        assistants: FromDishka[AssistantService],
        conversation_id: Annotated[
            UUID | None, QueryParameter(description="Those that are active in the conversation, whoever owns them.")
        ] = None,
    ) -> AssistantList:
        """List one's own assistants, newest first, or those of a conversation."""
        if conversation_id is None:
            return AssistantList(assistants=await assistants.mine(request.user))
        return AssistantList(assistants=await assistants.active_in(request.user, conversation_id))

    @get("/{assistant_id:str}", operation_id="get_assistant", guards=[users_only], summary="Get an assistant")
    async def one(
        self,
        request: Request[Principal, Any, Any],
        assistant_id: FromPath[UUID],
        assistants: FromDishka[AssistantService],
    ) -> Assistant:
        """Get an assistant of one's own, or one that is in a conversation with the caller."""
        return await assistants.get(request.user, assistant_id)

    @patch(
        "/{assistant_id:str}",
        operation_id="update_assistant",
        responses=failing(InvalidError, UpstreamError),
        guards=[users_only],
        summary="Update an assistant",
    )
    async def change(
        self,
        request: Request[Principal, Any, Any],
        assistant_id: FromPath[UUID],
        data: JSONBody[AssistantChange],
        assistants: FromDishka[AssistantService],
    ) -> Assistant:
        """Change name, image or metadata of one's own assistant; while its service is away, all but the name."""
        return await assistants.change(request.user, assistant_id, data)

    @delete("/{assistant_id:str}", operation_id="delete_assistant", guards=[users_only], summary="Delete an assistant")
    async def remove(
        self,
        request: Request[Principal, Any, Any],
        assistant_id: FromPath[UUID],
        removal: FromDishka[RemovalService],
    ) -> None:
        """Delete one's own assistant: it leaves every conversation, where its seat stays for what it said."""
        await removal.delete_assistant(request.user, assistant_id)

    @get(
        "/{assistant_id:str}/config",
        operation_id="get_assistant_config",
        responses=failing(UpstreamError),
        guards=[users_only],
        summary="Get an assistant's configuration",
    )
    async def config(
        self,
        request: Request[Principal, Any, Any],
        assistant_id: FromPath[UUID],
        inspection: FromDishka[InspectionService],
    ) -> Config:
        """Ask the service for the configuration of one's own assistant, with the schema to edit it by."""
        return await inspection.config(request.user, assistant_id)

    @put(
        "/{assistant_id:str}/config",
        operation_id="put_assistant_config",
        responses=failing(UpstreamError),
        guards=[users_only],
        summary="Configure an assistant",
    )
    async def set_config(
        self,
        request: Request[Principal, Any, Any],
        assistant_id: FromPath[UUID],
        data: JSONBody[NewConfig],
        inspection: FromDishka[InspectionService],
    ) -> Config:
        """Configure one's own assistant; what its service refuses passes through with status and text."""
        return await inspection.set_config(request.user, assistant_id, data.config)

    @get(
        "/{assistant_id:str}/conversations",
        operation_id="list_assistant_conversations",
        guards=[users_only],
        summary="List an assistant's conversations",
    )
    async def conversations(
        self,
        request: Request[Principal, Any, Any],
        assistant_id: FromPath[UUID],
        assistants: FromDishka[AssistantService],
        latest_message_type: LatestTypes = None,
    ) -> ConversationList:
        """List the conversations in which one's own assistant is active."""
        return await assistants.conversations_of(request.user, assistant_id, latest_message_type or LATEST)

    @get(
        STATES,
        operation_id="list_assistant_states",
        responses=failing(UpstreamError),
        guards=[users_only],
        summary="List an assistant's states",
    )
    async def states(
        self,
        request: Request[Principal, Any, Any],
        assistant_id: FromPath[UUID],
        conversation_id: FromPath[UUID],
        inspection: FromDishka[InspectionService],
    ) -> StateList:
        """List what an assistant lets people see of its state in a conversation."""
        return StateList(states=await inspection.states(request.user, assistant_id, conversation_id))

    @get(
        f"{STATES}/{{state_id:str}}",
        operation_id="get_assistant_state",
        responses=failing(UpstreamError),
        guards=[users_only],
        summary="Get an assistant's state",
    )
    async def state(
        self,
        request: Request[Principal, Any, Any],
        assistant_id: FromPath[UUID],
        conversation_id: FromPath[UUID],
        state_id: FromPath[str],
        inspection: FromDishka[InspectionService],
    ) -> State:
        """Get one state."""
        return await inspection.state(request.user, assistant_id, conversation_id, state_id)

    @put(
        f"{STATES}/{{state_id:str}}",
        operation_id="put_assistant_state",
        responses=failing(UpstreamError),
        guards=[users_only],
        summary="Set an assistant's state",
    )
    async def set_state(
        self,
        request: Request[Principal, Any, Any],
        assistant_id: FromPath[UUID],
        conversation_id: FromPath[UUID],
        state_id: FromPath[str],
        data: JSONBody[NewState],
        inspection: FromDishka[InspectionService],
    ) -> State:
        """Set one state; who only observes the conversation may not."""
        return await inspection.set_state(request.user, assistant_id, conversation_id, state_id, data.data)

    @post(
        "/{assistant_id:str}/states/events",
        operation_id="post_assistant_state_event",
        status_code=204,
        guards=[assistants_only],
        summary="Tell of an assistant's state",
    )
    async def tell(
        self,
        request: Request[Principal, Any, Any],
        assistant_id: FromPath[UUID],
        data: JSONBody[StateEvent],
        inspection: FromDishka[InspectionService],
        conversation_id: FromQuery[UUID | None] = None,
    ) -> None:
        """Let an assistant say that a state was created, updated or deleted, or wants attention.

        Those in the conversation hear of it, or without one those in every conversation that it is active in.
        """
        await inspection.tell(request.user, assistant_id, data, conversation_id)
