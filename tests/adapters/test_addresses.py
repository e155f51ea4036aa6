"""Where assistant services may be called, address by address."""

from ipaddress import ip_network

import pytest

from workbench.adapters.assistants.addresses import ANYWHERE, AddressPolicy

SECURED = AddressPolicy(secured=True)

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:830::200e",
    "2001:200::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]
REFUSED = [
    # This host, unspecified.
    "0.0.0.0",
    "0.1.2.3",
    "::",
    # Loopback.
    "127.0.0.1",
    "127.255.255.254",
    "::1",
    # Private.
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.255.255",
    # Carrier-grade NAT, with the metadata service of one cloud.
    "100.64.0.1",
    "100.127.255.255",
    "100.100.100.200",
    # Link-local, with the metadata services of the others.
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "168.63.129.16",
    "192.0.0.192",
    # Unique-local and site-local.
    "fc00::1",
    "fdff:ffff::1",
    "fec0::1",
    # Multicast, broadcast, reserved, documentation, benchmarks.
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "198.18.0.1",
    "198.19.255.255",
    "192.88.99.1",
    "ff02::1",
    "2001:db8::1",
    "3fff::1",
    "2001:2::1",
    "100::1",
    "5f00::1",
    # IPv4 in IPv6: mapped, compatible, translated, 6to4, Teredo, NAT64 of both kinds.
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::127.0.0.1",
    "::ffff:0:10.0.0.1",
    "2002:7f00:1::1",
    "2002:a00:1::",
    "2002:808:808::1",
    "2001:0:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::a00:1",
    "64:ff9b:1:ffff::8.8.8.8",
    # No address at all.
    "",
    "localhost",
    "0x7f.1",
    "2130706433",
    "127.1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_called(address: str) -> None:
    assert SECURED.allows(address)


@pytest.mark.parametrize("address", REFUSED)
def test_other_addresses_are_not_called_in_secured_mode(address: str) -> None:
    assert not SECURED.allows(address)


@pytest.mark.parametrize("address", [*PUBLIC, *REFUSED])
def test_local_mode_calls_anything(address: str) -> None:
    assert ANYWHERE.allows(address)


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
        ("10.1.0.0/16", "::ffff:10.1.2.3", "::ffff:10.2.0.0"),
        ("10.1.0.0/16", "64:ff9b::10.1.2.3", "64:ff9b::10.2.0.0"),
        ("127.0.0.1/32", "127.0.0.1", "127.0.0.2"),
        ("127.0.0.1/32", "127.0.0.1", "::1"),
        ("fd12:3456::/32", "fd12:3456::1", "fd12:3457::1"),
        ("fd12:3456::/32", "8.8.8.8", "10.0.0.1"),
        ("2002:7f00:1::/48", "2002:7f00:1::1", "2002:7f00:2::1"),
    ],
)
def test_a_network_that_is_allowed_is_called_and_no_other(network: str, inside: str, outside: str) -> None:
    policy = AddressPolicy(secured=True, allowed_networks=(ip_network(network),))
    assert policy.allows(inside)
    assert not policy.allows(outside)


def test_secured_mode_speaks_https_alone_whatever_is_allowed() -> None:
    everywhere = AddressPolicy(secured=True, allowed_networks=(ip_network("0.0.0.0/0"), ip_network("::/0")))
    assert everywhere.allows_scheme("https")
    assert not everywhere.allows_scheme("http")
    assert not everywhere.allows_scheme("HTTPS+UNIX")
    assert ANYWHERE.allows_scheme("http")
