"""/ai-sessions: their tickets, what these are told, and what resolved sessions leave"""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Request
from litestar.params import FromPath, JSONBody

from workbench.domain.errors import ConflictError, ExhaustedError, ForbiddenError, InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.troubleshooting.outcomes import OutputList, PushList, PushRetried
from workbench.domain.troubleshooting.output_jobs import OutputService
from workbench.domain.troubleshooting.pushing import PushingService
from workbench.domain.troubleshooting.ticketing import NewLink, TicketingService
from workbench.domain.troubleshooting.views import SessionDetail
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import engineers_only, users_only
from workbench.entrypoints.http.pace import PACE, paced
from workbench.entrypoints.http.repeats import repeatable
from workbench.entrypoints.http.routing import get, post
from workbench.entrypoints.http.sessions import SESSION, SESSIONS
from workbench.entrypoints.http.strict import StrictController

ACTING = [users_only, paced, engineers_only]
LOOKING = [users_only, paced]


class SessionTicketController(StrictController):
    """The tickets of sessions."""

    path = SESSIONS
    tags = ("sessions",)
    opt = {PACE: 30}  # noqa: RUF012 - the framework's

    @post(
        f"{SESSION}/link-ticket",
        operation_id="link_session_ticket",
        name="link_session_ticket",
        guards=ACTING,
        opt={PACE: 10},
        status_code=HTTPStatus.OK,
        responses=failing(InvalidError, ForbiddenError, ConflictError, ExhaustedError),
        summary="Link a ticket",
    )
    @repeatable
    async def link(
        self,
        request: Request[Principal, Any, Any],
        session_id: FromPath[UUID],
        data: JSONBody[NewLink],
        ticketing: FromDishka[TicketingService],
    ) -> SessionDetail:
        """Say which ticket a session belongs to. It is looked up; where nobody can be asked, it is linked unverified."""
        return await ticketing.link(request.user, session_id, data)

    @post(
        f"{SESSION}/retry-psa-push",
        operation_id="retry_session_push",
        name="retry_session_push",
        guards=ACTING,
        opt={PACE: 5},
        status_code=HTTPStatus.OK,
        responses=failing(ForbiddenError, ConflictError, ExhaustedError),
        summary="Try a note to the ticket again",
    )
    @repeatable
    async def retry(
        self, request: Request[Principal, Any, Any], session_id: FromPath[UUID], pushing: FromDishka[PushingService]
    ) -> PushRetried:
        """Try the newest note once more that failed or waits; when others are due does not change. For owner and handler."""
        return await pushing.retry(request.user, session_id)

    @get(
        f"{SESSION}/psa-pushes",
        operation_id="list_session_pushes",
        name="list_session_pushes",
        guards=LOOKING,
        responses=failing(ExhaustedError),
        summary="List notes to the ticket",
    )
    async def pushes(
        self, request: Request[Principal, Any, Any], session_id: FromPath[UUID], pushing: FromDishka[PushingService]
    ) -> PushList:
        """List the newest hundred notes to the ticket, and how far each is. For owner and handler."""
        return await pushing.of_session(request.user, session_id)

    @get(
        f"{SESSION}/outputs",
        operation_id="list_session_outputs",
        name="list_session_outputs",
        guards=LOOKING,
        responses=failing(ForbiddenError, ExhaustedError),
        summary="List what a resolved session leaves",
    )
    async def outputs(
        self, request: Request[Principal, Any, Any], session_id: FromPath[UUID], outputs: FromDishka[OutputService]
    ) -> OutputList:
        """List the texts and drafts made of a resolved session. For its owner."""
        return await outputs.of_session(request.user, session_id)
