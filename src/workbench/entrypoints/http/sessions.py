"""/ai-sessions: begun, answered, looked at, told"""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Controller, MediaType, Request, Response, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from workbench.domain.errors import ConflictError, ExhaustedError, ForbiddenError, InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.playbooks.confidence import Tier
from workbench.domain.troubleshooting.documentation import Documentation
from workbench.domain.troubleshooting.model import SessionStatus, SessionType
from workbench.domain.troubleshooting.owning import OwningService, Rating
from workbench.domain.troubleshooting.ports import SessionFilter, SessionRole
from workbench.domain.troubleshooting.responding import NewAnswer, RespondingService
from workbench.domain.troubleshooting.starting import NewSession, StartingService
from workbench.domain.troubleshooting.telling import MAX_SKIP, TellingService
from workbench.domain.troubleshooting.updates import StatusUpdate, UpdateRequest
from workbench.domain.troubleshooting.views import Responded, SessionDetail, SessionList, Started
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import engineers_only, users_only
from workbench.entrypoints.http.pace import PACE, paced

SESSIONS = "/ai-sessions"
SESSION = "/{session_id:uuid}"


class SessionController(Controller):
    """Troubleshooting sessions: begun for a problem, answered step by step, looked at, and told at the end."""

    path = SESSIONS
    tags = ("sessions",)
    opt = {PACE: 30}  # noqa: RUF012 - the framework's

    @post(
        operation_id="start_session",
        name="start_session",
        guards=[users_only, paced, engineers_only],
        opt={PACE: 5},
        status_code=HTTPStatus.CREATED,
        responses=failing(InvalidError, ForbiddenError, ExhaustedError),
        summary="Start a session",
    )
    async def start(
        self, request: Request[Principal, Any, Any], data: JSONBody[NewSession], starting: FromDishka[StartingService]
    ) -> Response[Started]:
        """Begin a session for a problem: the playbook that fits is followed, or those that may fit are offered.

        Where none comes near, 503 `no_guidance_available` names the nearest, and nothing is kept; with `start_mode`
        manual a session begins all the same.
        """
        started = await starting.start(request.user, data)
        return Response(started, headers={"Location": f"{SESSIONS}/{started.session_id}"})

    @post(
        f"{SESSION}/respond",
        operation_id="respond_to_session",
        name="respond_to_session",
        guards=[users_only, paced, engineers_only],
        opt={PACE: 15},
        status_code=HTTPStatus.OK,
        responses=failing(InvalidError, ForbiddenError, ExhaustedError),
        summary="Answer a step",
    )
    async def respond(
        self,
        request: Request[Principal, Any, Any],
        session_id: FromPath[UUID],
        data: JSONBody[NewAnswer],
        responding: FromDishka[RespondingService],
    ) -> Responded:
        """Answer the open step, or an earlier one anew; exactly one of the kinds of answers. The same again is safe."""
        return await responding.respond(request.user, session_id, data)

    @get(
        operation_id="list_sessions",
        name="list_sessions",
        guards=[users_only, paced],
        responses=failing(InvalidError, ExhaustedError),
        summary="List sessions",
    )
    async def page(
        self,
        request: Request[Principal, Any, Any],
        telling: FromDishka[TellingService],
        role: Annotated[SessionRole, QueryParameter(description="Those that one owns, or handles, or any.")] = "any",
        statuses: Annotated[
            Sequence[SessionStatus], QueryParameter(name="status", description="Their status; repeatable.")
        ] = (),
        problem_domain: Annotated[str | None, QueryParameter(max_length=60)] = None,
        matched_flow_id: Annotated[UUID | None, QueryParameter(description="The playbook that they follow.")] = None,
        confidence_tier: Annotated[Tier | None, QueryParameter()] = None,
        session_type: Annotated[SessionType | None, QueryParameter()] = None,
        date_from: Annotated[datetime | None, QueryParameter(description="Begun then or later; in UTC.")] = None,
        date_to: Annotated[datetime | None, QueryParameter(description="Begun then or earlier; in UTC.")] = None,
        words: Annotated[
            str | None, QueryParameter(name="q", min_length=2, max_length=200, description="With these words in them.")
        ] = None,
        skip: Annotated[int, QueryParameter(ge=0, le=MAX_SKIP)] = 0,
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
        cursor: Annotated[str | None, QueryParameter(description="Where the page before ended.")] = None,
        include_total: Annotated[bool, QueryParameter(description="Count them all.")] = False,
    ) -> SessionList:
        """List the sessions that the caller owns, handles or handled, the newest first."""
        wanted = SessionFilter(
            person_id=request.user.id,
            role=role,
            statuses=tuple(statuses),
            problem_domain=problem_domain,
            matched_flow_id=matched_flow_id,
            confidence_tier=confidence_tier,
            session_type=session_type,
            created_from=date_from,
            created_to=date_to,
            text=words,
        )
        return await telling.page(request.user, wanted, limit=limit, skip=skip, cursor=cursor, with_total=include_total)

    @get(
        SESSION,
        operation_id="get_session",
        name="get_session",
        guards=[users_only, paced],
        responses=failing(ExhaustedError),
        summary="Get a session",
    )
    async def one(
        self, request: Request[Principal, Any, Any], session_id: FromPath[UUID], telling: FromDishka[TellingService]
    ) -> SessionDetail:
        """Get a session with its steps, branches and escalations, the newest messages, and what the caller may do."""
        return await telling.detail(request.user, session_id)

    @get(
        f"{SESSION}/documentation",
        operation_id="get_session_documentation",
        name="get_session_documentation",
        guards=[users_only, paced],
        responses=failing(ExhaustedError),
        summary="Get the documentation",
    )
    async def documentation(
        self,
        request: Request[Principal, Any, Any],
        session_id: FromPath[UUID],
        telling: FromDishka[TellingService],
        form: Annotated[
            Literal["json", "markdown", "text"],
            QueryParameter(name="format", description="As data, or as a text with headings."),
        ] = "json",
    ) -> Response[Documentation]:
        """Get what happened in a session, told; the same version gives the same text. It is its owner's."""
        told = await telling.documentation(request.user, session_id)
        if form == "json":
            return Response(told)
        kind = "text/markdown" if form == "markdown" else MediaType.TEXT
        return Response(told.markdown, media_type=kind)  # type: ignore[return-value]

    @post(
        f"{SESSION}/status-update",
        operation_id="write_session_status_update",
        name="write_session_status_update",
        guards=[users_only, paced, engineers_only],
        opt={PACE: 20},
        status_code=HTTPStatus.OK,
        responses=failing(ForbiddenError, ExhaustedError),
        summary="Write a status update",
    )
    async def status_update(
        self,
        request: Request[Principal, Any, Any],
        session_id: FromPath[UUID],
        data: JSONBody[UpdateRequest],
        telling: FromDishka[TellingService],
    ) -> StatusUpdate:
        """Tell how far a session is: to colleagues with everything, to clients what is safe to tell them."""
        return await telling.status_update(request.user, session_id, data)

    @post(
        f"{SESSION}/rate",
        operation_id="rate_session",
        name="rate_session",
        guards=[users_only, paced, engineers_only],
        opt={PACE: 15},
        status_code=HTTPStatus.NO_CONTENT,
        responses=failing(InvalidError, ForbiddenError, ExhaustedError),
        summary="Rate a session",
    )
    async def rate(
        self,
        request: Request[Principal, Any, Any],
        session_id: FromPath[UUID],
        data: JSONBody[Rating],
        owning: FromDishka[OwningService],
    ) -> None:
        """Say how good one's own session was, once it is over."""
        await owning.rate(request.user, session_id, data)

    @delete(
        SESSION,
        operation_id="delete_session",
        name="delete_session",
        guards=[users_only, paced],
        opt={PACE: 15},
        responses=failing(ForbiddenError, ConflictError, ExhaustedError),
        summary="Delete a session",
    )
    async def remove(
        self, request: Request[Principal, Any, Any], session_id: FromPath[UUID], owning: FromDishka[OwningService]
    ) -> None:
        """Delete one's own session with its conversation; not while a colleague works on it or is to."""
        await owning.delete(request.user, session_id)
