"""/ai-sessions: what becomes of one, and in whose hands it is"""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter

from workbench.domain.errors import ExhaustedError, ForbiddenError, InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.troubleshooting.escalating import EscalatingService, NewEscalation
from workbench.domain.troubleshooting.failures import ProviderError
from workbench.domain.troubleshooting.handling import Abandonment, HandlingService, NewLane, NewResolution
from workbench.domain.troubleshooting.lanes import MAX_LANE_BYTES
from workbench.domain.troubleshooting.taking_over import NewPickup, TakingOverService
from workbench.domain.troubleshooting.views import Chatted, Escalated, PickedUp, Queue, Resolved
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import engineers_only, users_only
from workbench.entrypoints.http.pace import PACE, paced
from workbench.entrypoints.http.repeats import repeatable
from workbench.entrypoints.http.routing import get, post, put
from workbench.entrypoints.http.sessions import SESSION, SESSIONS
from workbench.entrypoints.http.strict import StrictController

ACTING = (users_only, paced, engineers_only)
REFUSALS = failing(ForbiddenError, ExhaustedError)
LANE_BODY_BYTES = MAX_LANE_BYTES * 2
"""A lane's limit is on what is stored; as it is sent it may have blanks and escapes."""


class SessionActController(StrictController):
    """What who handles a session may do with it."""

    path = SESSIONS
    tags = ("sessions",)
    guards = ACTING
    opt = {PACE: 15}  # noqa: RUF012 - the framework's

    @post(
        f"{SESSION}/pause",
        operation_id="pause_session",
        name="pause_session",
        status_code=HTTPStatus.NO_CONTENT,
        responses=REFUSALS,
        summary="Put a session aside",
    )
    @repeatable
    async def pause(
        self, request: Request[Principal, Any, Any], session_id: FromPath[UUID], handling: FromDishka[HandlingService]
    ) -> None:
        """Put a session aside. The step that is open stays open."""
        await handling.pause(request.user, session_id)

    @post(
        f"{SESSION}/resume",
        operation_id="resume_session",
        name="resume_session",
        status_code=HTTPStatus.NO_CONTENT,
        responses=REFUSALS,
        summary="Go on with a session",
    )
    @repeatable
    async def resume(
        self, request: Request[Principal, Any, Any], session_id: FromPath[UUID], handling: FromDishka[HandlingService]
    ) -> None:
        """Go on with a session that was put aside."""
        await handling.resume(request.user, session_id)

    @post(
        f"{SESSION}/resolve",
        operation_id="resolve_session",
        name="resolve_session",
        status_code=HTTPStatus.OK,
        responses=REFUSALS,
        summary="Resolve a session",
    )
    @repeatable
    async def resolve(
        self,
        request: Request[Principal, Any, Any],
        session_id: FromPath[UUID],
        data: JSONBody[NewResolution],
        handling: FromDishka[HandlingService],
    ) -> Resolved:
        """Say that the problem is solved, and how. The answer has notes for its ticket."""
        return await handling.resolve(request.user, session_id, data)

    @post(
        f"{SESSION}/abandon",
        operation_id="abandon_session",
        name="abandon_session",
        status_code=HTTPStatus.NO_CONTENT,
        responses=REFUSALS,
        summary="Give a session up",
    )
    @repeatable
    async def abandon(
        self,
        request: Request[Principal, Any, Any],
        session_id: FromPath[UUID],
        data: JSONBody[Abandonment],
        handling: FromDishka[HandlingService],
    ) -> None:
        """Give a session up. A colleague who was asked for is not needed any more."""
        await handling.abandon(request.user, session_id, data)

    @post(
        f"{SESSION}/reopen",
        operation_id="reopen_session",
        name="reopen_session",
        status_code=HTTPStatus.NO_CONTENT,
        responses=REFUSALS,
        summary="Open a session again",
    )
    @repeatable
    async def reopen(
        self, request: Request[Principal, Any, Any], session_id: FromPath[UUID], handling: FromDishka[HandlingService]
    ) -> None:
        """Go on with a session that was resolved not long ago: until its `reopenable_until`."""
        await handling.reopen(request.user, session_id)

    @put(
        f"{SESSION}/task-lane",
        operation_id="keep_session_task_lane",
        name="keep_session_task_lane",
        opt={PACE: 30},
        request_max_body_size=LANE_BODY_BYTES,
        status_code=HTTPStatus.NO_CONTENT,
        responses=REFUSALS,
        summary="Keep the task lane",
    )
    async def keep_lane(
        self,
        request: Request[Principal, Any, Any],
        session_id: FromPath[UUID],
        data: JSONBody[NewLane],
        handling: FromDishka[HandlingService],
    ) -> None:
        """Keep questions, tasks and answers beside the session, at most 262,144 bytes as they are stored."""
        await handling.keep_lane(request.user, session_id, data)


class EscalationController(StrictController):
    """How sessions change hands."""

    path = SESSIONS
    tags = ("sessions",)
    guards = ACTING
    opt = {PACE: 15}  # noqa: RUF012 - the framework's

    @get(
        "/escalation-queue",
        operation_id="list_escalation_queue",
        name="list_escalation_queue",
        opt={PACE: 30},
        responses=failing(InvalidError, ForbiddenError, ExhaustedError),
        summary="List what waits for a colleague",
    )
    async def queue(
        self,
        request: Request[Principal, Any, Any],
        escalating: FromDishka[EscalatingService],
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
        cursor: Annotated[str | None, QueryParameter(description="Where the page before ended.")] = None,
    ) -> Queue:
        """List the sessions that the caller may take over: the most urgent first, of the same urgency the oldest."""
        return await escalating.queue(request.user, limit, cursor)

    @post(
        f"{SESSION}/escalate",
        operation_id="escalate_session",
        name="escalate_session",
        status_code=HTTPStatus.OK,
        responses=failing(InvalidError, ForbiddenError, ExhaustedError),
        summary="Ask for a colleague",
    )
    @repeatable
    async def escalate(
        self,
        request: Request[Principal, Any, Any],
        session_id: FromPath[UUID],
        data: JSONBody[NewEscalation],
        escalating: FromDishka[EscalatingService],
    ) -> Escalated:
        """Ask for a colleague to take the session over: whoever works on sessions, or the one who is named."""
        return await escalating.escalate(request.user, session_id, data)

    @post(
        f"{SESSION}/withdraw-escalation",
        operation_id="withdraw_session_escalation",
        name="withdraw_session_escalation",
        status_code=HTTPStatus.NO_CONTENT,
        responses=REFUSALS,
        summary="Go on oneself after all",
    )
    @repeatable
    async def withdraw(
        self,
        request: Request[Principal, Any, Any],
        session_id: FromPath[UUID],
        escalating: FromDishka[EscalatingService],
    ) -> None:
        """Go on with the session oneself; no colleague is needed any more."""
        await escalating.withdraw(request.user, session_id)

    @post(
        f"{SESSION}/pickup",
        operation_id="pick_up_session",
        name="pick_up_session",
        opt={PACE: 5},
        status_code=HTTPStatus.OK,
        responses=failing(ForbiddenError, ExhaustedError, ProviderError),
        summary="Take a session over",
    )
    @repeatable
    async def pick_up(
        self,
        request: Request[Principal, Any, Any],
        session_id: FromPath[UUID],
        data: JSONBody[NewPickup],
        taking_over: FromDishka[TakingOverService],
    ) -> PickedUp | Chatted:
        """Take a session over that a colleague was asked for. Who comes too late is told by 409 who was faster.

        Where a model is to write what comes next, 502 `provider_error` says that it failed: the session is taken over all
        the same, and the briefing answered once more asks it again. 429 `quota_exceeded` leaves the session as it is.
        In a chat the answer is what the guide says: what was found so far.
        """
        return await taking_over.pick_up(request.user, session_id, data)
