"""Bodies of requests about flows: JSON, or 400 and 415. Other routes answer 422 to both, as their contract has it."""

from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import ClientException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from workbench.domain.errors import InvalidError
from workbench.entrypoints.http.errors import domain_error, http_error
from workbench.entrypoints.http.guards import Connection
from workbench.entrypoints.http.requests import require_json

WITH_BODY = frozenset({"PATCH", "POST", "PUT"})


async def json_only(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let requests pass whose body is said to be JSON, or of which nothing is said. Raises UnsupportedError."""
    if isinstance(handler, HTTPRouteHandler) and WITH_BODY & handler.http_methods:
        require_json(connection.headers.get("content-type"))


def not_json(reason: str) -> InvalidError:
    """The error for a body that cannot be read."""
    return InvalidError(reason, code="invalid_json", field="body")


def _unreadable(request: Request[Any, Any, Any], error: ClientException) -> Response[Any]:
    # The framework raises the class itself for this alone; what is derived from it has other meanings.
    if type(error) is ClientException and error.status_code == HTTPStatus.BAD_REQUEST:
        return domain_error(request, not_json(error.detail))
    return http_error(request, error)


UNREADABLE: dict[Any, Any] = {ClientException: _unreadable}
"""How controllers of flows answer a body that is no JSON."""
