"""/flows/{flow_id}/services/{interface}, /flows/{flow_id}/requests"""

from contextlib import AsyncExitStack
from typing import Annotated, Any

import msgspec
from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request, Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter

from workbench.domain.bus.calls import Answer
from workbench.domain.errors import (
    ConflictError,
    InvalidError,
    NotAcceptableError,
    TooLargeError,
    UnprocessableError,
    UnsupportedError,
)
from workbench.domain.flows.calling import FlowGateway, Sent
from workbench.domain.flows.policy import FlowPolicy
from workbench.domain.flows.underway import InFlightList, RequestsUnderWay
from workbench.domain.identity.model import Principal
from workbench.domain.texts import read_json
from workbench.entrypoints.http.error_bodies import ErrorBody
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.flow_bodies import UNREADABLE, json_only, not_json
from workbench.entrypoints.http.flow_streams import FlowStream
from workbench.entrypoints.http.guards import users_only
from workbench.entrypoints.http.routing import delete, get, post
from workbench.entrypoints.http.streams import Heartbeats, StreamResponse

EVENT_STREAM = "text/event-stream"

TimeoutSeconds = Annotated[
    float | None,
    QueryParameter(
        description="Seconds until this is given up, from 0.1 to 1500; by default, and at most, the interface's."
    ),
]


def _failures() -> dict[int, ResponseSpec]:
    texts = {
        429: "Too many requests are under way, or the service asks for patience.",
        502: "The service failed, or its answer was lost.",
        503: "No service, or no bus, at the moment; `Retry-After` says when to come back.",
        504: "No answer in time; `phase` says where the time went.",
    }
    return {
        status: ResponseSpec(ErrorBody, generate_examples=False, description=text) for status, text in texts.items()
    }


def _unheard() -> dict[int, ResponseSpec]:
    text = "The bus is away, over which replicas ask each other."
    return {503: ResponseSpec(ErrorBody, generate_examples=False, description=text)}


class FlowCallController(Controller):
    """Calling the services of flows."""

    path = "/flows/{flow_id:str}"
    tags = ("flows",)
    guards = (users_only, json_only)
    exception_handlers = UNREADABLE

    @post(
        "/services/{interface:str}",
        operation_id="call_flow",
        status_code=200,
        responses={
            **failing(
                ConflictError, InvalidError, NotAcceptableError, TooLargeError, UnprocessableError, UnsupportedError
            ),
            **_failures(),
            202: ResponseSpec(Sent, generate_examples=False, description="The work was handed over."),
        },
        summary="Call a service",
    )
    async def called(
        self,
        request: Request[Principal, Any, Any],
        flow_id: FromPath[str],
        interface: FromPath[str],
        gateway: FromDishka[FlowGateway],
        policy: FromDishka[FlowPolicy],
        beats: FromDishka[Heartbeats],
        timeout_s: TimeoutSeconds = None,
    ) -> Response[Answer] | Response[Sent] | Response[None]:
        """Send any JSON to an interface of a flow, and answer with what its service answers.

        With `Accept: text/event-stream` parts come as they are made: `open`, `part` ..., then one of `final` and
        `error`; after `reset` the answer begins anew. The stream cannot be resumed, and who leaves it ends the request.
        An interface of kind `send` only takes: 202.
        """
        body = await _body(request, policy)
        streams = EVENT_STREAM in request.headers.get("accept", "")
        if await gateway.kind_of(request.user, flow_id, interface) == "send":
            if streams:
                raise NotAcceptableError("Nothing is answered to what is only sent")
            return Response(await gateway.send(request.user, flow_id, interface, body), status_code=202)
        if not streams:
            return Response(await gateway.ask(request.user, flow_id, interface, body, timeout_s))
        stack = AsyncExitStack()
        call = gateway.call(request.user, flow_id, interface, body, seconds=timeout_s, single=False)
        return StreamResponse(FlowStream(await stack.enter_async_context(call), stack, beats))

    @get("/requests", operation_id="list_flow_requests", responses=_unheard(), summary="List requests under way")
    async def requests(
        self, request: Request[Principal, Any, Any], flow_id: FromPath[str], under_way: FromDishka[RequestsUnderWay]
    ) -> InFlightList:
        """List the requests to a flow that are under way, in all replicas: one's own, for administrators all."""
        return await under_way.list(request.user, flow_id)

    @delete(
        "/requests/{request_id:str}",
        operation_id="cancel_flow_request",
        status_code=202,
        responses=_unheard(),
        summary="Cancel a request",
    )
    async def cancelled(
        self,
        request: Request[Principal, Any, Any],
        flow_id: FromPath[str],
        request_id: FromPath[str],
        under_way: FromDishka[RequestsUnderWay],
    ) -> None:
        """End a request that is under way, in whichever replica."""
        await under_way.cancel(request.user, flow_id, request_id)


async def _body(request: Request[Principal, Any, Any], policy: FlowPolicy) -> Any:
    """Any JSON, up to a size."""
    body = await request.body()
    if len(body) > policy.request_bytes:
        raise TooLargeError(
            f"the body is limited to {policy.request_bytes} bytes",
            code="payload_too_large",
            extra={"limit_bytes": policy.request_bytes},
        )
    try:
        return read_json(body or b"null")
    except msgspec.DecodeError as error:
        raise not_json(str(error)) from error
