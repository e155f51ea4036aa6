"""Which addresses are called, and that exactly the checked one is."""

from collections.abc import AsyncGenerator, Sequence
from ipaddress import ip_address, ip_network

import httpx
import pytest
from tests.support.assistants import RecordingAssistantService

from workbench.adapters.assistants.network import (
    AddressPolicy,
    CheckedBackend,
    CheckedTransport,
    RefusedAddressError,
    resolve,
)

PUBLIC = ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "2002:0101:0101::1", "64:ff9b::101:101"]
SPECIAL = [
    "127.0.0.1",
    "127.255.0.9",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "2001:0:7f00:1::1",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_called(text: str) -> None:
    assert AddressPolicy(secured=True).permits(ip_address(text))


@pytest.mark.parametrize("text", SPECIAL)
def test_special_addresses_are_refused_where_services_are_secured(text: str) -> None:
    assert not AddressPolicy(secured=True).permits(ip_address(text))
    assert AddressPolicy(secured=False).permits(ip_address(text))


def test_an_allowed_network_is_called_and_no_other() -> None:
    policy = AddressPolicy(secured=True, allowed=[ip_network("10.20.0.0/16"), ip_network("fd12::/64")])
    assert policy.permits(ip_address("10.20.3.4"))
    assert policy.permits(ip_address("fd12::5"))
    assert not policy.permits(ip_address("10.21.0.1"))
    assert not policy.permits(ip_address("::ffff:10.20.3.4"))


class Resolver:
    """Answers one time so, the next time otherwise, as a rebinding name does."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0)


@pytest.fixture
async def target() -> AsyncGenerator[RecordingAssistantService]:
    async with RecordingAssistantService() as running:
        yield running


def client(policy: AddressPolicy, resolver: Resolver | None = None) -> httpx.AsyncClient:
    backend = CheckedBackend(policy, resolver or resolve)
    return httpx.AsyncClient(transport=CheckedTransport(backend, httpx.Limits(), retries=0))


ONLY_LOOPBACK = AddressPolicy(secured=True, allowed=[ip_network("127.0.0.0/8")])


async def test_a_name_is_resolved_once_and_connected_to_what_was_checked(target: RecordingAssistantService) -> None:
    resolver = Resolver(["127.0.0.1"], ["10.0.0.1"])
    async with client(ONLY_LOOPBACK, resolver) as http:
        answer = await http.get(target.url.replace("127.0.0.1", "rebinding.example"))
        assert answer.status_code == 200
        assert resolver.asked == ["rebinding.example"]
    assert target.requests[0].headers["host"].startswith("rebinding.example:")


async def test_one_refused_address_among_others_refuses_the_host(target: RecordingAssistantService) -> None:
    async with client(ONLY_LOOPBACK, Resolver(["127.0.0.1", "10.0.0.1"])) as http:
        with pytest.raises(RefusedAddressError, match=r"mixed\.example is at 10\.0\.0\.1"):
            await http.get(target.url.replace("127.0.0.1", "mixed.example"))
    assert target.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "127.1", "[::ffff:127.0.0.1]"])
async def test_a_loopback_host_is_refused_however_it_is_spelt(target: RecordingAssistantService, host: str) -> None:
    async with client(AddressPolicy(secured=True)) as http:
        with pytest.raises(RefusedAddressError):
            await http.get(target.url.replace("127.0.0.1", host))
    assert target.requests == []


async def test_an_address_that_does_not_answer_gives_way_to_the_next(target: RecordingAssistantService) -> None:
    async with client(ONLY_LOOPBACK, Resolver(["127.9.9.9", "127.0.0.1"])) as http:
        assert (await http.get(target.url.replace("127.0.0.1", "two.example"))).status_code == 200


async def test_a_name_without_an_address_cannot_be_connected_to() -> None:
    async with client(ONLY_LOOPBACK, Resolver([])) as http:
        with pytest.raises(httpx.ConnectError, match=r"nowhere\.example has no address"):
            await http.get("http://nowhere.example/")


async def test_sockets_of_this_machine_are_not_called() -> None:
    with pytest.raises(Exception, match="unix sockets are not called"):
        await CheckedBackend(AddressPolicy(secured=False)).connect_unix_socket("/tmp/x")
