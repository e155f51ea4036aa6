"""/flow-hosts"""

from typing import Annotated, Any

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request, Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter

from workbench.domain.errors import InvalidError, NotFoundError, UnprocessableError, UnsupportedError
from workbench.domain.flows.assigning import MAX_SERVICES, MAX_WAIT_SECONDS, AssignmentService, HostPoll
from workbench.domain.flows.model import AssignmentList, Released
from workbench.domain.identity.model import Principal
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.flow_bodies import UNREADABLE, json_only
from workbench.entrypoints.http.guards import hosts_only
from workbench.entrypoints.http.routing import get, post

HostId = Annotated[str, QueryParameter(description="What the host calls itself, another one for each process.")]
Services = Annotated[
    list[str],
    QueryParameter(name="service", description=f"What it could run: repeated, up to {MAX_SERVICES} names."),
]
Version = Annotated[int, QueryParameter(description="The list that it goes by; 0 for none.", ge=0)]
Wait = Annotated[float, QueryParameter(description=f"Seconds to wait for another list, up to {MAX_WAIT_SECONDS:g}.")]
UNCHANGED = {304: ResponseSpec(None, generate_examples=False, description="Nothing has changed in that time.")}


class FlowHostController(Controller):
    """Processes of their own that run services of flows; operators give them tokens."""

    path = "/flow-hosts"
    tags = ("flows",)
    guards = (hosts_only, json_only)
    exception_handlers = UNREADABLE
    security = ({"host": []},)

    @get(
        "/assignments",
        operation_id="list_flow_assignments",
        responses={**failing(UnprocessableError), **UNCHANGED},
        summary="Learn what to run",
    )
    async def assignments(
        self,
        request: Request[Principal, Any, Any],
        host_id: HostId,
        services: Services,
        assigning: FromDishka[AssignmentService],
        version: Version = 0,
        wait: Wait = MAX_WAIT_SECONDS,
    ) -> Response[AssignmentList] | Response[None]:
        """Answer with all that a host is to run, as soon as that is another list than the one it goes by.

        Asking is also its sign of life: one that has not asked for 30 seconds is taken for dead. Who comes with a
        version holds all that the list of that version named, but for what it has released.
        """
        poll = HostPoll(host_id=host_id, services=services, version=version, wait_seconds=wait)
        found = await assigning.assignments(request.user, poll)
        return Response(None, status_code=304) if found is None else Response(found)

    @post(
        "/{host_id:str}/released",
        operation_id="release_flow_assignments",
        status_code=204,
        responses=failing(InvalidError, UnsupportedError, NotFoundError, UnprocessableError),
        summary="Say what is not held",
    )
    async def released(
        self,
        request: Request[Principal, Any, Any],
        host_id: FromPath[str],
        data: JSONBody[Released],
        assigning: FromDishka[AssignmentService],
    ) -> None:
        """Note what a host could not begin, or lets go of. To say that it holds such again, it asks for the list anew."""
        await assigning.released(request.user, host_id, data.keys)
