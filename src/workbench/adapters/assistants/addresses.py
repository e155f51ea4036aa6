"""Which network addresses assistant services may be called at: their URLs come from strangers."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import msgspec

Network = IPv4Network | IPv6Network

# Listed here and not asked of `ipaddress`, whose own lists differ between versions of Python.
REFUSED = tuple(
    ip_network(text)
    for text in (
        # IANA's special-purpose addresses: this network, private ones, carrier-grade NAT, loopback, link-local
        # (with the metadata services of most clouds), protocol assignments, documentation, 6to4 relays,
        # benchmarks, multicast, and what is reserved.
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        # Azure's own services for a virtual machine, at a public address.
        "168.63.129.16/32",
        # Teredo, ORCHID and other protocol assignments, documentation, 6to4.
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
)
GLOBAL_IPV6 = ip_network("2000::/3")
"""All other IPv6 is loopback, link-local, unique-local, multicast, or not given out."""
NAT64 = ip_network("64:ff9b::/96")


class AddressPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Where services may be called: anywhere, or in secured mode by TLS at public addresses and allowed networks."""

    secured: bool
    allowed_networks: tuple[Network, ...] = ()

    def allows_scheme(self, scheme: str) -> bool:
        """Whether a URL may begin so. Secured mode shows keys and conversations to TLS alone, in any network."""
        return scheme == "https" or not self.secured

    def allows(self, address: str) -> bool:
        """Whether a connection may be made to the address; what is no address is refused."""
        if not self.secured:
            return True
        try:
            found = ip_address(address)
        except ValueError:
            return False
        forms = {found, _inner(found)}
        if any(form in network for form in forms for network in self.allowed_networks):
            return True
        return _is_public(_inner(found))


ANYWHERE = AddressPolicy(secured=False)


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for where the system or a NAT64 gateway connects to it."""
    if not isinstance(address, IPv6Address):
        return address
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address not in GLOBAL_IPV6:
        return False
    return not any(address in network for network in REFUSED)
