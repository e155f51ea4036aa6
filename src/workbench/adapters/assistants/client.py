"""Calls to assistant services over HTTP, by section 5 of the contract."""

import asyncio
import contextlib
from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from workbench.domain.assistant_services.model import AssistantAddress, form_text
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.errors import UnavailableError, UpstreamError
from workbench.domain.identity.ports import ApiKeyStore
from workbench.domain.ids import correlation_id

TIMEOUT = httpx.Timeout(connect=10, read=60, write=5, pool=5)
CONNECT_RETRIES = 3
MAX_CONNECTIONS = 512
MAX_IDLE_CONNECTIONS = 64
MAX_ANSWER_BYTES = 64 * 1024
"""How much of an answer is read here: calls of this client need no more of it than an error's text."""
READ_OUT_SECONDS = 1.0


def make_http_client() -> httpx.AsyncClient:
    """Make the one pooled client for all calls out. Only the making of a connection is retried."""
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_IDLE_CONNECTIONS)
    transport = httpx.AsyncHTTPTransport(retries=CONNECT_RETRIES, limits=limits)
    return httpx.AsyncClient(transport=transport, timeout=TIMEOUT, follow_redirects=False, trust_env=False)


class HttpAssistantClient(AssistantClient):
    """Calls assistant services with httpx."""

    def __init__(self, http: httpx.AsyncClient, event_timeout_seconds: float, keys: ApiKeyStore | None = None) -> None:
        """`keys` has services' keys where addresses do not come with them."""
        self._http = http
        self._keys = keys
        self._event_timeout = httpx.Timeout(event_timeout_seconds)

    async def put_assistant(self, address: AssistantAddress, assistant_name: str, template_id: str) -> None:
        """Create or rename the assistant."""
        form = {"assistant": form_text({"assistant_name": assistant_name, "template_id": template_id})}
        await self._call("PUT", address, (address.assistant_id,), data=form)

    async def put_conversation(self, address: AssistantAddress, conversation_id: UUID, title: str) -> None:
        """Join or retitle."""
        form = {"conversation": form_text({"id": conversation_id, "title": title})}
        await self._call("PUT", address, (address.assistant_id, "conversations", conversation_id), data=form)

    async def delete_conversation(self, address: AssistantAddress, conversation_id: UUID) -> None:
        """Leave; unknown is as good as left."""
        try:
            await self._call("DELETE", address, (address.assistant_id, "conversations", conversation_id))
        except UpstreamError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    async def post_event(self, address: AssistantAddress, conversation_id: UUID, envelope: bytes) -> None:
        """Bring an event."""
        path = (address.assistant_id, "conversations", conversation_id, "events")
        json = {"Content-Type": "application/json"}
        await self._call("POST", address, path, content=envelope, headers=json, timeout=self._event_timeout)

    async def _call(
        self,
        method: str,
        address: AssistantAddress,
        path: tuple[object, ...],
        *,
        headers: dict[str, str] | None = None,
        **request: Any,
    ) -> None:
        url = address.service.join(*path)
        # Per request: a key may be reset, and each call belongs to another cause.
        own = {"X-API-Key": quote(await self._key(address)), "X-Request-ID": quote(correlation_id.get())}
        try:
            async with self._http.stream(method, url, headers={**own, **(headers or {})}, **request) as response:
                if response.is_success:
                    await _read_out(response)
                    return
                text = await _text(response)
                raise UpstreamError(f"Assistant responded with error; response: {text}", status=response.status_code)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = f"{type(error).__name__}: {error}"
            raise UpstreamError(f"Failed to connect to assistant at url {url}; {reason}") from error

    async def _key(self, address: AssistantAddress) -> str:
        if self._keys is None:
            return address.service.api_key
        try:
            return await self._keys.find(address.service.assistant_service_id) or ""
        except UnavailableError as error:
            raise UpstreamError(f"Failed to get the key of the assistant service; {error.detail}") from error


async def _read_out(response: httpx.Response) -> None:
    """Read an answer that says nothing more to us: only then can its connection be used again."""
    with contextlib.suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(READ_OUT_SECONDS):
            await _text(response)


async def _text(response: httpx.Response) -> str:
    """Read what it says of its error, and no more than is worth passing on."""
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= MAX_ANSWER_BYTES:
            break
    return body[:MAX_ANSWER_BYTES].decode("utf-8", "replace")
