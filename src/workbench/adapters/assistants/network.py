"""Connections to assistant services: a name is resolved once, checked, and connected to at a checked address.

The check stands below TLS and HTTP. So certificates are verified and requests are addressed by name, while a name
that resolves to something else a moment later (DNS rebinding) changes nothing.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import cast

import httpcore
import httpx
import structlog

from workbench.adapters.assistants.addresses import AddressPolicy
from workbench.domain.errors import UpstreamError

SETTING = "WORKBENCH__SERVICE__ALLOWED_NETWORKS"
ADDRESS_SECONDS = 2.0
"""How long an address may keep us waiting while there is another one to try."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
SocketOptions = Iterable[
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]  # as httpcore has them
]

logger = structlog.get_logger(__name__)


class NotCalledError(UpstreamError):
    """An assistant service was not called, which says nothing of the service"""


class RefusedAddressError(NotCalledError):
    """An assistant service is where we do not call"""

    code = "address_refused"


async def resolve_name(host: str, port: int) -> Sequence[str]:
    """Ask the system for a host's addresses, off the loop; each is named once. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to hosts all of whose addresses are allowed, and to nothing else."""

    def __init__(self, policy: AddressPolicy, resolve: Resolve = resolve_name) -> None:
        self._policy = policy
        self._resolve = resolve
        # Type checkers see only what httpcore puts in its place where anyio is missing.
        self._network = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: SocketOptions | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to one of the host's addresses. Raises RefusedAddressError, httpcore.ConnectError, ConnectTimeout."""
        try:
            async with asyncio.timeout(timeout):
                *others, last = await self._addresses(host, port)
                for address in others:
                    try:
                        return await self._network.connect_tcp(
                            address, port, ADDRESS_SECONDS, local_address, socket_options
                        )
                    except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                        logger.debug("address did not answer", host=host, address=address, reason=str(error))
                return await self._network.connect_tcp(last, port, None, local_address, socket_options)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"no connection within {timeout:g} seconds") from error

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(str(error)) from error
        if not addresses:
            raise httpcore.ConnectError(f"{host} has no address")
        refused = [address for address in addresses if not self._policy.allows(address)]
        if refused:
            # The caller is not told the address: it would let a stranger ask for the names of our network.
            logger.warning("assistant service's address refused", host=host, addresses=refused)
            raise RefusedAddressError(
                f"The assistant service's host {host} is at an address that is not called. "
                f"If it belongs to your own network, allow the network in {SETTING}"
            )
        return addresses

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the signature is httpcore's
        socket_options: SocketOptions | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: no service is reached by a file of this machine."""
        raise RefusedAddressError(f"The assistant service's socket {path} is not called")

    async def sleep(self, seconds: float) -> None:
        """Wait between two tries to connect."""
        await asyncio.sleep(seconds)


class CheckedTransport(httpx.AsyncHTTPTransport):
    """Sends requests over a checked network, and only those that the policy lets out."""

    def __init__(
        self,
        policy: AddressPolicy,
        network: CheckedNetwork,
        *,
        limits: httpx.Limits,
        retries: int,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """`context` says which certificates are trusted, by default the usual ones and `SSL_CERT_FILE`."""
        context = context or httpx.create_ssl_context()
        super().__init__(verify=context, limits=limits, retries=retries)
        self._policy = policy
        # httpx has no parameter for the network below its transport.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            retries=retries,
            network_backend=network,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send. Raises RefusedAddressError for a request in the clear that must not be."""
        if not self._policy.allows_scheme(request.url.scheme):
            raise RefusedAddressError(
                f"The assistant service's url {request.url} is not called: in secured mode it must be https"
            )
        return await super().handle_async_request(request)
