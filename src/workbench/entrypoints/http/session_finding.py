"""/ai-sessions/search, /ai-sessions/{id}/similar: sessions found by words, and those that are like one"""

from typing import Annotated, Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Request
from litestar.params import FromPath, QueryParameter

from workbench.domain.errors import ExhaustedError, InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.troubleshooting.finding import MAX_FOUND, FindingService, Finds
from workbench.domain.troubleshooting.likening import LikeningService, SimilarSessions
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import users_only
from workbench.entrypoints.http.pace import PACE, paced
from workbench.entrypoints.http.routing import get
from workbench.entrypoints.http.sessions import SESSION, SESSIONS
from workbench.entrypoints.http.strict import StrictController


class SessionFindingController(StrictController):
    """Looks for sessions."""

    path = SESSIONS
    tags = ("sessions",)
    opt = {PACE: 30}  # noqa: RUF012 - the framework's

    @get(
        "/search",
        operation_id="search_sessions",
        name="search_sessions",
        guards=[users_only, paced],
        responses=failing(InvalidError, ExhaustedError),
        summary="Search sessions",
    )
    async def search(
        self,
        request: Request[Principal, Any, Any],
        finding: FromDishka[FindingService],
        words: Annotated[
            str,
            QueryParameter(
                name="q", min_length=2, max_length=200, pattern=r"\S", description="Words; signs mean nothing."
            ),
        ],
        limit: Annotated[int, QueryParameter(ge=1, le=MAX_FOUND)] = 5,
    ) -> Finds:
        """Search the sessions that the caller may see, the best first, with where the words are in them.

        Those with all of the words are found, or where there is none, those with any of them. The last word may be the
        beginning of one. Words of a title and a summary count most, then those of a solution, then all others.
        """
        return await finding.search(request.user, words, limit)

    @get(
        f"{SESSION}/similar",
        operation_id="list_similar_sessions",
        name="list_similar_sessions",
        guards=[users_only, paced],
        opt={PACE: 15},
        responses=failing(InvalidError, ExhaustedError),
        summary="List similar sessions",
    )
    async def similar(
        self,
        request: Request[Principal, Any, Any],
        session_id: FromPath[UUID],
        likening: FromDishka[LikeningService],
        limit: Annotated[int, QueryParameter(ge=1, le=MAX_FOUND)] = 5,
    ) -> SimilarSessions:
        """List the sessions most like this one, and why each is: by text, by common or rare words, by playbook or domain.

        Sessions that the caller may not see are left out. Where the workspace shares resolutions, resolved ones of others
        are there as `redacted`: what kind of problem it was and how it was solved, without id, people or report.
        """
        return await likening.similar(request.user, session_id, limit)
