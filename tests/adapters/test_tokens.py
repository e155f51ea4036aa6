"""User tokens: who gets in, who does not and what they are told, and how long a proven token is remembered."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from tests.support.clocks import SettableClock

from workbench.adapters.tokens.issuers import Issuer, KeySource
from workbench.adapters.tokens.jwks import FixedKeys, SharedSecret
from workbench.adapters.tokens.verifier import (
    LEEWAY_SECONDS,
    MAX_TOKEN_LENGTH,
    REMEMBERED_SECONDS,
    REMEMBERED_TOKENS,
    JoseTokenVerifier,
)
from workbench.domain.errors import ForbiddenError, UnauthenticatedError, UnavailableError
from workbench.domain.identity.model import Principal
from workbench.domain.identity.ports import TokenVerifier
from workbench.domain.users.model import MAX_NAME_LENGTH, SERVICE_USER_ID

APP = "22cb77c3-ca98-4a26-b4db-ac4dcecba690"
TENANT, PERSON = "11111111-tenant", "22222222-person"
ISSUER = "https://login.example/v2.0"
EXPIRED, INVALID = "Expired token", "Invalid token"
WRONG_APP = "Invalid app. App ID must match in client and server."

RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
OTHER_RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
SECRET = OctKey.import_key(b"s" * 32)
SIGNING_ALGORITHMS = ["none", "RS256", "PS256", "ES256", "Ed25519", "HS256"]


class CountedKeys:
    """Keys that say how often they were asked for: not at all on the way of a remembered token."""

    def __init__(self, *keys: Key) -> None:
        self._keys = FixedKeys(*keys)
        self.asked: list[str | None] = []

    async def find(self, kid: str | None) -> Key | None:
        self.asked.append(kid)
        return await self._keys.find(kid)


class NoKeys:
    """An issuer's keys that cannot be had."""

    async def find(self, kid: str | None) -> Key | None:
        raise UnavailableError("away", code="no_keys")


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


Verifying = Callable[..., JoseTokenVerifier]


@pytest.fixture
def verifying(clock: SettableClock) -> Verifying:
    """Make a verifier of one issuer with some rules changed."""

    def make(keys: KeySource | None = None, **rules: Any) -> JoseTokenVerifier:
        chosen: dict[str, Any] = {"issuer": ISSUER, "app_id": APP, **rules}
        return JoseTokenVerifier([Issuer(name="entra", keys=keys or FixedKeys(RSA), **chosen)], clock)

    return make


def claims_of(clock: SettableClock, **changes: Any) -> dict[str, Any]:
    """The claims of a good ID token; a change to None takes a claim out."""
    now = int(clock.now().timestamp())
    good = {"iss": ISSUER, "aud": APP, "tid": TENANT, "oid": PERSON, "sub": "subject", "name": "Ann", "exp": now + 3600}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed(payload: object, key: Key = RSA, **header: Any) -> str:
    """A token with this payload, JSON or raw bytes, signed with RS256 unless the header says otherwise."""
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    registry = jws.JWSRegistry(algorithms=SIGNING_ALGORITHMS, strict_check_header=False)
    registry.max_header_length = registry.max_payload_length = 1 << 20
    return jws.serialize_compact({"alg": "RS256", "kid": "rsa", **header}, content, key, registry=registry)


def by_hand(header: bytes, payload: bytes, signature: bytes = b"") -> str:
    """A token that no library would make."""
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (header, payload, signature))


async def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        await verifier.verify(token)
    return caught.value.detail


@pytest.mark.parametrize(
    ("role", "roles", "expected"),
    [
        ("Usage.Admin", ["reader", "Usage.Admin"], True),
        ("Usage.Admin", ["reader"], False),
        ("Usage.Admin", None, False),
        ("Usage.Admin", "Usage.Admin", False),
        ("Usage.Admin", {"Usage.Admin": True}, False),
        ("Usage.Admin", [["Usage.Admin"], 1, None], False),
        (None, ["Usage.Admin", None, ""], False),
    ],
)
async def test_an_admin_is_who_has_the_role_that_the_issuer_says(
    verifying: Verifying, clock: SettableClock, role: str | None, roles: Any, expected: bool
) -> None:
    principal = await verifying(admin_role=role).verify(signed(claims_of(clock, roles=roles)))
    assert principal.is_admin == expected


def test_an_empty_admin_role_is_refused() -> None:
    with pytest.raises(ValueError, match="admin role"):
        Issuer(name="entra", keys=FixedKeys(RSA), admin_role="")


async def test_a_good_token_says_who_its_bearer_is(verifying: Verifying, clock: SettableClock) -> None:
    claims = claims_of(clock)
    principal = await verifying().verify(signed(claims))
    ends = claims["exp"] + LEEWAY_SECONDS
    assert principal == Principal(
        workspace_id="default", role="user", id=f"{TENANT}.{PERSON}", name="Ann", expires=ends
    )
    assert not principal.is_over(datetime.fromtimestamp(ends - 1, UTC))
    assert principal.is_over(datetime.fromtimestamp(ends, UTC))


@pytest.mark.parametrize(
    ("changes", "user_id"),
    [
        ({"tid": None}, "subject"),
        ({"oid": None}, "subject"),
        ({"tid": "", "oid": ""}, "subject"),
        ({"oid": ["person"]}, "subject"),
        ({"sub": None}, f"{TENANT}.{PERSON}"),
    ],
)
async def test_the_user_is_tenant_and_person_or_else_the_subject(
    verifying: Verifying, clock: SettableClock, changes: dict[str, Any], user_id: str
) -> None:
    assert (await verifying().verify(signed(claims_of(clock, **changes)))).id == user_id


@pytest.mark.parametrize("subject", [None, "", 7, {"a": 1}, "x" * 256, "a\0b", "a\nb", "\ud800", SERVICE_USER_ID])
async def test_a_token_that_names_nobody_is_invalid(
    verifying: Verifying, clock: SettableClock, subject: object
) -> None:
    assert await refusal(verifying(), signed(claims_of(clock, tid=None, sub=subject))) == INVALID


async def test_text_that_no_database_takes_is_invalid(verifying: Verifying, clock: SettableClock) -> None:
    for changes in ({"name": "half \ud800 a pair"}, {"tid": "\udfff"}):
        assert await refusal(verifying(), signed(claims_of(clock, **changes))) == INVALID


async def test_the_prefix_of_an_issuer_keeps_its_users_apart(verifying: Verifying, clock: SettableClock) -> None:
    verifier = verifying(user_prefix="b:")
    assert (await verifier.verify(signed(claims_of(clock)))).id == f"b:{TENANT}.{PERSON}"
    assert (await verifier.verify(signed(claims_of(clock, tid=None, sub=SERVICE_USER_ID)))).id == f"b:{SERVICE_USER_ID}"
    assert await refusal(verifier, signed(claims_of(clock, tid=None, sub=""))) == INVALID


@pytest.mark.parametrize(
    ("name", "shown"), [(None, ""), ("", ""), (5, ""), ("A\0nn 👩‍🚀", "Ann 👩‍🚀"), ("n" * 5000, "n" * MAX_NAME_LENGTH)]
)
async def test_the_name_is_what_the_token_says_or_empty(
    verifying: Verifying, clock: SettableClock, name: object, shown: str
) -> None:
    assert (await verifying().verify(signed(claims_of(clock, name=name)))).name == shown


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({}, None),
        ({"aud": None, "appid": APP}, None),
        ({"aud": None, "azp": APP}, None),
        ({"appid": ""}, None),
        ({"aud": [APP]}, None),
        ({"aud": [APP, "other"], "azp": APP}, None),
        ({"appid": "other", "azp": APP}, None),
        ({"aud": [APP, "other"]}, WRONG_APP),
        ({"appid": "other"}, WRONG_APP),
        ({"aud": None}, WRONG_APP),
        ({"aud": None, "azp": "other"}, WRONG_APP),
        ({"aud": "other"}, INVALID),
        ({"aud": "other", "appid": APP}, INVALID),
        ({"aud": "other", "azp": APP}, INVALID),
        ({"aud": ["other"], "azp": APP}, INVALID),
        ({"aud": []}, INVALID),
        ({"aud": ""}, INVALID),
        ({"aud": {"a": APP}}, INVALID),
    ],
)
async def test_a_token_has_to_be_made_for_this_application(
    verifying: Verifying, clock: SettableClock, changes: dict[str, Any], answer: str | None
) -> None:
    token = signed(claims_of(clock, **changes))
    if answer is None:
        assert (await verifying().verify(token)).id == f"{TENANT}.{PERSON}"
    else:
        assert await refusal(verifying(), token) == answer


async def test_the_application_is_left_open_only_where_that_is_configured(
    verifying: Verifying, clock: SettableClock
) -> None:
    open_to_all = verifying(app_id=None)
    await open_to_all.verify(signed(claims_of(clock, aud="other", azp="other")))
    assert await refusal(verifying(app_id=None, audience_required=True), signed(claims_of(clock, aud=None))) == INVALID
    with pytest.raises(ValueError, match="empty app id"):
        verifying(app_id="")


async def test_a_token_is_good_until_it_expires_and_a_little_longer_for_clocks_that_differ(
    verifying: Verifying, clock: SettableClock
) -> None:
    now = clock.now().timestamp()
    await verifying().verify(signed(claims_of(clock, exp=now - LEEWAY_SECONDS + 1)))
    await verifying().verify(signed(claims_of(clock, exp=now + 0.5)))
    assert await refusal(verifying(), signed(claims_of(clock, exp=now - LEEWAY_SECONDS))) == EXPIRED
    assert await refusal(verifying(), signed(claims_of(clock, exp=0))) == EXPIRED


@pytest.mark.parametrize("expiry", [None, "soon", True, [], -1, 1 << 53, 10**400])
async def test_a_token_says_when_it_expires(verifying: Verifying, clock: SettableClock, expiry: object) -> None:
    assert await refusal(verifying(), signed(claims_of(clock, exp=expiry))) == INVALID


@pytest.mark.parametrize("expiry", [b"NaN", b"Infinity", b"1e999"])
async def test_what_is_no_number_in_json_is_no_time(verifying: Verifying, clock: SettableClock, expiry: bytes) -> None:
    payload = json.dumps(claims_of(clock, exp="EXPIRY")).encode().replace(b'"EXPIRY"', expiry)
    assert await refusal(verifying(), signed(payload)) == INVALID


async def test_a_token_is_not_good_before_its_time(verifying: Verifying, clock: SettableClock) -> None:
    now = int(clock.now().timestamp())
    await verifying().verify(signed(claims_of(clock, nbf=now + LEEWAY_SECONDS)))
    early = signed(claims_of(clock, nbf=now + 60))
    verifier = verifying()
    assert await refusal(verifier, early) == INVALID
    assert await refusal(verifier, signed(claims_of(clock, nbf="now"))) == INVALID
    clock.move(seconds=60)
    await verifier.verify(early)


async def test_the_issuer_is_the_one_configured(verifying: Verifying, clock: SettableClock) -> None:
    for issuer in ("https://evil.example/v2.0", ISSUER + "/", None, [ISSUER]):
        assert await refusal(verifying(), signed(claims_of(clock, iss=issuer))) == INVALID
    for issuer in ("anybody", None):
        await verifying(issuer=None).verify(signed(claims_of(clock, iss=issuer)))


async def test_an_issuer_of_many_tenants_carries_the_token_s_own(verifying: Verifying, clock: SettableClock) -> None:
    verifier = verifying(issuer="https://login.example/{tid}/v2.0")
    await verifier.verify(signed(claims_of(clock, iss=f"https://login.example/{TENANT}/v2.0")))
    for changes in ({"tid": "other"}, {"tid": None}, {"tid": 5}):
        claims = claims_of(clock, iss=f"https://login.example/{TENANT}/v2.0", **changes)
        assert await refusal(verifier, signed(claims)) == INVALID
    literal = claims_of(clock, iss="https://login.example/{tid}/v2.0", tid=None)
    assert await refusal(verifier, signed(literal)) == INVALID


async def test_only_listed_tenants_are_let_in(verifying: Verifying, clock: SettableClock) -> None:
    verifier = verifying(tenants=frozenset({TENANT}))
    await verifier.verify(signed(claims_of(clock)))
    for tenant in ("other", None, [TENANT]):
        assert await refusal(verifier, signed(claims_of(clock, tid=tenant))) == INVALID


@pytest.mark.parametrize(
    ("claim", "workspace"), [(None, "default"), ("", "default"), ("team-7", "team-7"), ("a" * 63, "a" * 63)]
)
async def test_the_workspace_is_the_claim_or_the_default(
    verifying: Verifying, clock: SettableClock, claim: object, workspace: str
) -> None:
    token = signed(claims_of(clock, team=claim))
    assert (await verifying(workspace_claim="team").verify(token)).workspace_id == workspace
    assert (await verifying().verify(token)).workspace_id == "default"


@pytest.mark.parametrize("claim", [None, ""])
async def test_where_a_workspace_is_required_a_token_without_one_is_of_no_use(
    verifying: Verifying, clock: SettableClock, claim: object
) -> None:
    verifier = verifying(workspace_claim="team", workspace_required=True)
    for _ in range(2):
        with pytest.raises(ForbiddenError) as refused:
            await verifier.verify(signed(claims_of(clock, team=claim)))
        assert refused.value.error_code == "workspace_required"
    assert (await verifier.verify(signed(claims_of(clock, team="team-7")))).workspace_id == "team-7"


@pytest.mark.parametrize("claim", ["Team", "-team", "a" * 64, "a/b", "a\n", "../b", "ä", 5, ["team"], False, {}])
async def test_a_workspace_that_cannot_be_is_invalid(verifying: Verifying, clock: SettableClock, claim: object) -> None:
    assert await refusal(verifying(workspace_claim="team"), signed(claims_of(clock, team=claim))) == INVALID


# Attacks on the signature (RFC 8725, 2).


async def test_a_token_without_a_signature_is_invalid(verifying: Verifying, clock: SettableClock) -> None:
    payload = json.dumps(claims_of(clock)).encode()
    for algorithm in ("none", "None", "NONE", "nOnE", ""):
        header = json.dumps({"alg": algorithm}).encode()
        assert await refusal(verifying(), by_hand(header, payload)) == INVALID
        assert await refusal(verifying(), by_hand(header, payload, b"x")) == INVALID
    header_and_payload = signed(claims_of(clock)).rpartition(".")[0]
    for token in (header_and_payload, header_and_payload + ".", header_and_payload + ".AA"):
        assert await refusal(verifying(), token) == INVALID


async def test_a_public_key_never_passes_for_a_secret(verifying: Verifying, clock: SettableClock) -> None:
    """HS256 with the public key in all its spellings as the secret, which anybody could make."""
    thumbprint = RSA.thumbprint().encode()
    spellings = (RSA.as_pem(private=False), RSA.as_der(private=False), json.dumps(RSA.as_dict()).encode(), thumbprint)
    for public in (*spellings, spellings[0].strip()):
        key = OctKey(public, public)
        assert await refusal(verifying(), signed(claims_of(clock), key, alg="HS256")) == INVALID


@pytest.mark.parametrize("algorithms", [(), ("none",), ("RS256", "none"), ("RS256", "HS256"), ("rs256",), ("dir",)])
def test_an_issuer_cannot_be_configured_with_an_open_door(verifying: Verifying, algorithms: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="its algorithms"):
        verifying(algorithms=algorithms)


async def test_only_the_issuer_s_algorithms_count(verifying: Verifying, clock: SettableClock) -> None:
    keys = CountedKeys(RSA)
    assert await refusal(verifying(keys), signed(claims_of(clock), alg="PS256")) == INVALID
    assert keys.asked == []
    for algorithm in (["RS256"], {"RS256": 1}, None, 5):
        header = json.dumps({"alg": algorithm, "kid": "rsa"}).encode()
        assert await refusal(verifying(), by_hand(header, b'{"iss": "%s"}' % ISSUER.encode(), b"x")) == INVALID
    await verifying(algorithms=("PS256",)).verify(signed(claims_of(clock), alg="PS256"))


async def test_a_key_of_another_kind_than_the_algorithm_is_invalid(verifying: Verifying, clock: SettableClock) -> None:
    verifier = verifying(FixedKeys(RSA, EC), algorithms=("RS256", "ES256"))
    assert await refusal(verifier, signed(claims_of(clock), kid="ec")) == INVALID
    await verifier.verify(signed(claims_of(clock), EC, alg="ES256", kid="ec"))


async def test_somebody_else_s_signature_is_invalid_whatever_it_carries(
    verifying: Verifying, clock: SettableClock
) -> None:
    for claims in (claims_of(clock), claims_of(clock, exp=0), claims_of(clock, appid="other")):
        assert await refusal(verifying(), signed(claims, OTHER_RSA)) == INVALID


async def test_a_changed_payload_is_invalid(verifying: Verifying, clock: SettableClock) -> None:
    header, _, signature = signed(claims_of(clock)).split(".")
    changed = signed(claims_of(clock, oid="somebody-else")).split(".")[1]
    assert await refusal(verifying(), f"{header}.{changed}.{signature}") == INVALID


async def test_a_changed_signature_is_invalid(verifying: Verifying, clock: SettableClock) -> None:
    head, _, signature = signed(claims_of(clock)).rpartition(".")
    flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
    for changed in (flipped, signature[:-4], signature + "AAAA", signature + "=", signature + "!", " " + signature):
        assert await refusal(verifying(), f"{head}.{changed}") == INVALID


async def test_a_zero_signature_is_invalid(verifying: Verifying, clock: SettableClock) -> None:
    """The one that some libraries took for any message: r and s of nought."""
    verifier = verifying(FixedKeys(EC), algorithms=("ES256",))
    head = signed(claims_of(clock), EC, alg="ES256", kid="ec").rpartition(".")[0]
    zero = base64.urlsafe_b64encode(bytes(64)).decode().rstrip("=")
    assert await refusal(verifier, f"{head}.{zero}") == INVALID


async def test_a_key_that_the_token_brings_along_is_not_used(verifying: Verifying, clock: SettableClock) -> None:
    own = OTHER_RSA.as_dict(private=False)
    for header in ({"jwk": own}, {"jku": "https://evil.example/keys"}, {"x5u": "https://evil.example/x"}):
        assert await refusal(verifying(), signed(claims_of(clock), OTHER_RSA, **header)) == INVALID


@pytest.mark.parametrize("kid", ["", "other", "../../../../dev/null", "' OR 1=1 --", "rsa\0", "|id", "rsa,rsa", "RSA"])
async def test_a_key_id_is_only_ever_looked_up(verifying: Verifying, clock: SettableClock, kid: str) -> None:
    keys = CountedKeys(RSA)
    assert await refusal(verifying(keys), signed(claims_of(clock), kid=kid)) == INVALID
    assert keys.asked == [kid]


async def test_a_key_id_of_the_wrong_type_is_invalid(verifying: Verifying, clock: SettableClock) -> None:
    for kid in (b"5", b"null", b"[]", b'{"rsa": 1}'):
        header = b'{"alg": "RS256", "kid": %s}' % kid
        head = by_hand(header, json.dumps(claims_of(clock)).encode()).removesuffix(".")
        assert await refusal(verifying(), f"{head}.AAAA") == INVALID


UNKNOWN_EXTENSIONS: list[dict[str, Any]] = [
    {"crit": ["exp"], "exp": 1},
    {"crit": ["x"]},
    {"crit": 5},
    {"crit": [[]]},
    {"b64": False},
]


@pytest.mark.parametrize("header", UNKNOWN_EXTENSIONS)
async def test_an_extension_that_must_be_understood_is_not_passed_over(
    verifying: Verifying, clock: SettableClock, header: dict[str, Any]
) -> None:
    payload = json.dumps(claims_of(clock)).encode()
    segments = by_hand(json.dumps({"alg": "RS256", "kid": "rsa", **header}).encode(), payload).removesuffix(".")
    algorithm = jws.JWSRegistry.algorithms["RS256"]
    signature = base64.urlsafe_b64encode(algorithm.sign(segments.encode(), RSA)).decode().rstrip("=")
    assert await refusal(verifying(), f"{segments}.{signature}") == INVALID


async def test_harmless_extras_in_the_header_are_passed_over(verifying: Verifying, clock: SettableClock) -> None:
    await verifying().verify(signed(claims_of(clock), x5t="abc", nonce="n", typ="at+jwt", x5c=["A" * 2000]))


# Attacks on the reading.

DEEP = b"[" * 9000


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "a.b.c.d.e",
        "ü.b.c",
        "\ud800.b.c",
        by_hand(b"[]", b"{}", b"x"),
        by_hand(b"{}", b"[]", b"x"),
        by_hand(b"{}", b"null", b"x"),
        by_hand(b"\xff", b"{}", b"x"),
        by_hand(DEEP, b"{}", b"x"),
        by_hand(b"{}", DEEP, b"x"),
        by_hand(b'{"alg": "RS256", "kid": "rsa"}', b'{"a": ' + b'{"a": ' * 1500, b"x"),
    ],
)
async def test_what_is_no_token_is_invalid_and_no_defect_of_ours(verifying: Verifying, token: str) -> None:
    assert len(token) <= MAX_TOKEN_LENGTH
    assert await refusal(verifying(), token) == INVALID
    assert await refusal(verifying(issuer=None), token) == INVALID


async def test_what_is_no_token_troubles_no_issuer(verifying: Verifying, clock: SettableClock) -> None:
    keys, token = CountedKeys(RSA), signed(claims_of(clock))
    for changed in (token + ".x", token + "=", token + "\n", token.replace(".", ".+", 1), token + "?"):
        assert await refusal(verifying(keys), changed) == INVALID
    assert keys.asked == []


async def test_a_huge_token_is_refused_unread(verifying: Verifying, clock: SettableClock) -> None:
    keys = CountedKeys(RSA)
    verifier = verifying(keys)
    assert await refusal(verifier, signed(claims_of(clock, filler="x" * MAX_TOKEN_LENGTH))) == INVALID
    assert await refusal(verifier, "." * 10_000_000) == INVALID
    assert keys.asked == []
    await verifier.verify(signed(claims_of(clock, filler="x" * 10_000)))


# Issuers beside each other.


async def test_an_issuer_of_anything_is_asked_after_those_with_a_name(clock: SettableClock) -> None:
    anybody = Issuer(name="any", keys=SharedSecret(SECRET), algorithms=("HS256",), user_prefix="any:")
    named = Issuer(name="named", keys=FixedKeys(RSA), issuer=ISSUER, app_id=APP)
    verifier = JoseTokenVerifier([anybody, named], clock)
    assert (await verifier.verify(signed(claims_of(clock)))).id == f"{TENANT}.{PERSON}"
    elsewhere = claims_of(clock, iss="elsewhere")
    assert (await verifier.verify(signed(elsewhere, SECRET, alg="HS256"))).id == f"any:{TENANT}.{PERSON}"
    # Who has the one's key cannot speak in the name of the other.
    assert await refusal(verifier, signed(claims_of(clock), SECRET, alg="HS256")) == INVALID
    assert await refusal(verifier, signed(elsewhere)) == INVALID


async def test_no_issuer_at_all_lets_nobody_in(clock: SettableClock) -> None:
    assert await refusal(JoseTokenVerifier([], clock), signed(claims_of(clock))) == INVALID


async def test_a_shared_secret_signs_for_its_issuer(verifying: Verifying, clock: SettableClock) -> None:
    verifier = verifying(SharedSecret(SECRET), algorithms=("HS256",))
    for kid in ("whatever", "rsa"):
        assert (await verifier.verify(signed(claims_of(clock), SECRET, alg="HS256", kid=kid))).name == "Ann"
    wrong = OctKey.import_key(b"t" * 32)
    assert await refusal(verifier, signed(claims_of(clock), wrong, alg="HS256")) == INVALID
    empty = json.dumps({"alg": "HS256"}).encode()
    assert await refusal(verifier, by_hand(empty, json.dumps(claims_of(clock)).encode(), b"x" * 32)) == INVALID


@pytest.mark.filterwarnings(f"ignore::{SecurityWarning.__module__}.{SecurityWarning.__name__}")
async def test_every_kind_of_signature_that_can_be_configured_works(verifying: Verifying, clock: SettableClock) -> None:
    pairs: dict[str, Key] = {"RS256": RSA, "ES256": EC, "Ed25519": OKPKey.generate_key("Ed25519", {"kid": "ed"})}
    for algorithm, key in pairs.items():
        verifier = verifying(FixedKeys(key), algorithms=(algorithm,))
        assert (await verifier.verify(signed(claims_of(clock), key, alg=algorithm, kid=key.kid))).name == "Ann"


async def test_keys_that_cannot_be_had_are_not_the_token_s_fault(verifying: Verifying, clock: SettableClock) -> None:
    with pytest.raises(UnavailableError):
        await verifying(NoKeys()).verify(signed(claims_of(clock)))


# What is remembered.


async def test_a_proven_token_is_answered_at_once(verifying: Verifying, clock: SettableClock) -> None:
    keys = CountedKeys(RSA)
    verifier, token = verifying(keys), signed(claims_of(clock))
    principal = await verifier.verify(token)
    answer = verifier.verify(token)
    with pytest.raises(StopIteration) as ended:
        answer.send(None)
    assert ended.value.value == principal
    assert len(keys.asked) == 1


async def test_a_proven_token_is_looked_at_again_after_a_while(verifying: Verifying, clock: SettableClock) -> None:
    keys = CountedKeys(RSA)
    verifier, token = verifying(keys), signed(claims_of(clock))
    for seconds, asked in ((0, 1), (REMEMBERED_SECONDS - 1, 1), (1, 2), (REMEMBERED_SECONDS - 1, 2), (1, 3)):
        clock.move(seconds=seconds)
        await verifier.verify(token)
        assert len(keys.asked) == asked


async def test_nothing_is_remembered_beyond_its_end(verifying: Verifying, clock: SettableClock) -> None:
    keys = CountedKeys(RSA)
    verifier, token = verifying(keys), signed(claims_of(clock, exp=clock.now().timestamp() + 60))
    await verifier.verify(token)
    clock.move(seconds=60)
    await verifier.verify(token)
    assert len(keys.asked) == 2
    clock.move(seconds=LEEWAY_SECONDS)
    assert await refusal(verifier, token) == EXPIRED


async def test_a_refusal_is_not_remembered(verifying: Verifying, clock: SettableClock) -> None:
    keys = CountedKeys(RSA)
    verifier, token = verifying(keys), signed(claims_of(clock), OTHER_RSA)
    assert [await refusal(verifier, token) for _ in range(2)] == [INVALID, INVALID]
    assert len(keys.asked) == 2


async def test_memory_is_bounded_and_holds_no_token(clock: SettableClock) -> None:
    keys = CountedKeys(SECRET)
    issuer = Issuer(name="secret", keys=keys, algorithms=("HS256",))
    verifier = JoseTokenVerifier([issuer], clock)
    tokens = [signed(claims_of(clock, jti=str(number)), SECRET, alg="HS256") for number in range(REMEMBERED_TOKENS + 1)]
    for token in tokens:
        await verifier.verify(token)
    await verifier.verify(tokens[-1])
    assert len(keys.asked) == len(tokens)
    await verifier.verify(tokens[0])
    assert len(keys.asked) == len(tokens) + 1
    state = repr(vars(verifier))
    assert tokens[0] not in state
    assert len(state) > REMEMBERED_TOKENS
