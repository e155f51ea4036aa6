"""The gate before routing: correlation id, cross-origin rules, and who is calling.

It stands outside the router since by the contract an unauthenticated caller gets 401 even for a path that
does not exist, and since every answer carries the correlation id.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import msgspec
from dishka import AsyncContainer
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from workbench.domain.errors import UnauthenticatedError, WorkbenchError
from workbench.domain.identity.model import Credentials
from workbench.domain.identity.service import Authenticator
from workbench.domain.ids import correlation_id, new_hex_id
from workbench.domain.texts import without_quoted_nul
from workbench.entrypoints.http.error_bodies import body_of, plain_body
from workbench.entrypoints.http.errors import RETRY_AFTER_SECONDS, status_of
from workbench.entrypoints.http.streams import WIRE

METHODS = b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
PREFLIGHT_SECONDS = b"600"
HOST_PATHS = "/flow-hosts/"

UNREAD = "workbench.unread"
"""Set in a request's scope while its body is being read: who answers meanwhile will not read the rest."""
LINGER_BYTES = 1 << 20
LINGER_SECONDS = 1.0

Headers = dict[bytes, bytes]
RawHeaders = list[tuple[bytes, bytes]]

_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(
        self, app: ASGIApp, container: AsyncContainer, anonymous_paths: Iterable[str], is_ending: Callable[[], bool]
    ) -> None:
        """Let requests to `anonymous_paths` (exact match) through unasked.

        While the process `is_ending`, each answer is the last one on its connection.
        """
        self._app = app
        self._container = container
        self._is_ending = is_ending
        self._anonymous = frozenset(anonymous_paths)
        self._authenticator: Authenticator | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: Headers = dict(scope["headers"])
        _drop_nul(scope)
        request_id = _request_id(headers.get(b"x-request-id", b""))
        correlation_id.set(request_id)
        stamp = [(b"x-request-id", request_id.encode("ascii")), *_cross_origin(headers)]
        if self._is_ending():
            stamp.append((b"connection", b"close"))
        answer = _stamping(scope, receive, send, stamp)
        early = _without_credentials(scope, headers)
        if early is not None:
            await _answer(answer, *early)
            return
        if scope["path"] not in self._anonymous:
            try:
                scope["user"] = await self._principal(headers, scope["path"])
            except WorkbenchError as error:
                status = status_of(error)
                await _answer(answer, status, body_of(scope["path"], status, error), _retry_after(error))
                return
        if scope["path"] != "/" and scope["path"].endswith("/"):
            await _answer(answer, HTTPStatus.TEMPORARY_REDIRECT, None, [(b"location", _without_slash(scope))])
            return
        # Everything that handlers ask for lives as long as the application, so that no scope is opened per request.
        state = scope.setdefault("state", {})
        state["dishka_container"] = self._container
        state[WIRE] = send
        await self._app(scope, receive, answer)

    async def _principal(self, headers: Headers, path: str) -> Any:
        if self._authenticator is None:
            self._authenticator = await self._container.get(Authenticator)
        principal = await self._authenticator.authenticate(credentials_of(headers))
        if principal.role == "host" and not path.startswith(HOST_PATHS):
            # It is in no workspace, so that no other route has anything for it.
            raise UnauthenticatedError("Unauthorized", code="wrong_kind_of_caller")
        return principal


def credentials_of(headers: Headers) -> Credentials:
    """Read what the headers say of the sender; an empty header is as good as none."""
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return Credentials(
        bearer_token=token.strip() or None if scheme.lower() == "bearer" else None,
        service_id=headers.get(b"x-assistant-service-id", b"").decode("latin-1") or None,
        api_key=headers.get(b"x-api-key", b"").decode("latin-1"),
        assistant_id=headers.get(b"x-assistant-id", b"").decode("latin-1") or None,
    )


def _drop_nul(scope: Any) -> None:
    """Leave out of the URL what no database keeps, as it is left out of bodies."""
    scope["path"] = scope["path"].replace("\x00", "")
    scope["raw_path"] = without_quoted_nul(scope.get("raw_path") or b"")
    scope["query_string"] = without_quoted_nul(scope["query_string"])


def _request_id(sent: bytes) -> str:
    """The caller's correlation id where it is a UUID of any spelling, otherwise a new one."""
    text = sent.decode("latin-1")
    return text if _UUID.fullmatch(text) else new_hex_id()


def _cross_origin(headers: Headers) -> RawHeaders:
    """Any origin may read our answers; credentials are never taken from cookies, so that gives nothing away."""
    origin = headers.get(b"origin")
    if origin is None:
        return []
    allowed = [(b"access-control-allow-credentials", b"true"), (b"access-control-expose-headers", b"*")]
    if b"cookie" in headers or b"access-control-request-method" in headers:
        return [(b"access-control-allow-origin", origin), (b"vary", b"Origin"), *allowed]
    return [(b"access-control-allow-origin", b"*"), *allowed]


def _without_credentials(scope: Any, headers: Headers) -> tuple[int, Any, RawHeaders] | None:
    """Answer OPTIONS, which asks for no credentials: a preflight with what is allowed, any other with 405."""
    if scope["method"] != "OPTIONS":
        return None
    if b"origin" in headers and b"access-control-request-method" in headers:
        asked = headers.get(b"access-control-request-headers", b"")
        allowed = [(b"access-control-allow-methods", METHODS), (b"access-control-max-age", PREFLIGHT_SECONDS)]
        return HTTPStatus.OK, "OK", [*allowed, (b"access-control-allow-headers", asked)] if asked else allowed
    status = HTTPStatus.METHOD_NOT_ALLOWED
    return status, plain_body(scope["path"], status, "Method Not Allowed"), []


def _without_slash(scope: Any) -> bytes:
    path = (scope.get("raw_path") or scope["path"].encode()).split(b"?")[0].rstrip(b"/")
    query: bytes = scope.get("query_string", b"")
    # A path that begins with two slashes would name another host.
    return b"/" + path.lstrip(b"/") + (b"?" + query if query else b"")


def _retry_after(error: WorkbenchError) -> RawHeaders:
    busy = status_of(error) == HTTPStatus.SERVICE_UNAVAILABLE
    return [(b"retry-after", str(RETRY_AFTER_SECONDS).encode())] if busy else []


def _stamping(scope: Any, receive: Receive, send: Send, headers: RawHeaders) -> Send:
    """Put the headers on whatever answer is sent."""

    async def stamped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *headers]
            if scope.get(UNREAD) and not await _ends_soon(receive):
                message["headers"].append((b"connection", b"close"))
        await send(message)

    return stamped


async def _ends_soon(receive: Receive) -> bool:
    """Read on a little: who is cut off while sending may never see the answer."""
    read = 0
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while read < LINGER_BYTES:
                message: Any = await receive()
                if not message.get("more_body", False):
                    return True
                read += len(message["body"])
    except TimeoutError:
        pass
    return False


async def _answer(send: Callable[..., Any], status: int, content: Any, headers: RawHeaders | None = None) -> None:
    """Answer without the application."""
    plain = isinstance(content, str)
    body = b"" if content is None else content.encode() if plain else msgspec.json.encode(content)
    kind = b"text/plain; charset=utf-8" if plain else b"application/json"
    own = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": int(status), "headers": [*own, *(headers or [])]})
    await send({"type": "http.response.body", "body": body, "more_body": False})
