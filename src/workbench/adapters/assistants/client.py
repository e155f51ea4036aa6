"""Calls to assistant services over HTTP, by section 5 of the contract."""

import asyncio
import contextlib
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx
import msgspec

from workbench.domain.assistant_services.model import AssistantAddress, ServiceAddress, form_text
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.assistant_services.shapes import (
    Config,
    LegacyServiceInfo,
    ServiceInfo,
    State,
    StateDescription,
    StateList,
)
from workbench.domain.clock import Clock
from workbench.domain.errors import BadAnswerError, UnavailableError, UpstreamError
from workbench.domain.identity.ports import ApiKeyStore
from workbench.domain.ids import correlation_id

T = TypeVar("T")

TIMEOUT = httpx.Timeout(connect=10, read=60, write=5, pool=5)
CONNECT_RETRIES = 3
MAX_CONNECTIONS = 512
MAX_IDLE_CONNECTIONS = 64
MAX_ANSWER_BYTES = 10 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024
"""How much of an error's text is passed on."""
READ_OUT_SECONDS = 1.0


def make_http_client() -> httpx.AsyncClient:
    """Make the one pooled client for all calls out. Only the making of a connection is retried."""
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_IDLE_CONNECTIONS)
    transport = httpx.AsyncHTTPTransport(retries=CONNECT_RETRIES, limits=limits)
    return httpx.AsyncClient(transport=transport, timeout=TIMEOUT, follow_redirects=False, trust_env=False)


class HttpAssistantClient(AssistantClient):
    """Calls assistant services with httpx."""

    def __init__(self, http: httpx.AsyncClient, keys: ApiKeyStore, clock: Clock, event_timeout_seconds: float) -> None:
        self._http = http
        self._keys = keys
        self._clock = clock
        self._event_timeout = httpx.Timeout(event_timeout_seconds)

    async def info(self, service: ServiceAddress) -> ServiceInfo:
        """Ask a service who it is, in the current form or the older one."""
        body = await self._call("GET", service, "", limit=MAX_ANSWER_BYTES)
        try:
            return msgspec.json.decode(body, type=ServiceInfo)
        except msgspec.MsgspecError:
            return _decoded(body, LegacyServiceInfo, service.join("")).modern()

    async def config(self, address: AssistantAddress) -> Config:
        """Ask for the configuration."""
        return await self._ask("GET", address, ("config",), Config)

    async def set_config(self, address: AssistantAddress, config: dict[str, Any]) -> Config:
        """Set the configuration."""
        return await self._ask("PUT", address, ("config",), Config, json={"config": config})

    async def states(self, address: AssistantAddress, conversation_id: UUID) -> list[StateDescription]:
        """Ask for the states."""
        return (await self._ask("GET", address, ("conversations", conversation_id, "states"), StateList)).states

    async def state(self, address: AssistantAddress, conversation_id: UUID, state_id: str) -> State:
        """Ask for one state."""
        return await self._ask("GET", address, _state(conversation_id, state_id), State)

    async def set_state(
        self, address: AssistantAddress, conversation_id: UUID, state_id: str, data: dict[str, Any]
    ) -> State:
        """Set one state."""
        return await self._ask("PUT", address, _state(conversation_id, state_id), State, json={"data": data})

    async def delete_assistant(self, address: AssistantAddress) -> None:
        """Forget; unknown is as good as forgotten."""
        await self._leave(address, ())

    async def put_assistant(self, address: AssistantAddress, assistant_name: str, template_id: str) -> None:
        """Create or rename the assistant."""
        form = {"assistant": form_text({"assistant_name": assistant_name, "template_id": template_id})}
        await self._tell("PUT", address, (), data=form)

    async def put_conversation(self, address: AssistantAddress, conversation_id: UUID, title: str) -> None:
        """Join or retitle."""
        form = {"conversation": form_text({"id": conversation_id, "title": title})}
        await self._tell("PUT", address, ("conversations", conversation_id), data=form)

    async def delete_conversation(self, address: AssistantAddress, conversation_id: UUID) -> None:
        """Leave; unknown is as good as left."""
        await self._leave(address, ("conversations", conversation_id))

    async def post_event(self, address: AssistantAddress, conversation_id: UUID, envelope: bytes) -> None:
        """Bring an event."""
        path = ("conversations", conversation_id, "events")
        json = {"Content-Type": "application/json"}
        await self._tell("POST", address, path, content=envelope, headers=json, timeout=self._event_timeout)

    async def _leave(self, address: AssistantAddress, path: tuple[object, ...]) -> None:
        try:
            await self._tell("DELETE", address, path)
        except UpstreamError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    async def _tell(self, method: str, address: AssistantAddress, path: tuple[object, ...], **request: Any) -> None:
        """Make a call whose answer says nothing more than that it arrived."""
        await self._call(method, address.service, address.assistant_id, *path, limit=0, **request)

    async def _ask(
        self, method: str, address: AssistantAddress, path: tuple[object, ...], kind: type[T], **request: Any
    ) -> T:
        """Make a call for its answer."""
        parts = (address.assistant_id, *path)
        body = await self._call(method, address.service, *parts, limit=MAX_ANSWER_BYTES, **request)
        return _decoded(body, kind, address.service.join(*parts))

    async def _call(
        self,
        method: str,
        service: ServiceAddress,
        *path: object,
        limit: int,
        headers: dict[str, str] | None = None,
        **request: Any,
    ) -> bytes:
        """Call, and read up to `limit` bytes of the answer; with 0 it is read only so that the connection lives on."""
        url = service.join(*path)
        own = {**await self._identification(service), **(headers or {})}
        try:
            async with self._http.stream(method, url, headers=own, **request) as response:
                if not response.is_success:
                    text = (await _start_of(response, MAX_ERROR_BYTES)).decode("utf-8", "replace")
                    raise UpstreamError(
                        f"Assistant responded with error; response: {text}", status=response.status_code
                    )
                if not limit:
                    await _read_out(response)
                    return b""
                body = await _start_of(response, limit + 1)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = f"{type(error).__name__}: {error}"
            raise UpstreamError(f"Failed to connect to assistant at url {url}; {reason}") from error
        if len(body) > limit:
            raise BadAnswerError(f"The answer of the assistant at url {url} is larger than {limit} bytes")
        return body

    async def _identification(self, service: ServiceAddress) -> dict[str, str]:
        # Per request: a key may be reset, and each call belongs to another cause.
        try:
            keys = await self._keys.find(service.assistant_service_id)
        except UnavailableError as error:
            # To those who call it, a service whose key cannot be had is one that is away.
            raise UpstreamError(f"Failed to get the key of the assistant service; {error.detail}") from error
        key = keys.for_calls(self._clock.now(), current_was_seen=service.knows_its_key) if keys else ""
        return {"X-API-Key": quote(key), "X-Request-ID": quote(correlation_id.get())}


def _state(conversation_id: UUID, state_id: str) -> tuple[object, ...]:
    return "conversations", conversation_id, "states", quote(state_id, safe="")


def _decoded(body: bytes, kind: type[T], url: str) -> T:
    """Read an answer as JSON of that shape; what it holds beyond it is dropped. Raises BadAnswerError."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise BadAnswerError(f"The answer of the assistant at url {url} is not as expected: {error}") from error


async def _read_out(response: httpx.Response) -> None:
    """Read an answer that says nothing more to us: only then can its connection be used again."""
    with contextlib.suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(READ_OUT_SECONDS):
            await _start_of(response, MAX_ERROR_BYTES)


async def _start_of(response: httpx.Response, limit: int) -> bytes:
    """Read up to so many bytes."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= limit:
            break
    return bytes(body[:limit])
