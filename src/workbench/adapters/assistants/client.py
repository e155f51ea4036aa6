"""Calls to assistant services over HTTP, by section 5 of the contract."""

import asyncio
import contextlib
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx
import msgspec

from workbench.adapters.assistants.breaker import CircuitBreakers
from workbench.adapters.assistants.network import AddressPolicy, CheckedBackend, CheckedTransport, RefusedAddressError
from workbench.domain.assistant_services.model import AssistantAddress, CircuitState, ServiceAddress, form_text
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
WHOLE_CALL_SECONDS = 60.0
"""From connecting to the end of the answer, however slowly it drips."""


def make_http_client(policy: AddressPolicy | None = None) -> httpx.AsyncClient:
    """Make a pooled client for calls out, to addresses that the policy permits, without one to any.

    Only the making of a connection is retried.
    """
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_IDLE_CONNECTIONS)
    transport = CheckedTransport(CheckedBackend(policy or AddressPolicy(secured=False)), limits, CONNECT_RETRIES)
    return httpx.AsyncClient(transport=transport, timeout=TIMEOUT, follow_redirects=False, trust_env=False)


class CallPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How services are called: by https alone where they are secured; how long an event may take, in seconds."""

    secured: bool
    event_timeout_seconds: float


class HttpAssistantClient(AssistantClient):
    """Calls assistant services with httpx."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        keys: ApiKeyStore,
        clock: Clock,
        breakers: CircuitBreakers,
        policy: CallPolicy,
    ) -> None:
        self._http = http
        self._keys = keys
        self._clock = clock
        self._breakers = breakers
        self._secured = policy.secured
        self._event_timeout = httpx.Timeout(policy.event_timeout_seconds)

    def heard(self, assistant_service_id: str) -> None:
        """Let the next call through, as a probe."""
        self._breakers.heard(assistant_service_id)

    def circuit(self, assistant_service_id: str) -> CircuitState:
        """Look at the breaker."""
        return self._breakers.state(assistant_service_id)

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
        if self._secured and not url.startswith("https:"):
            raise UpstreamError(f"Failed to connect to assistant at url {url}; only https is called in secured mode")
        own = {**await self._identification(service), **(headers or {})}
        self._breakers.enter(service.assistant_service_id)
        try:
            async with asyncio.timeout(WHOLE_CALL_SECONDS):
                body = await self._exchange(method, url, limit, headers=own, **request)
        except BaseException as error:
            if is_its_fault(error):
                self._breakers.failed(service.assistant_service_id)
            else:
                self._breakers.succeeded(service.assistant_service_id)
            if isinstance(error, TimeoutError):
                raise UpstreamError(f"Failed to connect to assistant at url {url}; ReadTimeout: too slow") from error
            raise
        self._breakers.succeeded(service.assistant_service_id)
        return body

    async def _exchange(self, method: str, url: str, limit: int, **request: Any) -> bytes:
        try:
            async with self._http.stream(method, url, **request) as response:
                if not response.is_success:
                    text = (await _start_of(response, MAX_ERROR_BYTES)).decode("utf-8", "replace")
                    raise UpstreamError(
                        f"Assistant responded with error; response: {text}", status=response.status_code
                    )
                if not limit:
                    await _read_out(response)
                    return b""
                body = await _start_of(response, limit + 1)
        except RefusedAddressError as error:
            raise UpstreamError(f"Failed to connect to assistant at url {url}; {error}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = f"{type(error).__name__}: {error}"
            raise UpstreamError(f"Failed to connect to assistant at url {url}; {reason}") from error
        if len(body) > limit:
            raise BadAnswerError(f"The answer of the assistant at url {url} is larger than {limit} bytes")
        return body

    async def _identification(self, service: ServiceAddress) -> dict[str, str]:
        # Per request: a key may be reset, and each call belongs to another cause.
        key = await self._key(service) if service.last_key is None else service.last_key
        # Compressed, an answer could be small on the wire and huge here.
        identity = {"Accept-Encoding": "identity"}
        return {"X-API-Key": quote(key), "X-Request-ID": quote(correlation_id.get()), **identity}

    async def _key(self, service: ServiceAddress) -> str:
        try:
            keys = await self._keys.find(service.assistant_service_id)
        except UnavailableError as error:
            # To those who call it, a service whose key cannot be had is one that is away.
            raise UpstreamError(f"Failed to get the key of the assistant service; {error.detail}") from error
        return keys.for_calls(self._clock.now(), current_was_seen=service.knows_its_key) if keys else ""


def is_its_fault(error: BaseException) -> bool:
    """Whether the service failed, rather than refused: it could not be reached, took too long, or answered 5xx.

    A cancelled call is one that took longer than its caller could wait.
    """
    if isinstance(error, BadAnswerError):
        return False
    if isinstance(error, UpstreamError):
        return error.status is None or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, TimeoutError | asyncio.CancelledError)


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
