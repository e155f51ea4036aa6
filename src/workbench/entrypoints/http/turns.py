"""/conversations/{id}/turns"""

from typing import Annotated, Any, Literal
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request, Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from workbench.domain.errors import (
    ConflictError,
    ExhaustedError,
    ForbiddenError,
    GoneError,
    NotAcceptableError,
    UnprocessableError,
)
from workbench.domain.identity.model import Principal
from workbench.domain.turns.controlling import ControlService
from workbench.domain.turns.opening import OpeningService
from workbench.domain.turns.ports import TurnQuery
from workbench.domain.turns.producing import ProducingService
from workbench.domain.turns.reading import Place, ReadingService
from workbench.domain.turns.shapes import (
    Batch,
    BatchTaken,
    Cancelled,
    CancelRequest,
    Ending,
    LeaseGrant,
    LeaseRequest,
    NewTurn,
    OpenedTurn,
    Settled,
    TurnList,
    TurnUsage,
    TurnView,
)
from workbench.entrypoints.http.budget_headers import budget_headers
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import actors_only
from workbench.entrypoints.http.repeats import repeatable
from workbench.entrypoints.http.routing import get, post, put
from workbench.entrypoints.http.streams import Heartbeats, StreamResponse, position_of
from workbench.entrypoints.http.turn_formats.choice import FORMATS, NATIVE, require_format, telling_as
from workbench.entrypoints.http.turn_streams import TurnStream

EVENT_STREAM = "text/event-stream"
ONE = "/{turn_id:str}"
MAX_OPEN_BYTES = 48 << 20
"""Four images of 8 MiB, which base64 makes a third longer, and a question."""
MAX_BATCH_BYTES = 256 << 10
MAX_ENDING_BYTES = 8 << 20

After = Annotated[str | None, QueryParameter(description="Begin behind this event.")]
LastEventId = Annotated[
    str | None, HeaderParameter(name="Last-Event-ID", description="The same, as browsers send it; it wins.")
]


def _also(status: int, kind: Any, description: str) -> dict[int, ResponseSpec]:
    """Describe an answer beside the usual one."""
    return {status: ResponseSpec(kind, generate_examples=False, description=description)}


OPENED_BEFORE = _also(200, OpenedTurn, "The turn was opened before; or, as `text/event-stream`, its stream.")
NOTHING_LEFT = _also(204, None, "There is nothing left to tell.")
OVER_ALREADY = _also(200, Cancelled, "The turn was over already.")


Format = Annotated[
    str,
    QueryParameter(
        name="format",
        description=(
            "The vocabulary of the stream: `native`, the UI message stream of the AI SDK (`ai-sdk`), or AG-UI (`ag-ui`)."
        ),
        schema_extra={"enum": list(FORMATS)},
    ),
]


class TurnController(Controller):
    """Turns: answers that are streamed while they are made, and stored once."""

    path = "/conversations/{conversation_id:str}/turns"
    tags = ("turns",)

    @post(
        operation_id="open_turn",
        request_max_body_size=MAX_OPEN_BYTES,
        guards=[actors_only],
        status_code=201,
        responses=OPENED_BEFORE | failing(ForbiddenError, NotAcceptableError, UnprocessableError, ExhaustedError),
        summary="Open a turn",
    )
    async def open(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        data: JSONBody[NewTurn],
        opening: FromDishka[OpeningService],
        reading: FromDishka[ReadingService],
        beats: FromDishka[Heartbeats],
        form: Format = NATIVE,
    ) -> Response[OpenedTurn]:
        """Ask an assistant: store the question, and open the place of the answer. The same request again is safe.

        With `Accept: text/event-stream` the answer is streamed at once, in the vocabulary that `format` names. Where
        limits hold, the fields `RateLimit-Policy` and `RateLimit` say what is left of each, the turn itself included;
        where one has no room, nothing is stored, and the answer is 429 with the code `budget_exceeded`.
        """
        require_format(form)
        opened = await opening.open(request.user, conversation_id, data)
        headers = budget_headers(opened.budgets or ())
        if EVENT_STREAM in request.headers.get("accept", ""):
            stream = TurnStream(reading, request.user, beats)
            stream.more_headers = headers
            return await _stream(stream, conversation_id, data.turn_id, form)
        return Response(opened, status_code=200 if opened.replayed else 201, headers=headers)

    @get(operation_id="list_turns", guards=[actors_only], summary="List turns")
    async def all(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        reading: FromDishka[ReadingService],
        status: Annotated[
            Literal["active", "all"], QueryParameter(description="Only those under way, or all.")
        ] = "all",
        assistant_id: Annotated[UUID | None, QueryParameter(description="Those of one assistant.")] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200, description="How many at most.")] = 50,
        before: Annotated[str | None, QueryParameter(description="Those opened before the turn of this id.")] = None,
    ) -> TurnList:
        """List a conversation's turns, newest first."""
        query = TurnQuery(only_active=status == "active", assistant_id=assistant_id, before=before, limit=limit)
        return await reading.all(request.user, conversation_id, query)

    @get(ONE, operation_id="get_turn", guards=[actors_only], summary="Get a turn")
    async def one(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        turn_id: FromPath[str],
        reading: FromDishka[ReadingService],
    ) -> TurnView:
        """Get a turn with its parts as far as there are any."""
        return await reading.get(request.user, conversation_id, turn_id)

    @get(f"{ONE}/usage", operation_id="get_turn_usage", guards=[actors_only], summary="Get what a turn took")
    async def usage(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        turn_id: FromPath[str],
        reading: FromDishka[ReadingService],
    ) -> TurnUsage:
        """Get the tokens of a turn, and, for who asked, who owns the conversation and who made it, the cost."""
        return await reading.usage(request.user, conversation_id, turn_id)

    @get(
        f"{ONE}/stream",
        operation_id="stream_turn",
        guards=[actors_only],
        media_type=EVENT_STREAM,
        responses=NOTHING_LEFT | failing(NotAcceptableError),
        summary="Stream a turn",
    )
    async def stream(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        turn_id: FromPath[str],
        reading: FromDishka[ReadingService],
        beats: FromDishka[Heartbeats],
        after: After = None,
        form: Format = NATIVE,
        last_event_id: LastEventId = None,
    ) -> Response[Any]:
        """Stream what happens in a turn until its end, from behind any place; 204 where nothing is left."""
        require_format(form)
        stream = TurnStream(reading, request.user, beats)
        return await _stream(stream, conversation_id, turn_id, form, last_event_id or after)

    @post(
        f"{ONE}/cancel",
        operation_id="cancel_turn",
        guards=[actors_only],
        status_code=202,
        responses=OVER_ALREADY | failing(ForbiddenError),
        summary="Cancel a turn",
    )
    async def cancel(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        turn_id: FromPath[str],
        data: JSONBody[CancelRequest],
        control: FromDishka[ControlService],
    ) -> Response[Cancelled]:
        """Ask for the end of a turn; 200 where it is over already."""
        cancelled = await control.cancel(request.user, conversation_id, turn_id, data)
        return Response(cancelled, status_code=202 if cancelled.cancelled else 200)

    @post(
        f"{ONE}/retry",
        operation_id="retry_turn",
        guards=[actors_only],
        status_code=202,
        responses=failing(ForbiddenError, ExhaustedError),
        summary="Retry a turn",
    )
    @repeatable
    async def retry(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        turn_id: FromPath[str],
        control: FromDishka[ControlService],
    ) -> TurnView:
        """Open a turn once more whose producer was lost; budgets are asked once more, too."""
        return await control.retry(request.user, conversation_id, turn_id)

    @put(
        f"{ONE}/lease",
        operation_id="lease_turn",
        responses=failing(ForbiddenError, GoneError),
        summary="Take a turn, or keep it",
    )
    async def lease(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        turn_id: FromPath[str],
        data: JSONBody[LeaseRequest],
        producing: FromDishka[ProducingService],
    ) -> LeaseGrant:
        """Take a turn to make its answer, or prolong that. For the turn's assistant and its service."""
        return await producing.lease(request.user, conversation_id, turn_id, data)

    @post(
        f"{ONE}/events",
        operation_id="add_turn_events",
        request_max_body_size=MAX_BATCH_BYTES,
        status_code=200,
        responses=failing(ForbiddenError, GoneError, UnprocessableError),
        summary="Add to an answer",
    )
    async def add(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        turn_id: FromPath[str],
        data: JSONBody[Batch],
        producing: FromDishka[ProducingService],
    ) -> BatchTaken:
        """Add what was made since the last batch. The answer says whether somebody asked for the end."""
        return await producing.add(request.user, conversation_id, turn_id, data)

    @post(
        f"{ONE}/finalize",
        operation_id="finalize_turn",
        request_max_body_size=MAX_ENDING_BYTES,
        status_code=200,
        responses=failing(ForbiddenError, GoneError),
        summary="End an answer",
    )
    async def finalize(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        turn_id: FromPath[str],
        data: JSONBody[Ending],
        producing: FromDishka[ProducingService],
    ) -> Settled:
        """End a turn: its answer is published, and what it used is settled. The same again is safe."""
        return await producing.finalize(request.user, conversation_id, turn_id, data)


class ActiveTurnController(Controller):
    """The turn under way."""

    path = "/conversations/{conversation_id:str}/active-turn"
    tags = ("turns",)
    guards = (actors_only,)

    @get(
        "/stream",
        operation_id="stream_active_turn",
        media_type=EVENT_STREAM,
        responses=NOTHING_LEFT | failing(ConflictError, NotAcceptableError),
        summary="Stream the turn under way",
    )
    async def stream(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        reading: FromDishka[ReadingService],
        beats: FromDishka[Heartbeats],
        assistant_id: Annotated[UUID | None, QueryParameter(description="Whose, where there are several.")] = None,
        form: Format = NATIVE,
    ) -> Response[Any]:
        """Stream the turn under way; 204 where there is none."""
        require_format(form)
        turn_id = await reading.active(request.user, conversation_id, assistant_id)
        if turn_id is None:
            return Response(None, status_code=204)
        return await _stream(TurnStream(reading, request.user, beats), conversation_id, turn_id, form)


async def _stream(
    stream: TurnStream, conversation_id: UUID, turn_id: str, form: str, last_event_id: str | None = None
) -> Response[Any]:
    is_given, after = position_of(last_event_id)
    place = Place(after=after, is_given=is_given, wants_all=form != NATIVE)
    if not await stream.watch_turn(conversation_id, turn_id, place):
        return Response(None, status_code=204)
    stream.telling = telling_as(form, stream.watch.turn, after)
    return StreamResponse(stream)
