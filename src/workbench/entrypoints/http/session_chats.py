"""/ai-sessions: what is written in chats, and the documentation as it is written"""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Request, Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from workbench.domain.errors import ExhaustedError, ForbiddenError, InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.troubleshooting.chatting import ChattingService, NewChat
from workbench.domain.troubleshooting.failures import ProviderError
from workbench.domain.troubleshooting.metering import SessionMeter
from workbench.domain.troubleshooting.narrating import NarrationEvent
from workbench.domain.troubleshooting.telling import TellingService
from workbench.domain.troubleshooting.views import Chatted
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import engineers_only, users_only
from workbench.entrypoints.http.pace import PACE, paced
from workbench.entrypoints.http.repeats import repeatable
from workbench.entrypoints.http.routing import get, post
from workbench.entrypoints.http.session_streams import NarrationStream
from workbench.entrypoints.http.sessions import SESSION, SESSIONS
from workbench.entrypoints.http.streams import Heartbeats, StreamResponse
from workbench.entrypoints.http.strict import StrictController

EVENT_STREAM = "text/event-stream"
EVENTS = {
    200: ResponseSpec(
        NarrationEvent,
        generate_examples=False,
        media_type=EVENT_STREAM,
        description=(
            "The data of each event, by its name: `meta` first, then `delta` for each piece of the text, at most one "
            "`reset`, behind which the text begins anew, and at last one of `done` and `error`."
        ),
    )
}


class ChatController(StrictController):
    """What is said in sessions, and told of them, while it is made."""

    path = SESSIONS
    tags = ("sessions",)

    @post(
        f"{SESSION}/chat",
        operation_id="chat_in_session",
        name="chat_in_session",
        guards=[users_only, paced, engineers_only],
        opt={PACE: 10},
        status_code=HTTPStatus.OK,
        responses=failing(InvalidError, ForbiddenError, ExhaustedError, ProviderError),
        summary="Write in a chat",
    )
    @repeatable
    async def chat(
        self,
        request: Request[Principal, Any, Any],
        session_id: FromPath[UUID],
        data: JSONBody[NewChat],
        chatting: FromDishka[ChattingService],
    ) -> Chatted:
        """Write something in a session's chat, and get the reply: a model's, or the playbooks that come near.

        With `fork` the chat goes on by one of the ways that an earlier reply proposed, which is a branch of the session then.

        Where neither is to be had, 503 `no_guidance_available`, and nothing is kept. Where the model fails, 502
        `provider_error`; what was written is kept then, and answered once it is sent again.
        """
        return await chatting.chat(request.user, session_id, data)

    @get(
        f"{SESSION}/documentation/stream",
        operation_id="stream_session_documentation",
        name="stream_session_documentation",
        guards=[users_only, paced],
        opt={PACE: 20},
        media_type=EVENT_STREAM,
        responses=EVENTS | failing(ExhaustedError),
        summary="Stream the documentation",
    )
    async def stream(
        self,
        request: Request[Principal, Any, Any],
        session_id: FromPath[UUID],
        telling: FromDishka[TellingService],
        beats: FromDishka[Heartbeats],
        meter: FromDishka[SessionMeter],
    ) -> Response[Any]:
        """Stream the documentation while it is written, for its owner. What was told cannot be resumed: ask again."""
        narration = await telling.narration(request.user, session_id)
        return StreamResponse(NarrationStream(narration, beats, meter))
