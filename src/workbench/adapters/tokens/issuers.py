"""Who signs user tokens that we accept, and how their claims are read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from joserfc.jwk import Key

TENANT_PLACEHOLDER = "{tid}"


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
    application pass. `user_prefix` keeps users of different issuers apart.
    """

    name: str
    keys: KeySource
    algorithms: tuple[str, ...] = ("RS256",)
    issuer: str | None = None
    app_id: str | None = None
    audience_required: bool = False
    tenants: frozenset[str] = field(default_factory=frozenset[str])
    workspace_claim: str | None = None
    user_prefix: str = ""

    def issues(self, claims: Mapping[str, Any]) -> bool:
        """Whether a token with these claims, as yet unproven, says that it is from here."""
        if self.issuer is None:
            return True
        tenant = claims.get("tid")
        expected = self.issuer.replace(TENANT_PLACEHOLDER, tenant) if isinstance(tenant, str) else self.issuer
        return claims.get("iss") == expected

    def is_for_us(self, claims: Mapping[str, Any]) -> bool:
        """Whether the token was made for our application: an ID token says so in `aud`, access tokens elsewhere."""
        if self.app_id is None:
            return True
        named = claims.get("appid") or claims.get("aud")
        return self.app_id in (named, claims.get("azp"))

    def audience_fits(self, claims: Mapping[str, Any]) -> bool:
        """Whether `aud`, where there is one, is us; a list counts where we are in it (RFC 7519, 4.1.3)."""
        audience = claims.get("aud")
        if audience is None:
            return not self.audience_required
        return (
            self.app_id is None or self.app_id == audience or (isinstance(audience, list) and self.app_id in audience)
        )


WORKSPACE_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
