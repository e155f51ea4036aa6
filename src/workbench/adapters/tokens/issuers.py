"""Who signs user tokens that we accept, and how their claims are read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeGuard, cast

from joserfc.jwk import Key

from workbench.domain.errors import InvalidError
from workbench.domain.users.model import SERVICE_USER_ID

TENANT_PLACEHOLDER = "{tid}"
WORKSPACE_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
MAX_USER_ID_LENGTH = 255
MAX_TEAMS = 200
"""Of one user; what a token names beyond is not looked at."""

SIGNATURES = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
SHARED_SECRET_CODES = frozenset({"HS256", "HS384", "HS512"})


class KeySource(Protocol):
    """Where an issuer's keys come from."""

    async def find(self, kid: str | None) -> Key | None:
        """The key of that id, or the only key there is where none is named.

        Raises UnavailableError while there are no keys at all and none can be had.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """One issuer and its rules.

    `issuer` is what the claim `iss` must be: None for anything, and `{tid}` in it stands for the token's
    own tenant, as Entra has it for applications of many tenants. `app_id` None lets tokens for any
    application pass. `tenants` are the values of `tid` that are let in; empty for all. `workspace_claim` names
    the claim with the user's workspace; tokens without it are of the workspace `default`, or with `workspace_required` of
    none, and of no use. `user_prefix` keeps users of different issuers apart. `admin_role` is what the
    claim `roles` must hold to make its bearer an admin of their workspace; without it nobody is. `engineer_role` is the
    same for who works on troubleshooting sessions, and `author_role` for who writes playbooks; without them everybody may.
    `team_claim` names the claim with the list of a user's teams.
    `connector_role` is the same for who connects ticket systems; without it only admins do.
    """

    name: str
    keys: KeySource
    algorithms: tuple[str, ...] = ("RS256",)
    issuer: str | None = None
    app_id: str | None = None
    audience_required: bool = False
    tenants: frozenset[str] = field(default_factory=frozenset[str])
    workspace_claim: str | None = None
    workspace_required: bool = False
    user_prefix: str = ""
    admin_role: str | None = None
    engineer_role: str | None = None
    author_role: str | None = None
    team_claim: str | None = None
    connector_role: str | None = None

    def __post_init__(self) -> None:
        """Refuse what would open a hole, with a ValueError: no algorithm, `none`, or two kinds of key at once."""
        named = frozenset(self.algorithms)
        if not named or not (named <= SIGNATURES or named <= SHARED_SECRET_CODES):
            raise ValueError(f"issuer {self.name}: its algorithms must all be signatures, or all for a shared secret")
        if self.app_id == "":
            raise ValueError(f"issuer {self.name}: an empty app id would fit tokens that name no application")
        for kind in ("admin", "engineer", "author", "connector"):
            role: str | None = getattr(self, f"{kind}_role")
            if role == "":
                raise ValueError(f"issuer {self.name}: an empty {kind} role is no role")

    def issues(self, claims: Mapping[str, Any]) -> bool:
        """Whether a token with these claims, as yet unproven, says that it is from here."""
        if self.issuer is None:
            return True
        if TENANT_PLACEHOLDER not in self.issuer:
            return claims.get("iss") == self.issuer
        tenant = claims.get("tid")
        return isinstance(tenant, str) and claims.get("iss") == self.issuer.replace(TENANT_PLACEHOLDER, tenant)

    def admits(self, claims: Mapping[str, Any]) -> bool:
        """Whether the token's tenant is one that is let in."""
        tenant = claims.get("tid")
        return not self.tenants or (isinstance(tenant, str) and tenant in self.tenants)

    def makes_admin(self, claims: Mapping[str, Any]) -> bool:
        """Whether the token says that its bearer is an admin."""
        return self.admin_role is not None and _has_role(claims, self.admin_role)

    def lets_work(self, claims: Mapping[str, Any]) -> bool:
        """Whether the token lets its bearer work on troubleshooting sessions."""
        return self.engineer_role is None or _has_role(claims, self.engineer_role) or self.makes_admin(claims)

    def lets_write(self, claims: Mapping[str, Any]) -> bool:
        """Whether the token lets its bearer write playbooks."""
        return self.author_role is None or _has_role(claims, self.author_role) or self.makes_admin(claims)

    def teams(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """The teams that the token names. What cannot be a name is none, and no reason to refuse the token."""
        named = claims.get(self.team_claim) if self.team_claim else None
        if not isinstance(named, list):
            return frozenset()
        return frozenset([team for team in cast("list[Any]", named) if _is_name(team)][:MAX_TEAMS])

    def lets_connect(self, claims: Mapping[str, Any]) -> bool:
        """Whether the token lets its bearer connect ticket systems."""
        named = self.connector_role is not None and _has_role(claims, self.connector_role)
        return named or self.makes_admin(claims)

    def is_for_us(self, claims: Mapping[str, Any]) -> bool:
        """Whether the token was made for our application: an ID token says so in `aud`, access tokens elsewhere."""
        if self.app_id is None:
            return True
        named = claims.get("appid") or _sole(claims.get("aud"))
        return self.app_id in (named, claims.get("azp"))

    def audience_fits(self, claims: Mapping[str, Any]) -> bool:
        """Whether `aud`, where there is one, is us; a list counts where we are in it (RFC 7519, 4.1.3)."""
        audience = claims.get("aud")
        if audience is None:
            return not self.audience_required
        return (
            self.app_id is None or self.app_id == audience or (isinstance(audience, list) and self.app_id in audience)
        )


def is_user_id(value: object) -> TypeGuard[str]:
    """Whether it can name a user everywhere that ids go: in keys of tables, in headers and in logs.

    An issuer that lets people choose their names must not make one of them the service itself.
    """
    return _is_name(value) and value != SERVICE_USER_ID


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= MAX_USER_ID_LENGTH and value.isprintable()


def _has_role(claims: Mapping[str, Any], role: str) -> bool:
    roles = claims.get("roles")
    return isinstance(roles, list) and role in roles


def _sole(audience: Any) -> Any:
    """A list of one audience means that one; with several, `azp` has to say for whom the token was made."""
    if not isinstance(audience, list):
        return audience
    members = cast("list[Any]", audience)
    return members[0] if len(members) == 1 else None


def require_workspace_id(text: str) -> None:
    """Raises InvalidError for what cannot be a workspace's name."""
    if not WORKSPACE_ID.fullmatch(text):
        raise InvalidError(
            "A workspace's name has up to 63 of a-z, 0-9 and -, and does not begin with -", field="workspace"
        )
