"""Connections to addresses that somebody else chose: resolved once, checked, and made to exactly what was checked.

Registered URLs are untrusted. A name that is checked and then resolved again could lead elsewhere the second time (DNS
rebinding), so the check stands where the connection is made. TLS still verifies the name.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import Any, cast

import httpcore
import httpx

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a host."""

NAT64 = IPv6Network("64:ff9b::/96")
NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")
IPV4_COMPATIBLE = IPv6Network("::/96")
LOW_32_BITS = 0xFFFFFFFF


class RefusedAddressError(Exception):
    """The address lies in a network that is not to be called."""

    def __init__(self, host: str, address: Address) -> None:
        """Say which host, and where it leads."""
        super().__init__(
            f"{host} is at {address}, which is not a public address; "
            "WORKBENCH__SERVICE__ALLOWED_NETWORKS can allow its network"
        )


class AddressPolicy:
    """Which addresses may be called: in local mode all, otherwise the public ones and those of allowed networks."""

    def __init__(self, *, secured: bool, allowed: Iterable[Network] = ()) -> None:
        self.secured = secured
        self._allowed = tuple(allowed)

    def permits(self, address: Address) -> bool:
        """Whether to connect. An IPv6 form that carries an IPv4 address is judged by that one as well."""
        if not self.secured or any(address in network for network in self._allowed):
            return True
        if address in NAT64:
            return self.permits(_low_bits(address))
        return _is_public(address) and all(self.permits(inner) for inner in _carried_by(address))


def _is_public(address: Address) -> bool:
    site_local = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not (address.is_multicast or address.is_reserved or site_local)


def _low_bits(address: Address) -> IPv4Address:
    return IPv4Address(int(address) & LOW_32_BITS)


def _carried_by(address: Address) -> list[IPv4Address]:
    if isinstance(address, IPv4Address):
        return []
    carried = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in (NAT64_LOCAL, IPV4_COMPATIBLE)):
        carried.append(_low_bits(address))
    return [inner for inner in carried if inner is not None]


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system, off the event loop."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Opens TCP connections to checked addresses, and none of any other kind."""

    def __init__(self, policy: AddressPolicy, resolver: Resolver = resolve) -> None:
        self._policy = policy
        self._resolver = resolver
        self._backend = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers. Raises RefusedAddressError where any is not permitted."""
        failure: httpcore.ConnectError | None = None
        for address in await self._checked(host, port, timeout):
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")

    async def _checked(self, host: str, port: int, seconds: float | None) -> list[str]:
        try:
            async with asyncio.timeout(seconds):
                found = dict.fromkeys(await self._resolver(host, port))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} was not resolved in time") from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        for text in found:
            address = ip_address(text.partition("%")[0])
            if not self._policy.permits(address):
                raise RefusedAddressError(host, address)
        return list(found)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - httpcore's
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - httpcore's
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: nothing that is called here is a socket of this machine."""
        raise httpcore.ConnectError(f"unix sockets are not called: {path}")

    async def sleep(self, seconds: float) -> None:
        """Wait between two tries."""
        await asyncio.sleep(seconds)


class CheckedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport on connections that are checked."""

    def __init__(self, backend: CheckedBackend, limits: httpx.Limits, retries: int, verify: Any = True) -> None:
        """`retries` counts tries of making a connection; nothing else is repeated."""
        super().__init__(verify=verify, trust_env=False)
        # httpx offers no way to give its pool a network backend, so the pool is made here.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(verify=verify, trust_env=False),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            retries=retries,
            network_backend=backend,
        )
