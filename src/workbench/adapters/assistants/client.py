"""Calls to assistant services over HTTP, by section 5 of the contract."""

import asyncio
import ssl
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx
import msgspec

from workbench.adapters.assistants.addresses import ANYWHERE, AddressPolicy
from workbench.adapters.assistants.answers import (
    MAX_ANSWER_BYTES,
    MAX_DATA_BYTES,
    UNENCODED,
    decode,
    read_error,
    read_limited,
    read_out,
)
from workbench.adapters.assistants.breaker import CircuitBreakers
from workbench.adapters.assistants.network import (
    CheckedNetwork,
    CheckedTransport,
    NotCalledError,
    Resolve,
    resolve_name,
)
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


def make_http_client(
    policy: AddressPolicy = ANYWHERE, *, resolve: Resolve = resolve_name, context: ssl.SSLContext | None = None
) -> httpx.AsyncClient:
    """Make a pooled client for calls to where the policy allows. Only the making of a connection is retried."""
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_IDLE_CONNECTIONS)
    network = CheckedNetwork(policy, resolve)
    transport = CheckedTransport(policy, network, limits=limits, retries=CONNECT_RETRIES, context=context)
    return httpx.AsyncClient(
        transport=transport, timeout=TIMEOUT, follow_redirects=False, trust_env=False, headers=UNENCODED
    )


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long an event may keep us waiting for something to happen, and any call from its beginning to its end."""

    event_seconds: float
    call_seconds: float = 60.0


class HttpAssistantClient(AssistantClient):
    """Calls assistant services with httpx."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        breakers: CircuitBreakers,
        keys: ApiKeyStore,
        clock: Clock,
        patience: Patience,
    ) -> None:
        self._http = http
        self._breakers = breakers
        self._keys = keys
        self._clock = clock
        self._patience = patience

    def heard(self, assistant_service_id: str) -> None:
        """Let the next call through."""
        self._breakers.heard(assistant_service_id)

    def circuit(self, assistant_service_id: str) -> CircuitState:
        """Look at the breaker."""
        return self._breakers.state(assistant_service_id)

    async def info(self, service: ServiceAddress, workspace_id: str) -> ServiceInfo:  # noqa: ARG002 - a service elsewhere belongs to one workspace
        """Ask a service who it is, in the current form or the older one."""
        body = await self._call("GET", service, "", limit=MAX_ANSWER_BYTES)
        try:
            return decode(body, ServiceInfo, service.join(""))
        except BadAnswerError:
            return decode(body, LegacyServiceInfo, service.join("")).modern()

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

    async def export_conversation(self, address: AssistantAddress, conversation_id: UUID) -> bytes:
        """Ask for the conversation's data."""
        parts = (address.assistant_id, "conversations", conversation_id, "export-data")
        return await self._call("GET", address.service, *parts, limit=MAX_DATA_BYTES)

    async def restore_conversation(
        self, address: AssistantAddress, conversation_id: UUID, title: str, data: bytes
    ) -> None:
        """Join with data."""
        form = {"conversation": form_text({"id": conversation_id, "title": title})}
        file = {"from_export": ("conversation_data.bin", data, "application/octet-stream")}
        await self._tell("PUT", address, ("conversations", conversation_id), data=form, files=file)

    async def export_assistant(self, address: AssistantAddress) -> bytes:
        """Ask for the assistant's data."""
        return await self._call("GET", address.service, address.assistant_id, "export-data", limit=MAX_DATA_BYTES)

    async def restore_assistant(
        self, address: AssistantAddress, assistant_name: str, template_id: str, data: bytes
    ) -> None:
        """Create with data."""
        form = {"assistant": form_text({"assistant_name": assistant_name, "template_id": template_id})}
        file = {"from_export": ("assistant_data.bin", data, "application/octet-stream")}
        await self._tell("PUT", address, (), data=form, files=file)

    async def delete_conversation(self, address: AssistantAddress, conversation_id: UUID) -> None:
        """Leave; unknown is as good as left."""
        await self._leave(address, ("conversations", conversation_id))

    async def post_event(self, address: AssistantAddress, conversation_id: UUID, envelope: bytes) -> None:
        """Bring an event."""
        path = ("conversations", conversation_id, "events")
        json = {"Content-Type": "application/json"}
        await self._tell("POST", address, path, content=envelope, headers=json, timeout=self._patience.event_seconds)

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
        return decode(body, kind, address.service.join(*parts))

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
        with self._breakers.calling(service):
            try:
                async with (
                    asyncio.timeout(self._patience.call_seconds),
                    self._http.stream(method, url, headers=own, **request) as response,
                ):
                    return await _answer(response, limit)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                reason = f"{type(error).__name__}: {error}"
                # With no connection to spare it is we who are busy.
                kind = NotCalledError if isinstance(error, httpx.PoolTimeout | httpx.InvalidURL) else UpstreamError
                raise kind(f"Failed to connect to assistant at url {url}; {reason}") from error
            except TimeoutError as error:
                reason = f"ReadTimeout: no whole answer within {self._patience.call_seconds:g} seconds"
                raise UpstreamError(f"Failed to connect to assistant at url {url}; {reason}") from error

    async def _identification(self, service: ServiceAddress) -> dict[str, str]:
        # Per request: a key may be reset, and each call belongs to another cause.
        key = await self._key(service) if service.last_key is None else service.last_key
        return {"X-API-Key": quote(key), "X-Request-ID": quote(correlation_id.get())}

    async def _key(self, service: ServiceAddress) -> str:
        try:
            keys = await self._keys.find(service.assistant_service_id)
        except UnavailableError as error:
            # To those who call it, a service whose key cannot be had is one that is away.
            raise UpstreamError(f"Failed to get the key of the assistant service; {error.detail}") from error
        return keys.for_calls(self._clock.now(), current_was_seen=service.knows_its_key) if keys else ""


def _state(conversation_id: UUID, state_id: str) -> tuple[object, ...]:
    return "conversations", conversation_id, "states", quote(state_id, safe="")


async def _answer(response: httpx.Response, limit: int) -> bytes:
    """Read up to `limit` bytes of a good answer. Raises UpstreamError for one that says no, BadAnswerError."""
    if not response.is_success:
        text = await read_error(response)
        raise UpstreamError(f"Assistant responded with error; response: {text}", status=response.status_code)
    if limit:
        return await read_limited(response, limit)
    await read_out(response)
    return b""
