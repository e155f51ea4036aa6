"""/flows"""

from typing import Annotated, Any, Literal

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request, Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter

from workbench.domain.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    UnavailableError,
    UnprocessableError,
    UnsupportedError,
)
from workbench.domain.flows.cursors import MAX_LIMIT
from workbench.domain.flows.lifecycle import FlowService
from workbench.domain.flows.model import (
    Flow,
    FlowChange,
    FlowList,
    FlowServiceList,
    FlowState,
    FlowTopicList,
    NewFlow,
)
from workbench.domain.flows.reading import FlowReader
from workbench.domain.identity.model import Principal
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.flow_bodies import UNREADABLE, json_only
from workbench.entrypoints.http.guards import users_only
from workbench.entrypoints.http.repeats import repeatable
from workbench.entrypoints.http.routing import delete, get, patch, post

Wait = Annotated[
    Literal["ready"] | None, QueryParameter(description="`ready`: answer when every service has a host (30 s at most).")
]
DrainSeconds = Annotated[float | None, QueryParameter(description="Seconds that requests under way have, up to 300.")]
UNDER_WAY = {202: ResponseSpec(Flow, generate_examples=False, description="It is being stopped.")}


class FlowController(Controller):
    """Running sets of services, made from blueprints."""

    path = "/flows"
    tags = ("flows",)
    guards = (users_only, json_only)
    exception_handlers = UNREADABLE

    @post(
        operation_id="start_flow",
        responses=failing(
            InvalidError, UnsupportedError, ForbiddenError, ConflictError, UnprocessableError, UnavailableError
        ),
        summary="Start a flow",
    )
    @repeatable
    async def started(
        self,
        request: Request[Principal, Any, Any],
        data: JSONBody[NewFlow],
        flows: FromDishka[FlowService],
        wait: Wait = None,
    ) -> Response[Flow]:
        """Make a flow of a blueprint and run it. When this is answered, every topic of it exists."""
        flow = await flows.start(request.user, data, until_ready=wait == "ready")
        return Response(flow, headers={"Location": f"/flows/{flow.flow_id}"})

    @get(operation_id="list_flows", responses=failing(InvalidError), summary="List flows")
    async def listed(
        self,
        request: Request[Principal, Any, Any],
        reader: FromDishka[FlowReader],
        of_state: Annotated[
            FlowState | None, QueryParameter(name="state", description="By default all that are not over.")
        ] = None,
        blueprint: Annotated[str | None, QueryParameter(description="Made of this blueprint.")] = None,
        cursor: Annotated[str | None, QueryParameter(description="Where the page before this one ended.")] = None,
        limit: Annotated[int, QueryParameter(description="How many at most.", ge=1, le=MAX_LIMIT)] = 50,
    ) -> FlowList:
        """List the flows of the workspace, by id."""
        return await reader.page(request.user, of_state, blueprint, cursor, limit)

    @get("/{flow_id:str}", operation_id="get_flow", summary="Get a flow")
    async def one(
        self, request: Request[Principal, Any, Any], flow_id: FromPath[str], reader: FromDishka[FlowReader]
    ) -> Flow:
        """Get a flow: the newest run of that id, for a week after its end."""
        return await reader.get(request.user, flow_id)

    @patch(
        "/{flow_id:str}",
        operation_id="change_flow",
        responses=failing(InvalidError, UnsupportedError, ForbiddenError, UnprocessableError),
        summary="Describe a flow",
    )
    async def changed(
        self,
        request: Request[Principal, Any, Any],
        flow_id: FromPath[str],
        data: JSONBody[FlowChange],
        flows: FromDishka[FlowService],
    ) -> Flow:
        """Change the description of a flow; nothing else of it can be changed."""
        return await flows.describe(request.user, flow_id, data.description)

    @delete(
        "/{flow_id:str}",
        operation_id="stop_flow",
        status_code=200,
        responses={**failing(ForbiddenError, UnprocessableError), **UNDER_WAY},
        summary="Stop a flow",
    )
    async def stopped(
        self,
        request: Request[Principal, Any, Any],
        flow_id: FromPath[str],
        flows: FromDishka[FlowService],
        drain_s: DrainSeconds = None,
    ) -> Response[Flow]:
        """Stop a flow, or join its stopping. The answer tells what became of its topics; 202 if that takes longer."""
        flow = await flows.stop(request.user, flow_id, drain_s)
        return Response(flow, status_code=202 if flow.state == "stopping" else 200)

    @get("/{flow_id:str}/topics", operation_id="list_flow_topics", summary="List a flow's topics")
    async def topics(
        self, request: Request[Principal, Any, Any], flow_id: FromPath[str], reader: FromDishka[FlowReader]
    ) -> FlowTopicList:
        """List the topics that a flow refers to, and with how many others it shares each."""
        return await reader.topics(request.user, flow_id)

    @get("/{flow_id:str}/services", operation_id="list_flow_services", summary="List a flow's interfaces")
    async def services(
        self, request: Request[Principal, Any, Any], flow_id: FromPath[str], reader: FromDishka[FlowReader]
    ) -> FlowServiceList:
        """List what callers may use, with schemas, options and the number of hosts that serve it."""
        return await reader.services(request.user, flow_id)
