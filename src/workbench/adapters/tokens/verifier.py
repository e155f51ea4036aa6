"""User tokens are proven here: signature first, then everything they say (RFC 8725)."""

import base64
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, cast

import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError

from workbench.adapters.tokens.issuers import WORKSPACE_ID, Issuer, is_user_id
from workbench.domain.clock import Clock
from workbench.domain.errors import ForbiddenError, UnauthenticatedError
from workbench.domain.identity.model import DEFAULT_WORKSPACE, Principal
from workbench.domain.users.model import MAX_NAME_LENGTH

MAX_TOKEN_LENGTH = 16 * 1024
LEEWAY_SECONDS = 30
MAX_SECONDS = 1 << 53
"""Times beyond are no times: a float could not hold them."""
REMEMBERED_TOKENS = 10_000
REMEMBERED_SECONDS = 300.0
"""A proven token is believed that long without a new look, so that a withdrawn key stops working soon."""

Claims = Mapping[str, Any]

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# What a client may send in JSON to make a reader fail, which is all one to us.
_MALFORMED = (JoseError, ValueError, TypeError, RecursionError)


class JoseTokenVerifier:
    """Verifies tokens of the issuers that are configured, and remembers those that it has just proven."""

    def __init__(self, issuers: Sequence[Issuer], clock: Clock) -> None:
        """Accept tokens of these issuers. The first that a token can be from decides, those that take any `iss` last."""
        self._issuers = sorted(issuers, key=lambda issuer: issuer.issuer is None)
        self._clock = clock
        self._proven: dict[bytes, tuple[float, Principal]] = {}

    async def verify(self, token: str) -> Principal:
        """Prove the token.

        Raises UnauthenticatedError, ForbiddenError `workspace_required`, and UnavailableError without the issuer's keys.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise _invalid()
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        now = self._clock.now().timestamp()
        remembered = self._proven.get(digest)
        if remembered is not None and now < remembered[0]:
            return remembered[1]
        claims, principal = await self._prove(token)
        self._remember(digest, min(claims["exp"], now + REMEMBERED_SECONDS), principal)
        return principal

    async def _prove(self, token: str) -> tuple[Claims, Principal]:
        header, unproven = _peek(token)
        issuer = next((issuer for issuer in self._issuers if issuer.issues(unproven)), None)
        # The list of algorithms is the issuer's, never the token's, or a public key could pass for a secret.
        if issuer is None or header.get("alg") not in issuer.algorithms:
            raise _invalid()
        kid = header.get("kid")
        key = await issuer.keys.find(kid if isinstance(kid, str) else None)
        if key is None:
            raise _invalid()
        registry = jws.JWSRegistry(algorithms=list(issuer.algorithms), strict_check_header=False)
        registry.max_payload_length = MAX_TOKEN_LENGTH
        registry.max_header_length = MAX_TOKEN_LENGTH
        try:
            claims = jwt.decode(token, key, algorithms=list(issuer.algorithms), registry=registry).claims
        except _MALFORMED as error:
            raise _invalid() from error
        self._check(issuer, claims)
        return claims, _principal(issuer, claims)

    def _check(self, issuer: Issuer, claims: Claims) -> None:
        now = self._clock.now()
        if not issuer.issues(claims) or not issuer.audience_fits(claims):
            raise _invalid()
        if _seconds(claims, "exp", required=True) <= now.timestamp() - LEEWAY_SECONDS:
            raise UnauthenticatedError("Expired token", code="expired_token")
        if _seconds(claims, "nbf") > now.timestamp() + LEEWAY_SECONDS:
            raise _invalid()
        if not issuer.admits(claims):
            raise _invalid()
        if not issuer.is_for_us(claims):
            raise UnauthenticatedError("Invalid app. App ID must match in client and server.", code="invalid_app")

    def _remember(self, digest: bytes, until: float, principal: Principal) -> None:
        self._proven.pop(digest, None)
        if len(self._proven) >= REMEMBERED_TOKENS:
            # The oldest goes: dicts keep the order of insertion.
            del self._proven[next(iter(self._proven))]
        self._proven[digest] = (until, principal)


def _peek(token: str) -> tuple[Claims, Claims]:
    """Read a token's two halves without believing them, to know whom to ask for the key."""
    if not _COMPACT.fullmatch(token):
        raise _invalid()
    try:
        header, payload = (msgspec.json.decode(_decode(part)) for part in token.split(".")[:2])
    except _MALFORMED as error:
        raise _invalid() from error
    if not isinstance(header, dict) or not isinstance(payload, dict):
        raise _invalid()
    return cast("Claims", header), cast("Claims", payload)


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _seconds(claims: Claims, name: str, *, required: bool = False) -> float:
    value = claims.get(name)
    if value is None and not required:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAX_SECONDS:
        raise _invalid()
    return float(value)


def _principal(issuer: Issuer, claims: Claims) -> Principal:
    name = claims.get("name")
    return Principal(
        workspace_id=_workspace(issuer, claims),
        role="user",
        id=_user_id(issuer, claims),
        name=name.replace("\0", "")[:MAX_NAME_LENGTH] if isinstance(name, str) else "",
        is_admin=issuer.makes_admin(claims),
        works_on_sessions=issuer.lets_work(claims),
        writes_playbooks=issuer.lets_write(claims),
        team_ids=issuer.teams(claims),
        connects_ticket_systems=issuer.lets_connect(claims),
        expires=_seconds(claims, "exp", required=True) + LEEWAY_SECONDS,
    )


def _user_id(issuer: Issuer, claims: Claims) -> str:
    """Say who it is: `<tid>.<oid>`, by which the contract's front end knows its user, or else `sub`."""
    tenant, person, subject = (claims.get(name) for name in ("tid", "oid", "sub"))
    of_tenant = isinstance(tenant, str) and isinstance(person, str) and tenant and person
    named = f"{tenant}.{person}" if of_tenant else subject
    user_id = issuer.user_prefix + named if isinstance(named, str) and named else None
    if not is_user_id(user_id):
        raise _invalid()
    return user_id


def _workspace(issuer: Issuer, claims: Claims) -> str:
    value = claims.get(issuer.workspace_claim) if issuer.workspace_claim else None
    if value is None or value == "":
        if issuer.workspace_required:
            raise ForbiddenError("The token names no workspace", code="workspace_required")
        return DEFAULT_WORKSPACE
    if not isinstance(value, str) or not WORKSPACE_ID.fullmatch(value):
        raise _invalid()
    return value


def _invalid() -> UnauthenticatedError:
    return UnauthenticatedError("Invalid token", code="invalid_token")
