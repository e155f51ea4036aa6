"""/budgets"""

from typing import Annotated, Any

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request
from litestar.params import FromPath, JSONBody, QueryParameter

from workbench.domain.budgets.model import Scope
from workbench.domain.budgets.service import BudgetService, LimitList, NewLimits, StandingList, SubjectBudget
from workbench.domain.errors import ForbiddenError, InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.paging import MAX_PAGE
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import users_only
from workbench.entrypoints.http.routing import delete, get, put

ONE = "/{whose:str}/{subject:str}"


class BudgetController(Controller):
    """How much may be spent on models, and what is left of it."""

    path = "/budgets"
    tags = ("budgets",)
    guards = (users_only,)

    @get("/me", operation_id="get_my_budgets", summary="Get what is left for the caller")
    async def mine(self, request: Request[Principal, Any, Any], budgets: FromDishka[BudgetService]) -> StandingList:
        """See how the limits stand that hold for the caller, and for the workspace; without limits there are none."""
        return await budgets.mine(request.user)

    @get(operation_id="list_budgets", responses=failing(ForbiddenError, InvalidError), summary="List limits")
    async def all(
        self,
        request: Request[Principal, Any, Any],
        budgets: FromDishka[BudgetService],
        limit: Annotated[int, QueryParameter(ge=1, description="Page size, at most 500.")] = MAX_PAGE,
        cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")] = None,
    ) -> LimitList:
        """List the limits that are stored, by scope and subject, and those of the settings. For admins."""
        return await budgets.page(request.user, limit=limit, cursor=cursor)

    @get(ONE, operation_id="get_budget", responses=failing(ForbiddenError, InvalidError), summary="Get one's limits")
    async def one(
        self,
        request: Request[Principal, Any, Any],
        whose: FromPath[Scope],
        subject: FromPath[str],
        budgets: FromDishka[BudgetService],
    ) -> SubjectBudget:
        """See the limits of a user, an assistant or the workspace, and what is left. For admins.

        The subject is an id, or `*` for each one of the scope that has no limit of its own.
        """
        return await budgets.of_subject(request.user, whose, subject)

    @put(ONE, operation_id="set_budget", responses=failing(ForbiddenError, InvalidError), summary="Set one's limits")
    async def change(
        self,
        request: Request[Principal, Any, Any],
        whose: FromPath[Scope],
        subject: FromPath[str],
        data: JSONBody[NewLimits],
        budgets: FromDishka[BudgetService],
    ) -> SubjectBudget:
        """Replace all limits of a user, an assistant or the workspace. For admins.

        They go before those of `*`, and these before the settings'; `amount: null` lifts a limit. What was spent in the
        running day or month counts at once.
        """
        return await budgets.set_limits(request.user, whose, subject, data.limits)

    @delete(
        ONE,
        operation_id="remove_budget",
        responses=failing(ForbiddenError, InvalidError),
        summary="Remove one's limits",
    )
    async def remove(
        self,
        request: Request[Principal, Any, Any],
        whose: FromPath[Scope],
        subject: FromPath[str],
        budgets: FromDishka[BudgetService],
    ) -> None:
        """Forget the limits of a user, an assistant or the workspace, so that those of `*` hold again. For admins."""
        await budgets.remove_limits(request.user, whose, subject)
