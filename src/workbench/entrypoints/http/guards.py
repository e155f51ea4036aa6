"""Which kind of caller a route is for. Who may do what to which record is for the services to say.

Guards are coroutines since the framework runs plain functions in a thread, at a multiple of their cost.
"""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from workbench.domain.errors import UnauthenticatedError
from workbench.domain.identity.model import Role

Connection = ASGIConnection[Any, Any, Any, Any]


def _require(connection: Connection, *roles: Role) -> None:
    if connection.user.role not in roles:
        raise UnauthenticatedError("Unauthorized", code="wrong_kind_of_caller")


async def users_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Let users pass."""
    _require(connection, "user")


async def actors_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Let users and assistants pass."""
    _require(connection, "user", "assistant")


async def services_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Let assistant services pass, be it in the name of an assistant or not."""
    _require(connection, "service", "assistant")
