"""Tokens signed on this machine, for people who have no identity provider yet."""

from workbench.adapters.tokens.issuers import require_workspace_id
from workbench.adapters.tokens.local import LocalIssuer
from workbench.domain.errors import UnavailableError
from workbench.wiring.setting_names import SettingsError
from workbench.wiring.settings import Settings


def sign_local_token(
    settings: Settings, *, user_id: str, name: str, workspace: str, ttl_seconds: float, admin: bool = False
) -> str:
    """Sign a user token with the key pair in the data folder, which is made at first use.

    Raises SettingsError and InvalidError where the service would not accept the token, UnavailableError where
    the key cannot be used.
    """
    if not settings.auth.local_issuer:
        raise SettingsError({"WORKBENCH__AUTH__LOCAL_ISSUER": "is off: local tokens are not accepted; allowed: true"})
    require_workspace_id(workspace)
    return _issuer(settings).sign(user_id, name, workspace, ttl_seconds, admin=admin)


def require_local_key(settings: Settings) -> None:
    """Make sure that local tokens can be checked, if they are accepted; the key pair is made at first use.

    Raises UnavailableError where the key cannot be used.
    """
    if settings.auth.local_issuer:
        _issuer(settings)


def _issuer(settings: Settings) -> LocalIssuer:
    try:
        return LocalIssuer(settings.make_data_root())
    except OSError as error:
        raise UnavailableError(f"The local key cannot be used: {error}", code="no_local_key") from error
