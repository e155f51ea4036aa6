"""/conversations"""

from typing import Annotated, Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request
from litestar.exceptions import ValidationException
from litestar.params import FromPath, JSONBody, QueryParameter

from workbench.domain.archive.copying import CopyService
from workbench.domain.archive.model import CopyRequest, ImportResult
from workbench.domain.assistants.seating import SeatingService
from workbench.domain.conversations.model import (
    ConversationChange,
    ConversationDetails,
    ConversationList,
    NewConversation,
)
from workbench.domain.conversations.service import ConversationService
from workbench.domain.errors import ConflictError, ForbiddenError, InvalidError, UpstreamError
from workbench.domain.identity.model import Principal
from workbench.domain.messages.model import MessageType
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import actors_only, users_only
from workbench.entrypoints.http.queries import BOOLEAN, flag
from workbench.entrypoints.http.repeats import repeatable
from workbench.entrypoints.http.routing import delete, get, patch, post

LatestTypes = Annotated[
    list[MessageType] | None,
    QueryParameter(name="latest_message_type", description="Types that count for `latest_message`; by default `chat`."),
]
LATEST: tuple[MessageType, ...] = ("chat",)


class ConversationController(Controller):
    """Conversations."""

    path = "/conversations"
    tags = ("conversations",)
    guards = (actors_only,)

    @post(operation_id="create_conversation", status_code=200, guards=[users_only], summary="Create a conversation")
    @repeatable
    async def create(
        self,
        request: Request[Principal, Any, Any],
        data: JSONBody[NewConversation],
        conversations: FromDishka[ConversationService],
    ) -> ConversationDetails:
        """Create a conversation that the caller owns and takes part in."""
        return await conversations.create(request.user, data)

    @get(operation_id="list_conversations", responses=failing(InvalidError), summary="List conversations")
    async def all(
        self,
        request: Request[Principal, Any, Any],
        conversations: FromDishka[ConversationService],
        include_inactive: Annotated[
            str | None,
            QueryParameter(description="Also the conversations that the caller owns but left.", schema_extra=BOOLEAN),
        ] = None,
        latest_message_type: LatestTypes = None,
        limit: Annotated[int | None, QueryParameter(ge=1, description="Page size, at most 500.")] = None,
        cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")] = None,
    ) -> ConversationList:
        """List the caller's conversations, newest first: all, or a page where `limit` or `cursor` is given."""
        return await conversations.mine(
            request.user,
            latest_message_type or LATEST,
            include_inactive=flag("include_inactive", include_inactive, default=False),
            limit=limit,
            cursor=cursor,
        )

    @get("/{conversation_id:str}", operation_id="get_conversation", summary="Get a conversation")
    async def one(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        conversations: FromDishka[ConversationService],
        latest_message_type: LatestTypes = None,
    ) -> ConversationDetails:
        """Get one conversation as the caller sees it."""
        return await conversations.get(request.user, conversation_id, latest_message_type or LATEST)

    @patch("/{conversation_id:str}", operation_id="update_conversation", summary="Update a conversation")
    async def change(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        data: JSONBody[ConversationChange],
        conversations: FromDishka[ConversationService],
    ) -> ConversationDetails:
        """Change title or metadata; metadata is merged key by key, and keys that begin with `__` keep their value."""
        return await conversations.change(request.user, conversation_id, data)

    @post(
        "/{conversation_id:str}",
        operation_id="copy_conversation",
        responses=failing(UpstreamError),
        status_code=200,
        summary="Duplicate a conversation, or create one for an owner",
    )
    @repeatable
    async def copy(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[str],
        data: JSONBody[CopyRequest],
        copies: FromDishka[CopyService],
    ) -> ImportResult | ConversationDetails:
        """Duplicate a conversation in which the caller may write: messages, files, who is active in it.

        An assistant may name a user instead: then it creates a conversation for them, in which at first only the
        assistant takes part; the owner joins by redeeming a share.
        """
        named = _uuid(conversation_id)
        if request.user.is_user and named is None:
            raise ValidationException(
                extra=[{"message": "Expected a UUID", "key": "conversation_id", "source": "path"}]
            )
        return await copies.copy(request.user, conversation_id, named, data)

    @delete(
        "/{conversation_id:str}",
        operation_id="delete_conversation",
        responses=failing(ForbiddenError, ConflictError),
        summary="Delete a conversation",
    )
    async def remove(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        conversations: FromDishka[ConversationService],
        seating: FromDishka[SeatingService],
    ) -> None:
        """Delete the caller's own conversation. An assistant deletes one that it made; any other it leaves.

        A conversation that a troubleshooting session stands on goes with that session: where a colleague works on it or is
        to, 409 `escalation_open`.
        """
        if request.user.is_user or await conversations.made_it(request.user, conversation_id):
            await conversations.delete(request.user, conversation_id)
        else:
            await seating.leave(request.user, conversation_id)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
