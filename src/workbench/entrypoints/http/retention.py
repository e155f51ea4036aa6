"""/conversations/{id}/retention"""

from typing import Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request
from litestar.params import FromPath, JSONBody

from workbench.domain.errors import InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.lifecycle.model import ConversationRetention, Terms
from workbench.domain.lifecycle.retention import RetentionService
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import users_only
from workbench.entrypoints.http.routing import get, put


class RetentionController(Controller):
    """How long a conversation keeps what is in it."""

    path = "/conversations/{conversation_id:str}/retention"
    tags = ("conversations",)
    guards = (users_only,)

    @get(operation_id="get_conversation_retention", summary="Get how long a conversation keeps things")
    async def one(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        retention: FromDishka[RetentionService],
    ) -> ConversationRetention:
        """See the terms of one's own conversation; in `effective`, null is for ever. 404 for anybody but its owner."""
        return await retention.of_conversation(request.user, conversation_id)

    @put(
        operation_id="set_conversation_retention",
        responses=failing(InvalidError),
        summary="Set how long a conversation keeps things",
    )
    async def change(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        data: JSONBody[Terms],
        retention: FromDishka[RetentionService],
    ) -> ConversationRetention:
        """Replace the terms of one's own conversation, in days; null or absent follows the workspace.

        A conversation can keep things for a shorter time than its workspace, never for longer.
        """
        return await retention.set_conversation(request.user, conversation_id, data)
