"""Calls out over real connections: names are resolved once, checked, and verified by name."""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from tests.support.raw_server import certificate_for, raw_server, says
from tests.support.servers import ReservedPort

from workbench.adapters.assistants.addresses import ANYWHERE, AddressPolicy
from workbench.adapters.assistants.client import make_http_client
from workbench.adapters.assistants.network import SETTING, CheckedNetwork, RefusedAddressError

SECURED = AddressPolicy(secured=True)
LOOPBACK_ALLOWED = AddressPolicy(secured=True, allowed_networks=(ip_network("127.0.0.1/32"),))
HELLO = says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
NAME = "assistants.example"


class Names:
    """A resolver that gives the next answer each time it is asked, and the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "0x7f.1", "2130706433", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0"],
)
async def test_this_machine_is_not_called_by_any_of_its_names(host: str) -> None:
    async with make_http_client(SECURED) as http:
        with pytest.raises(RefusedAddressError) as refusal:
            await http.get(f"https://{host}:9/")
    assert SETTING in refusal.value.detail
    assert host.strip("[]") in refusal.value.detail


async def test_a_dot_at_the_end_of_a_name_makes_no_difference() -> None:
    async with make_http_client(SECURED, resolve=Names(["127.0.0.1"])) as http:
        with pytest.raises(RefusedAddressError):
            await http.get("https://localhost./")


async def test_local_mode_calls_this_machine_by_name_and_in_the_clear() -> None:
    async with raw_server(HELLO) as server, make_http_client(ANYWHERE) as http:
        assert (await http.get(f"http://localhost:{server.port}/")).text == "hello"


async def test_one_address_that_is_not_allowed_refuses_the_host_without_another_try() -> None:
    names = Names(["8.8.8.8", "10.0.0.1"])
    async with make_http_client(SECURED, resolve=names) as http:
        with pytest.raises(RefusedAddressError) as refusal:
            await http.get(f"https://{NAME}/")
    assert names.asked == [(NAME, 443)]
    assert "10.0.0.1" not in refusal.value.detail


async def test_a_name_that_changes_its_mind_is_asked_once(tmp_path: Path) -> None:
    shown, trusted = certificate_for(NAME, tmp_path)
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    async with (
        raw_server(HELLO, shown) as server,
        make_http_client(LOOPBACK_ALLOWED, resolve=names, context=trusted) as http,
    ):
        assert (await http.get(f"https://{NAME}:{server.port}/")).text == "hello"
        assert names.asked == [(NAME, server.port)]
        with pytest.raises(RefusedAddressError):
            await http.get(f"https://{NAME}:{server.port}/")


async def test_tls_and_requests_go_by_the_name(tmp_path: Path) -> None:
    shown, trusted = certificate_for(NAME, tmp_path)
    asked_for: list[str | None] = []
    shown.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    async with (
        raw_server(HELLO, shown) as server,
        make_http_client(LOOPBACK_ALLOWED, resolve=Names(["127.0.0.1"]), context=trusted) as http,
    ):
        await http.get(f"https://{NAME}:{server.port}/path")
        head = server.heads[0].split("\r\n")
    assert asked_for == [NAME]
    assert head[0] == "GET /path HTTP/1.1"
    assert f"Host: {NAME}:{server.port}" in head
    assert "Accept-Encoding: identity" in head


@pytest.mark.parametrize("url_host", ["other.example", "127.0.0.1"])
async def test_a_certificate_for_another_name_is_refused(tmp_path: Path, url_host: str) -> None:
    shown, trusted = certificate_for(NAME, tmp_path)
    async with (
        raw_server(HELLO, shown) as server,
        make_http_client(LOOPBACK_ALLOWED, resolve=Names(["127.0.0.1"]), context=trusted) as http,
    ):
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await http.get(f"https://{url_host}:{server.port}/")
        assert server.heads == []


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    shown, _ = certificate_for(NAME, tmp_path)
    async with (
        raw_server(HELLO, shown) as server,
        make_http_client(LOOPBACK_ALLOWED, resolve=Names(["127.0.0.1"])) as http,
    ):
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await http.get(f"https://{NAME}:{server.port}/")


async def test_secured_mode_says_nothing_in_the_clear() -> None:
    async with raw_server(HELLO) as server, make_http_client(LOOPBACK_ALLOWED) as http:
        with pytest.raises(RefusedAddressError, match="must be https"):
            await http.get(f"http://127.0.0.1:{server.port}/")
        assert server.heads == []


async def test_an_address_that_does_not_answer_gives_way_to_the_next() -> None:
    async with raw_server(HELLO) as server, make_http_client(resolve=Names(["127.0.0.2", "127.0.0.1"])) as http:
        assert (await http.get(f"http://{NAME}:{server.port}/")).text == "hello"


async def test_only_the_making_of_a_connection_is_repeated() -> None:
    port = ReservedPort()
    names = Names(["127.0.0.1"])
    async with make_http_client(resolve=names) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(port.url)
        assert len(names.asked) == 1 + 3
        async with raw_server(says()) as server:
            with pytest.raises(httpx.RemoteProtocolError):
                await http.get(f"http://127.0.0.1:{server.port}/")
            assert len(server.heads) == 1
    port.release()


@pytest.mark.parametrize("host", ["no-such-name.invalid", f"{'x' * 64}.example"])
async def test_a_name_without_an_address_is_a_failed_connection(host: str) -> None:
    async def nowhere(_host: str, _port: int) -> Sequence[str]:
        return []

    async with make_http_client() as http, make_http_client(resolve=nowhere) as other:
        for client in (http, other):
            with pytest.raises(httpx.ConnectError):
                await client.get(f"http://{host}/")


async def test_connecting_takes_no_longer_than_it_may() -> None:
    async def slow(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    async with make_http_client(resolve=slow) as http:
        with pytest.raises(httpx.ConnectTimeout, match="no connection within"):
            await http.get(f"http://{NAME}/", timeout=0.05)


async def test_sockets_of_this_machine_are_refused() -> None:
    with pytest.raises(RefusedAddressError):
        await CheckedNetwork(ANYWHERE).connect_unix_socket("/run/docker.sock")
