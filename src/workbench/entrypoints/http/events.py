"""/events, /conversations/{id}/events and /workspace/events: what happens, as it happens."""

from typing import Annotated, Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request
from litestar.params import FromPath, HeaderParameter, QueryParameter

from workbench.domain.events.service import EventService
from workbench.domain.identity.model import Principal
from workbench.entrypoints.http.guards import actors_only, users_only
from workbench.entrypoints.http.routing import get
from workbench.entrypoints.http.streams import (
    EventStream,
    Heartbeats,
    StreamResponse,
    conversation_frame,
    feed_frame,
    workspace_frame,
)

LastEventIdHeader = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID", description="Resume behind this position, as browsers send it by themselves."
    ),
]
LastEventIdQuery = Annotated[
    str | None, QueryParameter(name="last_event_id", description="The same, for clients that cannot set headers.")
]


IncludeTurns = Annotated[
    list[str] | None,
    QueryParameter(name="include", description="`turns`: with `turn.opened`, `turn.status` and `message.updated`."),
]


class EventController(Controller):
    """Event streams."""

    tags = ("events",)

    @get(
        "/conversations/{conversation_id:str}/events",
        guards=[actors_only],
        operation_id="stream_conversation_events",
        media_type="text/event-stream",
        summary="Stream the events of a conversation",
    )
    async def conversation(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        events: FromDishka[EventService],
        beats: FromDishka[Heartbeats],
        last_event_id: LastEventIdHeader = None,
        resume_behind: LastEventIdQuery = None,
        include: IncludeTurns = None,
    ) -> StreamResponse:
        """Stream live, or resume: the ids of events are positions, and none behind the one given is left out.

        A position that is no longer kept is answered with a `stream.gap` event that names the first available.
        """
        with_turns = "turns" in (include or ())
        stream = EventStream(events, conversation_frame, beats, last_event_id or resume_behind, with_turns=with_turns)
        stream.reader = await events.read_conversation(request.user, conversation_id, stream.ring)
        return StreamResponse(stream)

    @get(
        "/events",
        guards=[users_only],
        operation_id="stream_user_events",
        media_type="text/event-stream",
        summary="Stream the events of all the user's conversations",
    )
    async def feed(
        self,
        request: Request[Principal, Any, Any],
        events: FromDishka[EventService],
        beats: FromDishka[Heartbeats],
        last_event_id: LastEventIdHeader = None,
        resume_behind: LastEventIdQuery = None,
    ) -> StreamResponse:
        """Stream live, or resume, as for one conversation; ids of this stream mean nothing on another."""
        stream = EventStream(events, feed_frame, beats, last_event_id or resume_behind)
        stream.reader = await events.read_feed(request.user, stream.ring)
        return StreamResponse(stream)

    @get(
        "/workspace/events",
        guards=[users_only],
        operation_id="stream_workspace_events",
        media_type="text/event-stream",
        summary="Stream what happens outside conversations",
    )
    async def workspace(
        self,
        request: Request[Principal, Any, Any],
        events: FromDishka[EventService],
        beats: FromDishka[Heartbeats],
        last_event_id: LastEventIdHeader = None,
        resume_behind: LastEventIdQuery = None,
    ) -> StreamResponse:
        """Stream what becomes of the workspace's flows, and of escalations that are meant for the user.

        Live or resumed, as for one conversation; its ids are positions on this stream alone.
        """
        stream = EventStream(events, workspace_frame, beats, last_event_id or resume_behind)
        stream.reader = await events.read_workspace(request.user, stream.ring)
        return StreamResponse(stream)
