"""Requests that are answered once and may be sent again, each under the key that its `Idempotency-Key` names.

It stands between what the framework reads of a request and what the route does: who may not do it, asks too often or sends
what does not fit is refused before, and nothing is looked up for a request without a key.
"""

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from hashlib import sha256
from typing import Annotated, Any, TypeVar, cast

from dishka import AsyncContainer
from litestar import MediaType, Request, Response
from litestar.params import HeaderParameter
from litestar.serialization import encode_json

from workbench.domain.idempotency.model import HEADER, Answer, Attempt, require_key
from workbench.domain.idempotency.service import IdempotencyService
from workbench.entrypoints.http.requests import WorkbenchRequest
from workbench.entrypoints.http.uploads import boundary_of

H = TypeVar("H", bound=Callable[..., Awaitable[Any]])

ARGUMENT = "idempotency_key"
Key = Annotated[
    str | None,
    HeaderParameter(
        name=HEADER,
        description="Makes sending the request again safe: for 24 hours the same key and the same request get the same "
        "answer, and nothing is done twice.",
        schema_extra={"minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
    ),
]


def repeatable(handler: H) -> H:
    """Have a route answer as it did before where the same request comes again under the same key."""

    @wraps(handler)
    async def answered(*parts: Any, idempotency_key: str | None = None, **arguments: Any) -> Any:
        if idempotency_key is None:
            return await handler(*parts, **arguments)
        return await _once(arguments["request"], idempotency_key, lambda: handler(*parts, **arguments))

    # The framework reads from here what the route takes, and describes it.
    taken = inspect.signature(handler)
    more = inspect.Parameter(ARGUMENT, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Key)
    answered.__signature__ = taken.replace(parameters=[*taken.parameters.values(), more])  # type: ignore[attr-defined]
    answered.__annotations__ = {**handler.__annotations__, ARGUMENT: Key}
    return cast("H", answered)


async def _once(request: WorkbenchRequest, key: str, act: Callable[[], Awaitable[Any]]) -> Response[bytes | None]:
    """Raises InvalidError for what is no key, ConflictError where it is another request's."""
    attempt = Attempt(
        method=request.method,
        route=request.scope["path_template"],
        key=require_key(key),
        request_hash=await _hash(request),
    )
    container: AsyncContainer = request.scope["state"]["dishka_container"]
    service = await container.get(IdempotencyService)
    usual: int = request.route_handler.status_code  # type: ignore[attr-defined]

    async def acting() -> Answer:
        return _answer(await act(), usual)

    answer = await service.once(request.user, attempt, acting)
    # The first answer is made of what is kept as well, so that no later one differs from it.
    body = answer.body.encode() or None
    return Response(body, status_code=answer.status, headers=answer.headers, media_type=MediaType.JSON)


async def _hash(request: WorkbenchRequest) -> str:
    """What tells one request from another: where it is sent, as what, and what it says."""
    digest = sha256()
    for part in (request.scope["path"].encode(), request.scope["query_string"], _kind(request).encode()):
        digest.update(part + b"\n")
    digest.update(_unbounded(await request.text(), boundary_of(request)))
    return digest.hexdigest()


def _unbounded(body: bytes, boundary: str | None) -> bytes:
    """A body without what stands between the parts of a form, and in none of them: it is made anew at each sending."""
    return body if boundary is None else (b"\r\n" + body).replace(b"\r\n--" + boundary.encode(), b"\r\n--")


def _kind(request: Request[Any, Any, Any]) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _answer(result: Any, usual: int) -> Answer:
    if not isinstance(result, Response):
        return Answer(status=usual, body=_written(result))
    made = cast("Response[Any]", result)
    headers = {name: str(value) for name, value in made.headers.items()}
    return Answer(status=made.status_code or usual, headers=headers, body=_written(made.content))


def _written(content: Any) -> str:
    return "" if content is None else encode_json(content).decode()
