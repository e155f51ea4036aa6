"""/ai-sessions: begun, answered, looked at, told"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import MediaType, Request, Response
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import FromPath, JSONBody, QueryParameter

from workbench.domain.errors import ConflictError, ExhaustedError, ForbiddenError, InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.playbooks.confidence import Tier
from workbench.domain.troubleshooting.documentation import Documentation
from workbench.domain.troubleshooting.failures import ProviderError
from workbench.domain.troubleshooting.generating import GeneratingService
from workbench.domain.troubleshooting.metering import SessionMeter, meter_start
from workbench.domain.troubleshooting.model import SessionStatus, SessionType
from workbench.domain.troubleshooting.owning import OwningService, Rating
from workbench.domain.troubleshooting.ports import SessionFilter, SessionRole
from workbench.domain.troubleshooting.quotas import Quota
from workbench.domain.troubleshooting.responding import NewAnswer, RespondingService
from workbench.domain.troubleshooting.starting import NewSession, StartingService
from workbench.domain.troubleshooting.telling import MAX_SKIP, TellingService
from workbench.domain.troubleshooting.updates import StatusUpdate, UpdateRequest
from workbench.domain.troubleshooting.views import Responded, SessionDetail, SessionList, Started
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import engineers_only, users_only
from workbench.entrypoints.http.pace import PACE, paced
from workbench.entrypoints.http.repeats import repeatable
from workbench.entrypoints.http.routing import delete, get, post
from workbench.entrypoints.http.strict import StrictController
from workbench.entrypoints.http.tags import UNCHANGED, IfNoneMatch, tagged

SESSIONS = "/ai-sessions"
SESSION = "/{session_id:uuid}"
MARKDOWN = "text/markdown"


@dataclass
class DocumentationOperation(Operation):
    """A route that answers with data, or with a text where that is asked for."""

    def __post_init__(self) -> None:
        """Describe the texts."""
        told = (self.responses or {})[str(int(HTTPStatus.OK))]
        text = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, description="The documentation."))
        if isinstance(told, OpenAPIResponse) and told.content is not None:
            told.content |= {MARKDOWN: text, MediaType.TEXT.value: text}


class SessionController(StrictController):
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
        responses=failing(InvalidError, ForbiddenError, ExhaustedError, ProviderError),
        summary="Start a session",
    )
    @repeatable
    async def start(
        self,
        request: Request[Principal, Any, Any],
        data: JSONBody[NewSession],
        starting: FromDishka[StartingService],
        meter: FromDishka[SessionMeter],
    ) -> Response[Started]:
        """Begin a session for a problem: the playbook that fits is followed, or those that may fit are offered.

        Where none comes near, a model writes the first step, if one serves the workspace's sessions: 502 `provider_error`
        says that it failed, 429 `quota_exceeded` that the allowance is used up. Without one, 503 `no_guidance_available`
        names the nearest playbooks. Then nothing is kept; with `start_mode` manual a session begins all the same.
        """
        started = await starting.start(request.user, data)
        meter_start(meter, data, started)
        return Response(started, headers={"Location": f"{SESSIONS}/{started.session_id}"})

    @post(
        f"{SESSION}/respond",
        operation_id="respond_to_session",
        name="respond_to_session",
        guards=[users_only, paced, engineers_only],
        opt={PACE: 15},
        status_code=HTTPStatus.OK,
        responses=failing(InvalidError, ForbiddenError, ExhaustedError, ProviderError),
        summary="Answer a step",
    )
    @repeatable
    async def respond(
        self,
        request: Request[Principal, Any, Any],
        session_id: FromPath[UUID],
        data: JSONBody[NewAnswer],
        responding: FromDishka[RespondingService],
    ) -> Responded:
        """Answer the open step, or an earlier one anew; exactly one of the kinds of answers. The same again is safe.

        Where a model is to write the next step, the answer is stored first: while it is at work, the session is not
        changed otherwise (409 `generation_in_progress`), and where it fails (502 `provider_error`), the same answer once
        more asks it again. 429 `quota_exceeded` stores nothing. With `on_unavailable` manual one goes on by hand instead.
        """
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
        ticket_id: Annotated[
            str | None, QueryParameter(max_length=64, description="The ticket they belong to.")
        ] = None,
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
            str | None,
            QueryParameter(
                name="q", min_length=2, max_length=200, pattern=r"\S", description="With these words in them."
            ),
        ] = None,
        skip: Annotated[int, QueryParameter(ge=0, le=MAX_SKIP)] = 0,
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
        cursor: Annotated[str | None, QueryParameter(description="Where the page before ended.")] = None,
        include_total: Annotated[bool, QueryParameter(description="Count them all.")] = False,
    ) -> SessionList:
        """List the sessions that the caller owns, handles or handled, the newest first.

        Each is as `GET /ai-sessions/{id}` shows it, but for the text of the report, the steps, what was said, and the lane.
        """
        wanted = SessionFilter(
            person_id=request.user.id,
            role=role,
            statuses=tuple(statuses),
            problem_domain=problem_domain,
            matched_flow_id=matched_flow_id,
            confidence_tier=confidence_tier,
            session_type=session_type,
            ticket_id=ticket_id,
            created_from=date_from,
            created_to=date_to,
            text=words,
        )
        return await telling.page(request.user, wanted, limit=limit, skip=skip, cursor=cursor, with_total=include_total)

    @get(
        "/quota",
        operation_id="get_session_quota",
        name="get_session_quota",
        guards=[users_only, paced],
        responses=failing(ExhaustedError),
        summary="Get what models may still write",
    )
    async def quota(self, request: Request[Principal, Any, Any], generating: FromDishka[GeneratingService]) -> Quota:
        """Get how much of the allowance for models is used up: of the caller's day and month, and of the workspace's month.

        Where there is no limit, there is no window.
        """
        return await generating.quota(request.user)

    @get(
        SESSION,
        operation_id="get_session",
        name="get_session",
        guards=[users_only, paced],
        responses=UNCHANGED | failing(ExhaustedError),
        summary="Get a session",
    )
    async def one(
        self,
        request: Request[Principal, Any, Any],
        session_id: FromPath[UUID],
        telling: FromDishka[TellingService],
        had: IfNoneMatch = None,
    ) -> Response[SessionDetail]:
        """Get a session with its steps, branches and escalations, the newest messages, and what the caller may do.

        Its ETag begins with its version. Who sends that as `If-None-Match` gets 304 until something of it is different.
        """
        detail = await telling.detail(request.user, session_id)
        return tagged(detail, detail.version, had)

    @get(
        f"{SESSION}/documentation",
        operation_id="get_session_documentation",
        name="get_session_documentation",
        operation_class=DocumentationOperation,
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
        kind = MARKDOWN if form == "markdown" else MediaType.TEXT
        return Response(told.markdown, media_type=kind)  # type: ignore[return-value]

    @post(
        f"{SESSION}/status-update",
        operation_id="write_session_status_update",
        name="write_session_status_update",
        guards=[users_only, paced, engineers_only],
        opt={PACE: 20},
        status_code=HTTPStatus.OK,
        responses=failing(InvalidError, ForbiddenError, ConflictError, ExhaustedError),
        summary="Write a status update",
    )
    @repeatable
    async def status_update(
        self,
        request: Request[Principal, Any, Any],
        session_id: FromPath[UUID],
        data: JSONBody[UpdateRequest],
        telling: FromDishka[TellingService],
    ) -> StatusUpdate:
        """Tell how far a session is: to colleagues with everything, to clients what is safe to tell them.

        With `post_to_ticket` it is put down at the ticket of the session, too; a mail is not.
        """
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
    @repeatable
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
