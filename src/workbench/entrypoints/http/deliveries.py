"""/assistants/{id}/delivery"""

from typing import Annotated, Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request
from litestar.params import FromPath, QueryParameter

from workbench.domain.assistants.oversight import AssistantDelivery, DeadLetterList, OversightService, Replay
from workbench.domain.errors import InvalidError, UpstreamError
from workbench.domain.identity.model import Principal
from workbench.domain.paging import MAX_PAGE
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import users_only
from workbench.entrypoints.http.routing import delete, get, post

LETTERS = "/dead-letters"
LETTER = f"{LETTERS}/{{letter_id:str}}"


class DeliveryController(Controller):
    """How far an assistant has been told of what happens, and what could not be brought to it."""

    path = "/assistants/{assistant_id:str}/delivery"
    tags = ("delivery",)
    guards = (users_only,)

    @get(operation_id="get_assistant_delivery", summary="Get the state of an assistant's delivery")
    async def status(
        self,
        request: Request[Principal, Any, Any],
        assistant_id: FromPath[UUID],
        oversight: FromDishka[OversightService],
    ) -> AssistantDelivery:
        """See how far one's own assistant is in each conversation, what fails, and when it is tried again."""
        return await oversight.of_assistant(request.user, assistant_id)

    @get(
        LETTERS,
        operation_id="list_dead_letters",
        responses=failing(InvalidError),
        summary="List an assistant's dead letters",
    )
    async def letters(
        self,
        request: Request[Principal, Any, Any],
        assistant_id: FromPath[UUID],
        oversight: FromDishka[OversightService],
        limit: Annotated[int, QueryParameter(ge=1, description="Page size, at most 500.")] = MAX_PAGE,
        cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")] = None,
    ) -> DeadLetterList:
        """List the events that could not be brought, each with its reason, newest first."""
        return await oversight.letters(request.user, assistant_id, limit=limit, cursor=cursor)

    @post(f"{LETTERS}/replay", operation_id="replay_dead_letters", status_code=200, summary="Replay all dead letters")
    async def replay_all(
        self,
        request: Request[Principal, Any, Any],
        assistant_id: FromPath[UUID],
        oversight: FromDishka[OversightService],
    ) -> Replay:
        """Bring what could not be brought, oldest first; the first that fails again ends it, and is told."""
        return await oversight.replay_all_own(request.user, assistant_id)

    @post(
        f"{LETTER}/replay",
        operation_id="replay_dead_letter",
        responses=failing(UpstreamError),
        status_code=204,
        summary="Replay a dead letter",
    )
    async def replay(
        self,
        request: Request[Principal, Any, Any],
        assistant_id: FromPath[UUID],
        letter_id: FromPath[UUID],
        oversight: FromDishka[OversightService],
    ) -> None:
        """Bring one event that could not be brought; it is forgotten when it has arrived."""
        await oversight.replay_own(request.user, assistant_id, letter_id)

    @delete(LETTER, operation_id="drop_dead_letter", summary="Drop a dead letter")
    async def drop(
        self,
        request: Request[Principal, Any, Any],
        assistant_id: FromPath[UUID],
        letter_id: FromPath[UUID],
        oversight: FromDishka[OversightService],
    ) -> None:
        """Forget an event that could not be brought."""
        await oversight.drop_own(request.user, assistant_id, letter_id)
