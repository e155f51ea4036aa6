"""Calls to ticket systems: bounded in time and size, never redirected, only to addresses that may be called."""

import asyncio
import ssl
from collections.abc import Collection
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx
import msgspec

from workbench.adapters.assistants.addresses import ANYWHERE, AddressPolicy
from workbench.adapters.assistants.answers import UNENCODED, read_limited, read_out
from workbench.adapters.assistants.network import CheckedNetwork, CheckedTransport, Resolve, resolve_name
from workbench.domain.clock import Clock
from workbench.domain.errors import BadAnswerError, InvalidError, UpstreamError
from workbench.domain.tickets.model import FailureCode, TicketSystemError

CALL_SECONDS = 10.0
CONNECT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 86_400.0
MAX_CONNECTIONS = 64
PUBLIC_BY_TLS = AddressPolicy(secured=True)

_CODES: dict[int, FailureCode] = {
    HTTPStatus.UNAUTHORIZED: "auth_failed",
    HTTPStatus.FORBIDDEN: "auth_failed",
    HTTPStatus.REQUEST_TIMEOUT: "timeout",
    HTTPStatus.TOO_EARLY: "rate_limited",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limited",
}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a ticket system answered."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether it did as it was asked."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def failure(self, now: datetime) -> TicketSystemError:
        """What it means where it did not. After a failure of its own nobody knows what it did before."""
        code: FailureCode = _CODES.get(self.status, "refused")
        if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            code = "server_error"
        elif self.status < HTTPStatus.BAD_REQUEST:
            code = "redirected"
        return TicketSystemError(
            code,
            http_status=self.status,
            is_ambiguous=code == "server_error",
            retry_after_seconds=_seconds(self.headers.get("Retry-After"), now),
        )


class TicketHttp:
    """A pooled client: by TLS to public addresses, and to hosts that are listed wherever they are."""

    def __init__(
        self,
        allowed_hosts: Collection[str],
        context: ssl.SSLContext,
        clock: Clock,
        *,
        resolve: Resolve = resolve_name,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._call_seconds = call_seconds
        self._allowed = frozenset(host.lower() for host in allowed_hosts)
        self._clock = clock
        anywhere = _transport(ANYWHERE, context, resolve)
        self._http = httpx.AsyncClient(
            transport=_transport(PUBLIC_BY_TLS, context, resolve),
            mounts={f"all://{host}": anywhere for host in self._allowed},
            timeout=httpx.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
            headers=UNENCODED,
        )

    async def close(self) -> None:
        """Let go of all connections."""
        await self._http.aclose()

    def now(self) -> datetime:
        """The time that requests are signed at, and waits counted from."""
        return self._clock.now()

    def require_callable(self, url: str) -> None:
        """Raise InvalidError naming `config` for a URL in the clear of a host that is not listed."""
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            parsed = httpx.URL("")
        if not parsed.host or parsed.userinfo:
            raise InvalidError("config: this is no address that can be called", code="url_not_allowed", field="config")
        if parsed.scheme != "https" and parsed.host.lower() not in self._allowed:
            raise InvalidError(
                "config: the ticket system must be called by https", code="url_not_allowed", field="config"
            )

    async def call(self, method: str, url: str, *, limit_bytes: int, **request: Any) -> Answer:
        """Call, and read an answer of at most so many bytes; with 0 it is not looked at. Raises TicketSystemError."""
        try:
            async with asyncio.timeout(self._call_seconds), self._http.stream(method, url, **request) as response:
                body = await _read(response, limit_bytes)
                return Answer(status=response.status_code, headers=response.headers, body=body)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise TicketSystemError("unreachable") from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise TicketSystemError("timeout", is_ambiguous=True) from error
        except (httpx.HTTPError, BadAnswerError) as error:
            code: FailureCode = "bad_answer" if isinstance(error, BadAnswerError) else "unreachable"
            raise TicketSystemError(code, is_ambiguous=True) from error
        except (UpstreamError, httpx.InvalidURL) as error:
            raise TicketSystemError("address_refused") from error


def _transport(policy: AddressPolicy, context: ssl.SSLContext, resolve: Resolve) -> CheckedTransport:
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS // 4)
    return CheckedTransport(policy, CheckedNetwork(policy, resolve), limits=limits, retries=0, context=context)


async def _read(response: httpx.Response, limit_bytes: int) -> bytes:
    if limit_bytes and response.is_success:
        return await read_limited(response, limit_bytes)
    await read_out(response)
    return b""


def _seconds(text: str | None, now: datetime) -> float | None:
    """How long a `Retry-After` says to wait: seconds, or a date. At most a day, for it comes from elsewhere."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return min(float(text), LONGEST_WAIT_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return min(max((moment - now).total_seconds(), 0.0), LONGEST_WAIT_SECONDS)
