"""The local issuer: a key pair in the data folder, so that users can be let in without any account anywhere."""

import secrets
from datetime import timedelta
from pathlib import Path

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from workbench.adapters.clock import SystemClock
from workbench.adapters.keys.file import load_or_make
from workbench.adapters.tokens.issuers import Issuer, is_user_id
from workbench.adapters.tokens.jwks import FixedKeys
from workbench.domain.clock import Clock
from workbench.domain.errors import InvalidError, UnavailableError

NAME = "workbench-local"
APP_ID = "workbench"
# Made in a millisecond where RSA takes a good part of a second, and nobody else has to know it.
ALGORITHM = "ES256"
CURVE = "P-256"
ADMIN_ROLE = "workbench-admin"
KEY_FILE = "local-issuer.json"


class LocalIssuer:
    """Signs tokens for users of this installation."""

    def __init__(self, data_root: Path, clock: Clock | None = None) -> None:
        """Load the key pair from the data folder, or make it.

        Raises PermissionError where others can read it, UnavailableError where the file holds anything else.
        """
        self._clock = clock or SystemClock()
        self._key = _pair(load_or_make(data_root / "keys" / KEY_FILE, _new_pair))

    def sign(self, user_id: str, name: str, workspace: str, ttl_seconds: float, *, admin: bool = False) -> str:
        """Sign a token for the user that is good for so many seconds. Raises InvalidError for an unusable id."""
        if not is_user_id(user_id):
            raise InvalidError("A user's id has 1 to 255 characters, all of them printable", field="user_id")
        now = self._clock.now()
        claims = {
            "iss": NAME,
            "aud": APP_ID,
            "sub": user_id,
            "name": name,
            "workspace": workspace,
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(seconds=ttl_seconds)).timestamp()),
            "jti": secrets.token_hex(16),
            **({"roles": [ADMIN_ROLE]} if admin else {}),
        }
        return jwt.encode({"alg": ALGORITHM, "kid": self._key.kid}, claims, self._key)

    def issuer(self, workspace_claim: str = "workspace") -> Issuer:
        """Say how our own tokens are verified."""
        return Issuer(
            name=NAME,
            issuer=NAME,
            app_id=APP_ID,
            audience_required=True,
            algorithms=(ALGORITHM,),
            keys=FixedKeys(self._key),
            workspace_claim=workspace_claim,
            admin_role=ADMIN_ROLE,
        )


def _new_pair() -> bytes:
    key = ECKey.generate_key(CURVE, private=True)
    return msgspec.json.encode({**key.as_dict(private=True), "kid": secrets.token_hex(8), "use": "sig"})


def _pair(content: bytes) -> ECKey:
    try:
        key = ECKey.import_key(msgspec.json.decode(content))
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise _unusable() from error
    if not key.is_private or key.kid is None or key.curve_name != CURVE:
        raise _unusable()
    return key


def _unusable() -> UnavailableError:
    return UnavailableError(
        f"keys/{KEY_FILE} in the data folder does not hold the local issuer's key pair; move it away for a new one",
        code="no_local_key",
    )
