"""/psa-connections"""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Request, Response
from litestar.params import FromPath, JSONBody

from workbench.domain.errors import ConflictError, ExhaustedError, ForbiddenError, InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.tickets.service import (
    ConnectionChange,
    ConnectionList,
    ConnectionService,
    ConnectionView,
    NewConnection,
    Tested,
)
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import connectors_only, engineers_only, users_only
from workbench.entrypoints.http.pace import PACE, paced
from workbench.entrypoints.http.repeats import repeatable
from workbench.entrypoints.http.routing import delete, get, patch, post
from workbench.entrypoints.http.strict import StrictController

CONNECTIONS = "/psa-connections"
CONNECTION = "/{connection_id:uuid}"
LOOKING = [users_only, paced, engineers_only]
CONNECTING = [users_only, paced, connectors_only]


class ConnectionController(StrictController):
    """Ticket systems that a workspace has connected."""

    path = CONNECTIONS
    tags = ("tickets",)
    opt = {PACE: 15}  # noqa: RUF012 - the framework's

    @post(
        operation_id="connect_ticket_system",
        name="connect_ticket_system",
        guards=CONNECTING,
        status_code=HTTPStatus.CREATED,
        responses=failing(InvalidError, ForbiddenError, ConflictError, ExhaustedError),
        summary="Connect a ticket system",
    )
    @repeatable
    async def connect(
        self,
        request: Request[Principal, Any, Any],
        data: JSONBody[NewConnection],
        connections: FromDishka[ConnectionService],
    ) -> Response[ConnectionView]:
        """Connect a ticket system.

        A `webhook` has `config` `{url}` and `secret` `{keys}`, one or two. `connectwise` has `config` `{site, company_id,
        client_id, api_version, resolution_as, notify, member_map}` and `secret` `{public_key, private_key}`. The secret is
        never shown again.
        """
        made = await connections.connect(request.user, data)
        return Response(made, headers={"Location": f"{CONNECTIONS}/{made.id}"})

    @get(
        operation_id="list_ticket_systems",
        name="list_ticket_systems",
        guards=LOOKING,
        responses=failing(ForbiddenError, ExhaustedError),
        summary="List connected ticket systems",
    )
    async def all(
        self, request: Request[Principal, Any, Any], connections: FromDishka[ConnectionService]
    ) -> ConnectionList:
        """List the ticket systems that tickets can be linked from. `config` is for those who may change it."""
        return await connections.all(request.user)

    @get(
        CONNECTION,
        operation_id="get_ticket_system",
        name="get_ticket_system",
        guards=LOOKING,
        responses=failing(ForbiddenError, ExhaustedError),
        summary="Get a connected ticket system",
    )
    async def one(
        self,
        request: Request[Principal, Any, Any],
        connection_id: FromPath[UUID],
        connections: FromDishka[ConnectionService],
    ) -> ConnectionView:
        """Get a connection, and how it was found last."""
        return await connections.one(request.user, connection_id)

    @patch(
        CONNECTION,
        operation_id="change_ticket_system",
        name="change_ticket_system",
        guards=CONNECTING,
        responses=failing(InvalidError, ForbiddenError, ExhaustedError),
        summary="Change a connected ticket system",
    )
    async def change(
        self,
        request: Request[Principal, Any, Any],
        connection_id: FromPath[UUID],
        data: JSONBody[ConnectionChange],
        connections: FromDishka[ConnectionService],
    ) -> ConnectionView:
        """Change a connection, or switch it on or off. While it is off, notes wait."""
        return await connections.change(request.user, connection_id, data)

    @delete(
        CONNECTION,
        operation_id="remove_ticket_system",
        name="remove_ticket_system",
        guards=CONNECTING,
        responses=failing(ForbiddenError, ExhaustedError),
        summary="Remove a connected ticket system",
    )
    async def remove(
        self,
        request: Request[Principal, Any, Any],
        connection_id: FromPath[UUID],
        connections: FromDishka[ConnectionService],
    ) -> None:
        """Forget a connection with its secret. Notes that wait are not sent any more."""
        await connections.remove(request.user, connection_id)

    @post(
        f"{CONNECTION}/test",
        operation_id="test_ticket_system",
        name="test_ticket_system",
        guards=CONNECTING,
        status_code=HTTPStatus.OK,
        responses=failing(ForbiddenError, ExhaustedError),
        summary="Test a connected ticket system",
    )
    @repeatable
    async def test(
        self,
        request: Request[Principal, Any, Any],
        connection_id: FromPath[UUID],
        connections: FromDishka[ConnectionService],
    ) -> Tested:
        """Ask the ticket system whether it takes the keys. Where it does, notes that wait for that are sent."""
        return await connections.test(request.user, connection_id)
