"""The issuers of user tokens, from settings."""

import httpx
from dishka import Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]
from joserfc.jwk import OctKey

from workbench.adapters.tokens.issuers import Issuer, KeySource
from workbench.adapters.tokens.jwks import JwksCache, SharedSecret, from_file, from_url
from workbench.adapters.tokens.local import LocalIssuer
from workbench.adapters.tokens.verifier import JoseTokenVerifier
from workbench.domain.clock import Clock
from workbench.domain.identity.ports import TokenVerifier
from workbench.wiring.setting_groups import Issuer as IssuerSettings
from workbench.wiring.settings import Settings


class Tokens(Provider):
    """Verify user tokens."""

    scope = Scope.APP

    @provide
    def verifier(self, settings: Settings, http: httpx.AsyncClient, clock: Clock) -> TokenVerifier:
        """Accept the local issuer, if it is on, before those that are configured."""
        issuers = [_issuer(issuer, http) for issuer in settings.issuers]
        if settings.auth.local_issuer:
            local = LocalIssuer(settings.make_data_root(), clock)
            issuers.insert(0, local.issuer())
        return JoseTokenVerifier(issuers, clock)


def _issuer(settings: IssuerSettings, http: httpx.AsyncClient) -> Issuer:
    return Issuer(
        name=settings.name,
        issuer=settings.issuer,
        keys=_keys(settings, http),
        algorithms=tuple(settings.algorithms),
        app_id=settings.app_id,
        audience_required=settings.audience_required,
        tenants=frozenset(settings.tenants),
        workspace_claim=settings.workspace_claim,
        # Whoever keeps tenants apart by a claim does not mean those without it to share one.
        workspace_required=settings.workspace_claim is not None,
        user_prefix=settings.user_prefix,
        admin_role=settings.admin_role,
        engineer_role=settings.engineer_role,
        author_role=settings.author_role,
        team_claim=settings.team_claim,
        connector_role=settings.connector_role,
    )


def _keys(settings: IssuerSettings, http: httpx.AsyncClient) -> KeySource:
    if settings.secret is not None:
        return SharedSecret(OctKey.import_key(settings.secret.get_secret_value()))
    if settings.jwks_file is not None:
        return JwksCache(settings.name, from_file(settings.jwks_file))
    return JwksCache(settings.name, from_url(http, settings.jwks_url or ""))
