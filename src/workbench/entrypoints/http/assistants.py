"""/assistants"""

from typing import Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request, get, post
from litestar.params import FromPath, JSONBody

from workbench.domain.assistants.model import Assistant, NewAssistant
from workbench.domain.assistants.service import AssistantService
from workbench.domain.identity.model import Principal
from workbench.entrypoints.http.guards import users_only


class AssistantController(Controller):
    """Assistants."""

    path = "/assistants"
    tags = ("assistants",)
    guards = (users_only,)

    @post(operation_id="create_assistant", status_code=201, summary="Create an assistant")
    async def create(
        self,
        request: Request[Principal, Any, Any],
        data: JSONBody[NewAssistant],
        assistants: FromDishka[AssistantService],
    ) -> Assistant:
        """Create an assistant from a template of a service; where the service fails, nothing is left behind."""
        return await assistants.create(request.user, data)

    @get("/{assistant_id:str}", operation_id="get_assistant", summary="Get an assistant")
    async def one(
        self,
        request: Request[Principal, Any, Any],
        assistant_id: FromPath[UUID],
        assistants: FromDishka[AssistantService],
    ) -> Assistant:
        """Get an assistant of one's own, or one that is in a conversation with the caller."""
        return await assistants.get(request.user, assistant_id)
