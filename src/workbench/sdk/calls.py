"""Calls to the workbench in somebody's name: headers, repetition after a failure, and typed answers."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, Self, TypeVar

import httpx
import msgspec

from workbench.sdk.errors import CallError, UnreachableError

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
TIMEOUT = httpx.Timeout(60.0, connect=5.0, write=10.0)
# The workbench is busy or about to restart: the same call may well succeed a moment later.
WORTH_REPEATING = frozenset({429, 500, 502, 503, 504})


class _Failure(msgspec.Struct):
    detail: Any
    code: Any = ""


class Calls:
    """One caller of the workbench; several may share the connections."""

    def __init__(self, http: httpx.AsyncClient, headers: Mapping[str, str], patience_seconds: float) -> None:
        """Send these headers with every call, and repeat one that fails for about that long."""
        self.http = http
        self.headers = dict(headers)
        self._patience_seconds = patience_seconds

    @classmethod
    def to(cls, url: str, headers: Mapping[str, str], patience_seconds: float) -> Self:
        """Open a pool of connections to the workbench."""
        return cls(httpx.AsyncClient(base_url=url, timeout=TIMEOUT), headers, patience_seconds)

    def with_headers(self, headers: Mapping[str, str]) -> "Calls":
        """Make a caller that adds headers to ours, on the same connections."""
        return Calls(self.http, {**self.headers, **headers}, self._patience_seconds)

    async def get(self, path: str, answer: type[T], query: Mapping[str, Any] | None = None) -> T:
        """Ask for something."""
        return _decoded(await self._request("GET", path, query=query), answer)

    async def send(self, method: str, path: str, body: Any, answer: type[T], *, once: bool = False) -> T:
        """Send something and read the answer. What may not arrive twice is sent `once`."""
        return _decoded(await self._request(method, path, body=body, once=once), answer)

    async def tell(self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None) -> None:
        """Send something whose answer has nothing to say."""
        await self._request(method, path, body=body, query=query)

    async def upload(
        self, path: str, files: list[tuple[str, tuple[str, bytes, str]]], form: Mapping[str, str], answer: type[T]
    ) -> T:
        """Send files, once, and read the answer."""
        try:
            response = await self.http.put(path, files=files, data=dict(form), headers=self.headers)
        except httpx.TransportError as error:
            raise UnreachableError(f"PUT {path}: {type(error).__name__} {error}") from error
        return _decoded(_checked(response), answer)

    async def chunks(self, path: str, query: Mapping[str, Any] | None = None) -> AsyncGenerator[bytes]:
        """Read bytes as they come."""
        try:
            async with self.http.stream("GET", path, params=query, headers=self.headers) as response:
                if not response.is_success:
                    await response.aread()
                    raise failure_of(response)
                async for chunk in response.aiter_bytes():
                    yield chunk
        except httpx.TransportError as error:
            raise UnreachableError(f"GET {path}: {type(error).__name__} {error}") from error

    async def _request(
        self, method: str, path: str, *, body: Any = None, query: Mapping[str, Any] | None = None, once: bool = False
    ) -> httpx.Response:
        for pause_seconds in pauses(0 if once else self._patience_seconds):
            with suppress(httpx.TransportError):
                response = await self._attempt(method, path, body, query)
                if response.status_code not in WORTH_REPEATING:
                    return _checked(response)
            await asyncio.sleep(pause_seconds)
        try:
            return _checked(await self._attempt(method, path, body, query))
        except httpx.TransportError as error:
            raise UnreachableError(f"{method} {path}: {type(error).__name__} {error}") from error

    async def _attempt(self, method: str, path: str, body: Any, query: Mapping[str, Any] | None) -> httpx.Response:
        content = None if body is None else msgspec.json.encode(body)
        headers = self.headers if content is None else {**self.headers, "Content-Type": "application/json"}
        return await self.http.request(method, path, content=content, params=query, headers=headers)


@contextmanager
def taking_missing_for_an_answer() -> Generator[None]:
    """Go on behind the block when there is no such thing."""
    try:
        yield
    except CallError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise


def pauses(patience_seconds: float) -> Iterator[float]:
    """Give ever longer pauses, until so much time has been spent with them."""
    pause_seconds, spent_seconds = FIRST_PAUSE_SECONDS, 0.0
    while spent_seconds < patience_seconds:
        yield pause_seconds
        spent_seconds += pause_seconds
        pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)


def failure_of(response: httpx.Response) -> CallError:
    """Put an answer that is none into words."""
    detail, code = response.text, ""
    with suppress(msgspec.DecodeError):
        failure = msgspec.json.decode(response.content, type=_Failure)
        detail, code = str(failure.detail), str(failure.code)
    return CallError(response.status_code, detail, f"{response.request.method} {response.request.url.path}", code)


def _checked(response: httpx.Response) -> httpx.Response:
    if not response.is_success:
        raise failure_of(response)
    return response


def _decoded(response: httpx.Response, answer: type[T]) -> T:
    try:
        return msgspec.json.decode(response.content, type=answer)
    except msgspec.DecodeError as error:
        request = f"{response.request.method} {response.request.url.path}"
        raise CallError(HTTPStatus.BAD_GATEWAY, f"an answer that does not fit: {error}", request) from error
