"""/workspace/choices"""

from typing import Any

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request
from litestar.params import JSONBody

from workbench.domain.errors import ForbiddenError, InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.troubleshooting.choosing import ChoosingService, ChosenHere, NewChoices
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import users_only
from workbench.entrypoints.http.routing import get, patch


class ChoiceController(Controller):
    """What a workspace decides for itself."""

    path = "/workspace/choices"
    tags = ("sessions",)
    guards = (users_only,)

    @get(operation_id="get_workspace_choices", summary="Get what the workspace decides for itself")
    async def all(self, request: Request[Principal, Any, Any], choosing: FromDishka[ChoosingService]) -> ChosenHere:
        """See whether solutions are shared, and whether texts of sessions are sent to a model; in `own`, null follows the settings.

        `embeds` is what makes the vectors that sessions are compared by.
        """
        return await choosing.of_workspace(request.user.workspace_id)

    @patch(
        operation_id="change_workspace_choices",
        responses=failing(ForbiddenError, InvalidError),
        summary="Decide for the workspace",
    )
    async def change(
        self,
        request: Request[Principal, Any, Any],
        data: JSONBody[NewChoices],
        choosing: FromDishka[ChoosingService],
    ) -> ChosenHere:
        """Decide what is named; null follows the settings again. It holds at once. For admins.

        400 `no_embedding_model` where there is no model that texts could be sent to.
        """
        return await choosing.decide(request.user, data)
