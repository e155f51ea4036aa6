"""/conversations/{id}/messages"""

from typing import Annotated, Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from workbench.domain.identity.model import Principal, Role
from workbench.domain.messages.model import (
    DEFAULT_PAGE,
    MAX_PAGE,
    Message,
    MessageDebug,
    MessageList,
    MessageQuery,
    MessageType,
    NewMessage,
)
from workbench.domain.messages.service import MessageService
from workbench.domain.turns.posting import PostingService
from workbench.entrypoints.http.guards import actors_only, users_only
from workbench.entrypoints.http.queries import one_of
from workbench.entrypoints.http.routing import delete, get, post

Order = Annotated[
    str,
    QueryParameter(
        name="order",
        schema_extra={"enum": ["asc", "desc"]},
        description="`desc` (the default) takes the newest `limit` matches, `asc` the oldest; both list oldest first.",
    ),
]


Include = Annotated[
    list[str] | None, QueryParameter(name="include", description="`parts`: with what each message is made of.")
]


def _wants_parts(include: list[str] | None) -> bool:
    return "parts" in (include or ())


class MessageController(Controller):
    """What is said in a conversation."""

    path = "/conversations/{conversation_id:str}/messages"
    tags = ("messages",)
    guards = (actors_only,)

    @get(operation_id="list_messages", summary="List messages")
    async def page(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        messages: FromDishka[MessageService],
        participant_role: FromQuery[list[Role] | None] = None,
        participant_id: FromQuery[list[str] | None] = None,
        message_type: FromQuery[list[MessageType] | None] = None,
        before: FromQuery[UUID | None] = None,
        after: FromQuery[UUID | None] = None,
        limit: Annotated[
            int, QueryParameter(ge=0, description="At most 500; a larger value acts as 500.")
        ] = DEFAULT_PAGE,
        order: Order = "desc",
        include: Include = None,
    ) -> MessageList:
        """List matching messages, oldest first: the newest `limit` of them, before and after the given ones.

        Repeated parameters widen (or), different ones narrow (and).
        """
        query = MessageQuery(
            participant_roles=tuple(participant_role or ()),
            participant_ids=tuple(participant_id or ()),
            message_types=tuple(message_type or ()),
            before=before,
            after=after,
            limit=min(limit, MAX_PAGE),
            oldest_first=one_of("order", order, "asc", "desc") == "asc",
        )
        found = await messages.page(request.user, conversation_id, query, with_parts=_wants_parts(include))
        return MessageList(messages=found)

    @post(operation_id="post_message", status_code=200, summary="Post a message")
    async def say(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        data: JSONBody[NewMessage],
        messages: FromDishka[PostingService],
    ) -> Message:
        """Post a message. With an id of the caller's choice it can be repeated safely: the same is stored once."""
        return await messages.post(request.user, conversation_id, data)

    @get("/{message_id:str}", operation_id="get_message", summary="Get a message")
    async def one(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        message_id: FromPath[UUID],
        messages: FromDishka[MessageService],
        include: Include = None,
    ) -> Message:
        """Get one message."""
        return await messages.get(request.user, conversation_id, message_id, with_parts=_wants_parts(include))

    @get("/{message_id:str}/debug_data", operation_id="get_message_debug_data", summary="Get a message's debug data")
    async def debug_data(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        message_id: FromPath[UUID],
        messages: FromDishka[MessageService],
    ) -> MessageDebug:
        """Get what the sender attached for developers; 404 where there is nothing."""
        return await messages.debug_data(request.user, conversation_id, message_id)

    @delete("/{message_id:str}", operation_id="delete_message", guards=[users_only], summary="Delete a message")
    async def remove(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        message_id: FromPath[UUID],
        messages: FromDishka[MessageService],
    ) -> None:
        """Delete a message: one's own, or any where one may write."""
        await messages.delete(request.user, conversation_id, message_id)
