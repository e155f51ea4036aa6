"""Keys of issuers: how they are fetched, kept while the issuer is away, and what is not taken for a key."""

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from structlog.testing import capture_logs
from tests.support.clocks import Seconds
from tests.support.jwks_server import KeyServer, jwk_set, key_server
from tests.support.servers import ReservedPort, eventually

from workbench.adapters.tokens.jwks import (
    FIRST_FETCH_PAUSE_SECONDS,
    FRESH_SECONDS,
    MAX_SET_BYTES,
    REFRESH_PAUSE_SECONDS,
    FixedKeys,
    JwksCache,
    SharedSecret,
    from_file,
    from_url,
)
from workbench.adapters.tokens.key_sets import read_public_keys
from workbench.domain.errors import UnavailableError


def ec_key(kid: str | None) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid} if kid else None)


ONE, TWO = ec_key("one"), ec_key("two")
AT_ONCE_SECONDS = 1.0


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
async def server() -> AsyncGenerator[KeyServer]:
    async with key_server(ONE) as running:
        yield running


@pytest.fixture
def keys(http: httpx.AsyncClient, server: KeyServer, seconds: Seconds) -> JwksCache:
    return JwksCache("entra", from_url(http, server.url), seconds)


def kid_of(key: Key | None) -> str | None:
    return key.kid if key is not None else None


async def failure_of(keys: JwksCache) -> UnavailableError:
    with pytest.raises(UnavailableError) as caught:
        await keys.find("one")
    return caught.value


async def test_keys_are_fetched_once_and_found_by_id(keys: JwksCache, server: KeyServer) -> None:
    assert [kid_of(await keys.find("one")) for _ in range(3)] == ["one"] * 3
    assert server.requests == 1


async def test_nothing_is_fetched_before_it_is_needed(keys: JwksCache, server: KeyServer) -> None:
    await asyncio.sleep(0.02)
    assert server.requests == 0


async def test_a_new_key_is_found_and_a_withdrawn_one_is_not(
    keys: JwksCache, server: KeyServer, seconds: Seconds
) -> None:
    await keys.find("one")
    server.publish(TWO)
    seconds.now += REFRESH_PAUSE_SECONDS
    assert kid_of(await keys.find("two")) == "two"
    assert await keys.find("one") is None


async def test_fresh_keys_are_left_alone(keys: JwksCache, server: KeyServer, seconds: Seconds) -> None:
    for _ in range(10):
        await keys.find("one")
        seconds.now += FRESH_SECONDS / 10
    await asyncio.sleep(0.02)
    assert server.requests == 1


async def test_many_callers_share_the_first_fetch(keys: JwksCache, server: KeyServer) -> None:
    server.held = True
    callers = [asyncio.create_task(keys.find("one")) for _ in range(100)]
    await eventually(lambda: server.requests)
    server.held = False
    assert [kid_of(key) for key in await asyncio.gather(*callers)] == ["one"] * 100
    assert server.requests == 1


async def test_a_storm_of_made_up_ids_costs_the_issuer_one_fetch_a_pause(
    keys: JwksCache, server: KeyServer, seconds: Seconds
) -> None:
    await keys.find("one")
    for storm in (1, 2, 3):
        seconds.now += REFRESH_PAUSE_SECONDS
        found = await asyncio.gather(*(keys.find(f"made-up-{number}") for number in range(100)))
        assert found == [None] * 100
        assert await keys.find("made-up") is None
        assert server.requests == 1 + storm


async def test_a_token_that_names_no_key_is_no_reason_to_fetch(
    keys: JwksCache, server: KeyServer, seconds: Seconds
) -> None:
    server.publish(ONE, TWO)
    assert await keys.find(None) is None
    seconds.now += REFRESH_PAUSE_SECONDS
    assert await keys.find(None) is None
    assert server.requests == 1


async def test_a_caller_who_goes_away_does_not_end_the_fetch_for_others(keys: JwksCache, server: KeyServer) -> None:
    server.held = True
    first, second = (asyncio.create_task(keys.find("one")) for _ in range(2))
    await eventually(lambda: server.requests)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    server.held = False
    assert kid_of(await second) == "one"
    assert server.requests == 1


async def test_old_keys_are_refreshed_behind_the_caller_s_back(
    keys: JwksCache, server: KeyServer, seconds: Seconds
) -> None:
    await keys.find("one")
    server.publish(ONE, TWO)
    server.held = True
    seconds.now += FRESH_SECONDS + 1
    async with asyncio.timeout(AT_ONCE_SECONDS):
        assert [kid_of(await keys.find("one")) for _ in range(3)] == ["one"] * 3
    await eventually(lambda: server.requests == 2)
    assert kid_of(await keys.find("one")) == "one"
    server.held = False
    assert kid_of(await keys.find("two")) == "two"
    assert server.requests == 2


async def test_old_keys_serve_on_while_the_issuer_is_down(http: httpx.AsyncClient, seconds: Seconds) -> None:
    async with key_server(ONE) as server:
        keys = JwksCache("entra", from_url(http, server.url), seconds)
        await keys.find("one")
    with capture_logs() as logs:
        for _ in range(3):
            seconds.now += 3600
            assert kid_of(await keys.find("one")) == "one"
            assert await keys.find("two") is None
    assert [(entry["event"], entry["issuer"]) for entry in logs] == [("signing keys not refreshed", "entra")]


async def test_keys_that_never_came_are_unavailable_and_said_so_once(http: httpx.AsyncClient, seconds: Seconds) -> None:
    port = ReservedPort()
    keys = JwksCache("entra", from_url(http, port.url.replace("//", "//user:hidden@")), seconds)
    errors: list[UnavailableError] = []
    with capture_logs() as logs:
        for _ in range(3):
            errors.append(await failure_of(keys))
            seconds.now += REFRESH_PAUSE_SECONDS
    assert {error.detail for error in errors} == {"The signing keys of entra cannot be had: ConnectError"}
    assert {error.error_code for error in errors} == {"no_keys"}
    assert [(entry["log_level"], entry["reason"]) for entry in logs] == [("warning", "ConnectError")]


async def test_the_first_keys_are_asked_for_again_soon_but_not_by_every_caller(
    keys: JwksCache, server: KeyServer, seconds: Seconds
) -> None:
    server.status = 500
    assert (await failure_of(keys)).detail.endswith("the issuer answered 500")
    server.status = 200
    await failure_of(keys)
    assert server.requests == 1
    seconds.now += FIRST_FETCH_PAUSE_SECONDS
    with capture_logs() as logs:
        assert kid_of(await keys.find("one")) == "one"
    assert [entry["event"] for entry in logs] == ["signing keys refreshed again"]


async def test_a_redirect_is_not_followed(keys: JwksCache, server: KeyServer) -> None:
    server.status, server.headers = 302, {"location": server.url + "/other"}
    assert (await failure_of(keys)).detail.endswith("the issuer answered 302")
    assert server.requests == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b" " * MAX_SET_BYTES + b"{}", "larger than 1048576 bytes"),
        (b"<html>", "JSON is malformed"),
        (b"", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"keys": [1]}', "Expected `object`"),
        (b'{"keys": []}', "no usable key"),
        (b'{"keys": [{"kty": "RSA"}, {"kty": 1}, {}]}', "no usable key"),
        (b'{"keys": [{"a": ' + b"[" * 5000, "RecursionError"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no usable key"),
    ],
)
async def test_an_answer_that_is_no_key_set_is_a_failure(
    keys: JwksCache, server: KeyServer, body: bytes, reason: str
) -> None:
    server.body = body
    assert reason in (await failure_of(keys)).detail


async def test_nothing_is_unpacked_since_a_small_answer_could_become_a_large_one(
    keys: JwksCache, server: KeyServer
) -> None:
    server.body, server.headers = gzip.compress(server.body), {"content-encoding": "gzip"}
    await failure_of(keys)
    assert server.last_request is not None
    assert server.last_request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("fault", ["held", "dripping"])
async def test_an_issuer_is_not_waited_for_without_end(http: httpx.AsyncClient, server: KeyServer, fault: str) -> None:
    setattr(server, fault, True)
    keys = JwksCache("entra", from_url(http, server.url, timeout_seconds=0.1))
    async with asyncio.timeout(AT_ONCE_SECONDS):
        assert (await failure_of(keys)).detail.endswith("the issuer did not answer in time")


async def test_an_address_that_is_none_is_a_failure_like_any_other(http: httpx.AsyncClient) -> None:
    for address in ("", "http://\0"):
        await failure_of(JwksCache("entra", from_url(http, address)))


async def test_a_closed_client_is_a_failure_like_any_other(server: KeyServer) -> None:
    client = httpx.AsyncClient()
    await client.aclose()
    await failure_of(JwksCache("entra", from_url(client, server.url)))


async def test_a_file_of_keys_is_read_again_by_the_same_rules(tmp_path: Path, seconds: Seconds) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(jwk_set([ONE]))
    keys = JwksCache("company", from_file(path), seconds)
    assert kid_of(await keys.find("one")) == "one"
    path.write_bytes(jwk_set([TWO]))
    assert await keys.find("two") is None
    seconds.now += REFRESH_PAUSE_SECONDS
    assert kid_of(await keys.find("two")) == "two"
    path.unlink()
    seconds.now += FRESH_SECONDS + 1
    assert kid_of(await keys.find("two")) == "two"
    assert await keys.find("one") is None


async def test_a_file_that_is_away_or_too_large_is_told_without_its_path(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    detail = (await failure_of(JwksCache("company", from_file(path)))).detail
    assert detail == "The signing keys of company cannot be had: No such file or directory"
    path.write_bytes(b" " * (MAX_SET_BYTES + 1))
    assert "larger than" in (await failure_of(JwksCache("company", from_file(path)))).detail


@pytest.mark.parametrize("key", [RSAKey.generate_key(2048), ec_key(None), OKPKey.generate_key("Ed25519")])
async def test_a_pem_file_has_one_key_that_serves_whatever_id_a_token_names(
    tmp_path: Path, key: RSAKey | ECKey | OKPKey
) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(key.as_pem(private=False))
    keys = JwksCache("company", from_file(path))
    for kid in (None, "any"):
        found = await keys.find(kid)
        assert found is not None
        assert found.thumbprint() == key.thumbprint()


async def test_a_certificate_is_as_good_as_its_key(tmp_path: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "company")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
        .sign(private, SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    assert await JwksCache("company", from_file(path)).find("any") is not None


@pytest.mark.filterwarnings(f"ignore::{SecurityWarning.__module__}.{SecurityWarning.__name__}")
def test_what_must_not_verify_is_left_out_and_costs_the_others_nothing() -> None:
    entries: list[dict[str, Any]] = [
        {"kty": "AKP", "kid": "unknown kind", "alg": "ML-DSA-44", "pub": "AA"},
        dict(OctKey.import_key(b"s" * 32, {"kid": "symmetric"}).as_dict()),
        dict(ec_key("for encryption").as_dict(private=False, use="enc")),
        dict(ec_key("for deriving").as_dict(private=False, key_ops=["deriveKey"])),
        dict(RSAKey.generate_key(1024, {"kid": "weak"}).as_dict(private=False)),
        {"kty": "EC", "kid": "broken", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "kid": "unknown curve", "crv": "P-999", "x": "AA", "y": "AA"},
        {"kty": "EC", "kid": 7, "crv": "P-256"},
        dict(ONE.as_dict(private=False, use="sig", key_ops=["verify"])),
    ]
    keys = read_public_keys(json.dumps({"keys": entries}).encode())
    assert [entry["kid"] for entry in entries if keys.find(str(entry["kid"]))] == ["one"]


def test_keys_without_ids_go_by_their_thumbprints() -> None:
    first, second = ec_key(None), ec_key(None)
    keys = read_public_keys(jwk_set([first, second, ONE]))
    assert [keys.find(key.thumbprint()) is not None for key in (first, second)] == [True, True]
    assert keys.find("another") is None
    assert keys.find(None) is None


def test_of_two_keys_with_one_id_the_first_counts() -> None:
    first, second = ec_key("same"), ec_key("same")
    found = read_public_keys(jwk_set([first, second])).find("same")
    assert found is not None
    assert found.thumbprint() == first.thumbprint()


async def test_fixed_keys_are_found_by_id_and_a_lone_one_without() -> None:
    assert await FixedKeys(ONE, TWO).find("two") is TWO
    assert await FixedKeys(ONE, TWO).find(None) is None
    assert await FixedKeys(ONE).find(None) is ONE
    assert await FixedKeys(ONE).find("two") is None


async def test_a_shared_secret_has_at_least_32_bytes() -> None:
    key = OctKey.import_key(b"s" * 32)
    assert await SharedSecret(key).find("whatever") is key
    with pytest.raises(ValueError, match="at least 32 bytes"):
        SharedSecret(OctKey.import_key(b"s" * 31))
