"""Routes: Litestar's handlers, which do once what the framework's own do anew for each request."""

# Litestar names its connections and responses without their type arguments.
# pyright: reportUnknownMemberType=false

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from dishka.integrations.litestar import inject  # pyright: ignore[reportUnknownVariableType]
from litestar import HttpMethod, Litestar, MediaType, Request, Response
from litestar.connection import ASGIConnection
from litestar.handlers import HTTPRouteHandler
from litestar.serialization import encode_json, get_serializer
from litestar.types import ASGIApp, Receive, Scope, Send

_WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
_JSON = (b"content-type", MediaType.JSON.encode())


class RouteHandler(HTTPRouteHandler):
    """A handler of one or several methods. Its guards must not change it: they are given the handler itself."""

    __slots__ = ("_answers_json", "_handlers_of_exceptions", "_serializer")

    def __call__(self, fn: Callable[..., Any]) -> HTTPRouteHandler:
        """Take the function, and weave in what the container gives it: once, however many applications there are."""
        return super().__call__(inject(fn))

    async def authorize_connection(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Ask each guard. The framework would copy the handler for each, which takes an eighth of a post's time."""
        for guard in cast("list[Any]", self.resolve_guards()):
            await guard(connection, self)

    def on_registration(self, app: Litestar) -> None:
        """Learn where it stands in the application."""
        super().on_registration(app)
        self._handlers_of_exceptions: Any = super().resolve_exception_handlers()
        self._serializer = get_serializer(self.resolve_type_encoders())
        adds = self.resolve_response_headers() or self.resolve_response_cookies()
        changes = any(layer.after_request for layer in cast("list[Any]", self.ownership_layers))
        is_json = self.media_type == MediaType.JSON and self.status_code not in _WITHOUT_BODY
        self._answers_json = is_json and not adds and not changes

    def resolve_exception_handlers(self) -> Any:
        """Say what becomes of exceptions, which the framework asks for each request."""
        return self._handlers_of_exceptions

    async def to_response(self, app: Litestar, data: Any, request: Request[Any, Any, Any]) -> Any:
        """Answer with data as JSON, which needs two headers; whatever else is returned is left to the framework.

        The framework's own response keeps headers in a mapping that can be changed, and asks it for each whether it is
        there already; that, and what it calls on the way, takes a twentieth of a post's time.
        """
        if not self._answers_json or isinstance(data, Response | str | bytes):
            return await super().to_response(app, data, request)
        return _answering(self.status_code, encode_json(data, self._serializer))


def _answering(status: int, body: bytes) -> ASGIApp:
    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [_JSON, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return answer


route = RouteHandler
get = partial(RouteHandler, http_method=HttpMethod.GET)
post = partial(RouteHandler, http_method=HttpMethod.POST)
put = partial(RouteHandler, http_method=HttpMethod.PUT)
patch = partial(RouteHandler, http_method=HttpMethod.PATCH)
delete = partial(RouteHandler, http_method=HttpMethod.DELETE)
