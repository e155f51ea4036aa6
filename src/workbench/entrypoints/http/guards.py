"""Which kind of caller a route is for. Who may do what to which record is for the services to say.

Guards are coroutines since the framework runs plain functions in a thread, at a multiple of their cost.
"""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from workbench.domain.errors import ForbiddenError
from workbench.domain.identity.model import require_role

Connection = ASGIConnection[Any, Any, Any, Any]


async def users_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Let users pass."""
    require_role(connection.user, "user")


async def actors_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Let users and assistants pass."""
    require_role(connection.user, "user", "assistant")


async def assistants_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Let assistants pass."""
    require_role(connection.user, "assistant")


async def services_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Let assistant services pass, be it in the name of an assistant or not."""
    require_role(connection.user, "service", "assistant")


async def hosts_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Let hosts of services of flows pass."""
    require_role(connection.user, "host")


async def engineers_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Let users pass who work on troubleshooting sessions."""
    require_role(connection.user, "user")
    if not connection.user.works_on_sessions:
        raise ForbiddenError("Only who works on sessions may do this", code="role_required")


async def connectors_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Let users pass who connect ticket systems."""
    require_role(connection.user, "user")
    if not connection.user.connects_ticket_systems:
        raise ForbiddenError("Only who connects ticket systems may do this", code="role_required")


async def authors_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Let users pass who write playbooks."""
    require_role(connection.user, "user")
    if not connection.user.writes_playbooks:
        raise ForbiddenError("Only who writes playbooks may do this", code="role_required")
