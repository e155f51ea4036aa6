"""The one table from errors to HTTP answers."""

import math
import re
from http import HTTPStatus
from typing import Any, cast

import structlog
from litestar import MediaType, Request, Response
from litestar.exceptions import ClientException as LitestarClientException
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException, ValidationException
from litestar.openapi.datastructures import ResponseSpec

from workbench.domain.budgets.model import BudgetExceededError
from workbench.domain.bus.errors import CallError
from workbench.domain.errors import (
    BadAnswerError,
    ConflictError,
    ExhaustedError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotAcceptableError,
    NotFoundError,
    PreconditionError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
    UnprocessableError,
    UnsupportedError,
    UpstreamError,
    WorkbenchError,
)
from workbench.domain.idempotency.model import InProgressError
from workbench.domain.troubleshooting.failures import ProviderError
from workbench.entrypoints.http.budget_headers import budget_headers
from workbench.entrypoints.http.error_bodies import (
    ErrorBody,
    Fault,
    FaultList,
    body_of,
    envelope,
    is_enveloped,
    plain_body,
)
from workbench.entrypoints.http.strict import FieldFault, is_strict, misfit, parameter_fault

STATUS: dict[type[WorkbenchError], int] = {
    UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    NotFoundError: HTTPStatus.NOT_FOUND,
    PreconditionError: HTTPStatus.PRECONDITION_FAILED,
    GoneError: HTTPStatus.GONE,
    ConflictError: HTTPStatus.CONFLICT,
    UnprocessableError: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnsupportedError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    NotAcceptableError: HTTPStatus.NOT_ACCEPTABLE,
    InvalidError: HTTPStatus.BAD_REQUEST,
    TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ExhaustedError: HTTPStatus.TOO_MANY_REQUESTS,
    BadAnswerError: HTTPStatus.BAD_GATEWAY,
    ProviderError: HTTPStatus.BAD_GATEWAY,
    UpstreamError: HTTPStatus.FAILED_DEPENDENCY,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    WorkbenchError: HTTPStatus.INTERNAL_SERVER_ERROR,
}

RETRY_AFTER_SECONDS = 1
LIMIT_BYTES = "limit_bytes"
"""The option of a route that says how large what it is sent may be, where the body may have more around it."""


_MISSING_PARAMETER = re.compile(r"[Mm]issing required (?P<source>query|header|path) parameter '(?P<name>\w+)'")
_MISSING_FIELD = re.compile(r"missing required field `(\w+)`")

logger = structlog.get_logger(__name__)


def status_of(error: WorkbenchError) -> int:
    """Say the HTTP status of a domain error.

    An assistant's own 4xx and 5xx pass through, but for its 401, 403 and 3xx, which our caller would take
    for ours.
    """
    if isinstance(error, UpstreamError) and error.status is not None:
        own = error.status >= HTTPStatus.BAD_REQUEST
        if own and error.status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return error.status
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def summary_of(kind: type[WorkbenchError]) -> str:
    """Say in a few words what a kind of error means."""
    return (kind.__doc__ or "").partition("\n")[0]


def failing(*kinds: type[WorkbenchError]) -> dict[int, ResponseSpec]:
    """Describe the errors that a route answers with, beside those that many routes share."""
    return {
        STATUS[kind]: ResponseSpec(ErrorBody, generate_examples=False, description=summary_of(kind)) for kind in kinds
    }


def domain_error(request: Request[Any, Any, Any], error: WorkbenchError) -> Response[Any]:
    """Answer a domain error."""
    status = status_of(error)
    body = body_of(request.scope["path"], status, error)
    seconds = _retry_after(error, status)
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    if isinstance(error, BudgetExceededError):
        headers |= budget_headers(error.standings)
    return Response(body, status_code=status, headers=headers, media_type=MediaType.JSON)


def _retry_after(error: WorkbenchError, status: int) -> int | None:
    """Whole seconds after which it is worth coming back, where that is known."""
    if isinstance(error, UpstreamError | ExhaustedError | InProgressError) and error.retry_after_seconds is not None:
        return math.ceil(error.retry_after_seconds)
    return RETRY_AFTER_SECONDS if status == HTTPStatus.SERVICE_UNAVAILABLE else None


# By what went wrong between a caller and a service behind the bus; what is not here is 502.
CALL_STATUS = {
    "flow_stopped": HTTPStatus.CONFLICT,
    "cancelled": HTTPStatus.CONFLICT,
    "too_many_requests": HTTPStatus.TOO_MANY_REQUESTS,
    "rate_limited": HTTPStatus.TOO_MANY_REQUESTS,
    "no_service": HTTPStatus.SERVICE_UNAVAILABLE,
    "bus_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "bus_blocked": HTTPStatus.SERVICE_UNAVAILABLE,
    "bus_full": HTTPStatus.SERVICE_UNAVAILABLE,
    "topic_missing": HTTPStatus.SERVICE_UNAVAILABLE,
    "draining": HTTPStatus.SERVICE_UNAVAILABLE,
    "closed": HTTPStatus.SERVICE_UNAVAILABLE,
    "timeout": HTTPStatus.GATEWAY_TIMEOUT,
    "service_silent": HTTPStatus.GATEWAY_TIMEOUT,
}
CATEGORY_STATUS = {
    "invalid_request": HTTPStatus.UNPROCESSABLE_ENTITY,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
}


def call_error(_: Request[Any, Any, Any], error: CallError) -> Response[Any]:
    """Answer what a service behind the bus did not."""
    status = CALL_STATUS.get(error.code) or CATEGORY_STATUS.get(error.category or "") or HTTPStatus.BAD_GATEWAY
    seconds = error.retry_after_seconds
    if seconds is None and status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        seconds = RETRY_AFTER_SECONDS
    headers = None if seconds is None else {"Retry-After": str(math.ceil(seconds))}
    body = envelope(status, error.code, error.detail, error.extra)
    return Response(body, status_code=status, headers=headers, media_type=MediaType.JSON)


def validation_error(request: Request[Any, Any, Any], error: ValidationException) -> Response[Any]:
    """Answer a request that does not fit the route: 422 with a list of faults, each with its place; or strictly, 400."""
    faults = cast("list[dict[str, Any]]", error.extra) if isinstance(error.extra, list) else []
    return _misfit(request, [_fault(fault) for fault in faults] or [_absent(error.detail)])


def _misfit(request: Request[Any, Any, Any], faults: list[Fault]) -> Response[Any]:
    named = [(".".join(fault.loc[1:]) or fault.loc[0], fault.msg) for fault in faults]
    if is_strict(request.scope["path"]):
        return domain_error(request, misfit([parameter_fault(request.route_handler, *each) for each in named]))
    if is_enveloped(request.scope["path"]):
        error = misfit([FieldFault(field=name, message=message) for name, message in named])
        body = envelope(HTTPStatus.UNPROCESSABLE_ENTITY, error.error_code, error.detail, error.extra)
        return Response(body, status_code=HTTPStatus.UNPROCESSABLE_ENTITY, media_type=MediaType.JSON)
    return Response(FaultList(detail=faults), status_code=HTTPStatus.UNPROCESSABLE_ENTITY, media_type=MediaType.JSON)


def _absent(message: str) -> Fault:
    """Name the place where the framework only says in words that a parameter is missing."""
    missing = _MISSING_PARAMETER.search(message)
    place = [missing["source"], missing["name"]] if missing else ["body"]
    return Fault(type="missing", loc=place, msg=message.partition(" for ")[0])


def _fault(fault: dict[str, Any]) -> Fault:
    """Name the place of a fault as the contract does: body, query or path, then the field."""
    source = fault.get("source") or "body"
    key = str(fault.get("key") or "").removeprefix("data").removeprefix(".")
    place = [str(getattr(source, "value", source)), *(part for part in key.split(".") if part)]
    message = str(fault.get("message"))
    if missing := _MISSING_FIELD.search(message):
        place.append(missing[1])
    # The framework's words for a body that is not there.
    return Fault(type="value_error", loc=place, msg="a JSON body is required" if message == "'data'" else message)


def http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Answer what the framework refuses, in the contract's words."""
    status, detail = error.status_code, error.detail
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        handler = request.route_handler
        limit = handler.opt.get(LIMIT_BYTES) or handler.resolve_request_max_body_size()
        return domain_error(request, TooLargeError(f"body is limited to {limit} bytes", extra={LIMIT_BYTES: limit}))
    if isinstance(error, NotFoundException):
        detail = "Not Found"
    elif isinstance(error, MethodNotAllowedException):
        detail = "Method Not Allowed"
    elif isinstance(error, LitestarClientException) and status == HTTPStatus.BAD_REQUEST:
        # The framework's word for a body that is no JSON.
        return _misfit(request, [Fault(type="json_invalid", loc=["body"], msg=detail)])
    body = plain_body(request.scope["path"], status, detail)
    return Response(body, status_code=status, headers=error.headers, media_type=MediaType.JSON)


def unexpected_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer a defect of ours: logged with its trace, told without it."""
    logger.error("request failed", method=request.method, path=request.url.path, exc_info=error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    body = plain_body(request.scope["path"], status, "Internal Server Error", "internal")
    return Response(body, status_code=status, media_type=MediaType.JSON)


EXCEPTION_HANDLERS: dict[Any, Any] = {
    WorkbenchError: domain_error,
    CallError: call_error,
    ValidationException: validation_error,
    HTTPException: http_error,
    Exception: unexpected_error,
}
