"""/conversations/{id}/participants"""

from typing import Annotated, Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Controller, HttpMethod, Request
from litestar.params import FromPath, JSONBody, QueryParameter

from workbench.domain.assistants.seating import SeatingService
from workbench.domain.errors import ForbiddenError, UpstreamError
from workbench.domain.identity.model import Principal
from workbench.domain.participants.model import Participant, ParticipantChange, ParticipantList
from workbench.domain.participants.service import ParticipantService
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import actors_only
from workbench.entrypoints.http.queries import BOOLEAN, flag
from workbench.entrypoints.http.routing import get, route


def _operation_id(_handler: Any, method: str, _path: Any) -> str:
    """Name the two spellings of one act apart, as OpenAPI demands."""
    return "update_participant" if method == HttpMethod.PATCH else "put_participant"


class ParticipantController(Controller):
    """Who takes part in a conversation."""

    path = "/conversations/{conversation_id:str}/participants"
    tags = ("participants",)
    guards = (actors_only,)

    @get(operation_id="list_participants", summary="List participants")
    async def all(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        participants: FromDishka[ParticipantService],
        include_inactive: Annotated[
            str | None, QueryParameter(description="Also those who left.", schema_extra=BOOLEAN)
        ] = None,
    ) -> ParticipantList:
        """List participants: users first, then assistants."""
        wanted = flag("include_inactive", include_inactive, default=False)
        found = await participants.all_in(request.user, conversation_id, include_inactive=wanted)
        return ParticipantList(participants=found)

    @get("/{participant_id:str}", operation_id="get_participant", summary="Get a participant")
    async def one(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        participant_id: FromPath[str],
        participants: FromDishka[ParticipantService],
    ) -> Participant:
        """Get one participant, active or not; `me` is the caller."""
        return await participants.get(request.user, conversation_id, participant_id)

    @route(
        "/{participant_id:str}",
        http_method=[HttpMethod.PUT, HttpMethod.PATCH],
        status_code=200,
        operation_id=_operation_id,
        responses=failing(ForbiddenError, UpstreamError),
        summary="Add or update a participant",
    )
    async def change(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        participant_id: FromPath[str],
        data: JSONBody[ParticipantChange],
        seating: FromDishka[SeatingService],
    ) -> Participant:
        """Change one's own seat (`me`), or add, change or remove an assistant of one's own.

        An absent or null `status` clears it; metadata is merged deeply. An assistant is added by its id: its
        service is told first, and where it fails the seat is as it was before.
        """
        return await seating.change(request.user, conversation_id, participant_id, data)
