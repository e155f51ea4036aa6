"""The local issuer: one key pair for an installation, however many processes start, and nobody else's to read."""

import asyncio
import json
import stat
import subprocess
import sys
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey
from tests.support.clocks import SettableClock

from workbench.adapters.tokens.local import LocalIssuer
from workbench.adapters.tokens.verifier import LEEWAY_SECONDS, JoseTokenVerifier
from workbench.domain.errors import InvalidError, UnauthenticatedError, UnavailableError
from workbench.domain.identity.model import Principal
from workbench.domain.users.model import SERVICE_USER_ID

PROCESSES = 4
PROGRAM = """
import sys
from pathlib import Path
from workbench.adapters.tokens.local import LocalIssuer
print("ready", flush=True)
sys.stdin.readline()
print(LocalIssuer(Path(sys.argv[1])).sign("ann", "Ann", "default", 60))
"""


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


def key_file(data_root: Path) -> Path:
    return data_root / "keys" / "local-issuer.json"


def put_key(data_root: Path, content: bytes, mode: int = 0o600) -> Path:
    path = key_file(data_root)
    path.parent.mkdir(mode=0o700)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def parts(token: str) -> list[dict[str, Any]]:
    return [json.loads(urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


async def test_a_signed_token_lets_its_user_in(tmp_path: Path, clock: SettableClock) -> None:
    local = LocalIssuer(tmp_path, clock)
    token = local.sign("ann", "Ann", "team", 60)
    expires = int(clock.now().timestamp()) + 60 + LEEWAY_SECONDS
    assert await JoseTokenVerifier([local.issuer()], clock).verify(token) == Principal(
        workspace_id="team", role="user", id="ann", name="Ann", expires=expires
    )


async def test_a_token_can_make_its_user_an_admin(tmp_path: Path, clock: SettableClock) -> None:
    local = LocalIssuer(tmp_path, clock)
    verifier = JoseTokenVerifier([local.issuer()], clock)
    assert (await verifier.verify(local.sign("ann", "Ann", "team", 60, admin=True))).is_admin
    assert not (await verifier.verify(local.sign("ann", "Ann", "team", 60))).is_admin


def test_a_token_says_what_others_need_to_verify_it(tmp_path: Path, clock: SettableClock) -> None:
    local = LocalIssuer(tmp_path, clock)
    (header, claims), (_, others) = (parts(local.sign("ann", "Ann", "team", 60)) for _ in range(2))
    now = int(clock.now().timestamp())
    assert header == {"typ": "JWT", "alg": "ES256", "kid": json.loads(key_file(tmp_path).read_bytes())["kid"]}
    assert claims.pop("jti") != others.pop("jti")
    assert claims == others
    assert claims == {
        "iss": "workbench-local",
        "aud": "workbench",
        "sub": "ann",
        "name": "Ann",
        "workspace": "team",
        "iat": now,
        "exp": now + 60,
    }


async def test_a_token_ends_when_it_was_said_to(tmp_path: Path, clock: SettableClock) -> None:
    local = LocalIssuer(tmp_path, clock)
    verifier, token = JoseTokenVerifier([local.issuer()], clock), local.sign("ann", "Ann", "default", 60)
    clock.move(seconds=59)
    await verifier.verify(token)
    clock.move(seconds=1 + LEEWAY_SECONDS)
    with pytest.raises(UnauthenticatedError, match="Expired token"):
        await verifier.verify(token)


async def test_the_claim_of_the_workspace_can_be_another(tmp_path: Path, clock: SettableClock) -> None:
    local = LocalIssuer(tmp_path, clock)
    token = local.sign("ann", "Ann", "team", 60)
    verifier = JoseTokenVerifier([local.issuer(workspace_claim="department")], clock)
    assert (await verifier.verify(token)).workspace_id == "default"


@pytest.mark.parametrize("user_id", ["", "x" * 256, "a\nb", SERVICE_USER_ID])
def test_a_token_that_would_be_refused_is_not_signed(tmp_path: Path, user_id: str) -> None:
    with pytest.raises(InvalidError) as caught:
        LocalIssuer(tmp_path).sign(user_id, "Ann", "default", 60)
    assert caught.value.field == "user_id"


async def test_the_key_lasts_and_every_installation_has_its_own(tmp_path: Path, clock: SettableClock) -> None:
    token = LocalIssuer(tmp_path / "ours", clock).sign("ann", "Ann", "default", 60)
    await JoseTokenVerifier([LocalIssuer(tmp_path / "ours", clock).issuer()], clock).verify(token)
    with pytest.raises(UnauthenticatedError, match="Invalid token"):
        await JoseTokenVerifier([LocalIssuer(tmp_path / "theirs", clock).issuer()], clock).verify(token)


def test_the_key_is_its_owner_s_alone(tmp_path: Path) -> None:
    LocalIssuer(tmp_path)
    path = key_file(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    LocalIssuer(tmp_path)
    key_file(tmp_path).chmod(mode)
    with pytest.raises(PermissionError, match="chmod 600"):
        LocalIssuer(tmp_path)
    key_file(tmp_path).chmod(0o600)
    LocalIssuer(tmp_path)


def key_json(key: ECKey | RSAKey, *, private: bool = True) -> bytes:
    return json.dumps(key.as_dict(private=private)).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{}",
        b"[]",
        b"null",
        b"5",
        b'"x"',
        b"\xff",
        b'{"kty": "EC", "crv": "P-256", "x": 1, "y": 2}',
        b'{"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"}',
        key_json(ECKey.generate_key("P-256")),
        key_json(ECKey.generate_key("P-256", {"kid": "public"}), private=False),
        key_json(ECKey.generate_key("P-384", {"kid": "curve"})),
        key_json(RSAKey.generate_key(2048, {"kid": "kind"})),
    ],
)
def test_a_file_that_holds_no_key_pair_of_ours_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = put_key(tmp_path, content)
    with pytest.raises(UnavailableError, match="does not hold") as caught:
        LocalIssuer(tmp_path)
    assert caught.value.error_code == "no_local_key"
    assert path.read_bytes() == content


async def test_processes_that_start_at_once_sign_with_one_key(tmp_path: Path, clock: SettableClock) -> None:
    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def race() -> list[str]:
        started = [start() for _ in range(PROCESSES)]
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return [process.communicate()[0].strip() for process in started]

    tokens = await asyncio.to_thread(race)
    assert len({parts(token)[0]["kid"] for token in tokens}) == 1
    assert len(set(tokens)) == PROCESSES
    verifier = JoseTokenVerifier([LocalIssuer(tmp_path).issuer()], clock)
    for token in tokens:
        assert (await verifier.verify(token)).id == "ann"
    assert [entry.name for entry in key_file(tmp_path).parent.iterdir()] == ["local-issuer.json"]
