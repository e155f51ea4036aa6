"""Routes: Litestar's handlers, which do once what the framework's own do anew for each request."""

# Litestar names its connections and responses without their type arguments.
# pyright: reportUnknownMemberType=false

from functools import partial
from typing import Any, cast

from litestar import HttpMethod, Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import HTTPRouteHandler


class RouteHandler(HTTPRouteHandler):
    """A handler of one or several methods. Its guards must not change it: they are given the handler itself."""

    __slots__ = ("_handlers_of_exceptions",)

    async def authorize_connection(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Ask each guard. The framework would copy the handler for each, which takes an eighth of a post's time."""
        for guard in cast("list[Any]", self.resolve_guards()):
            await guard(connection, self)

    def on_registration(self, app: Litestar) -> None:
        """Learn where it stands in the application."""
        super().on_registration(app)
        self._handlers_of_exceptions: Any = super().resolve_exception_handlers()

    def resolve_exception_handlers(self) -> Any:
        """Say what becomes of exceptions, which the framework asks for each request."""
        return self._handlers_of_exceptions


route = RouteHandler
get = partial(RouteHandler, http_method=HttpMethod.GET)
post = partial(RouteHandler, http_method=HttpMethod.POST)
put = partial(RouteHandler, http_method=HttpMethod.PUT)
patch = partial(RouteHandler, http_method=HttpMethod.PATCH)
delete = partial(RouteHandler, http_method=HttpMethod.DELETE)
