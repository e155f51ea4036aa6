"""/azure-speech"""

from typing import Any

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request

from workbench.domain.identity.model import Principal
from workbench.domain.speech.model import SpeechToken
from workbench.domain.speech.service import SpeechService
from workbench.entrypoints.http.guards import users_only
from workbench.entrypoints.http.routing import get


class SpeechController(Controller):
    """Speech."""

    path = "/azure-speech"
    tags = ("speech",)

    @get("/token", operation_id="get_azure_speech_token", guards=[users_only], summary="Get a speech token")
    async def token(self, request: Request[Principal, Any, Any], speech: FromDishka[SpeechService]) -> SpeechToken:
        """Get a token for Azure's speech service and its region; `{}` where there is none to be had.

        The token has the form `aad#<resource id>#<Entra token>`, as the speech SDK takes it. Ask anew every nine
        minutes.
        """
        return await speech.token(request.user)
