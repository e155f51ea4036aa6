"""Keys at rest: assistant services' keys are kept encrypted, since we must show them in the clear later."""

import secrets

from joserfc import jwe
from joserfc.jwk import OctKey

KEY_BYTES = 32
HEADER = {"alg": "dir", "enc": "A256GCM"}


class KeyCipher:
    """Seals and opens short secrets as JWE (RFC 7516) under one symmetric key: direct use, AES-256-GCM."""

    def __init__(self, key: bytes) -> None:
        """Use a key of KEY_BYTES bytes."""
        self._key = OctKey.import_key(key)

    @staticmethod
    def new_key() -> bytes:
        """Make a key."""
        return secrets.token_bytes(KEY_BYTES)

    def seal(self, secret: str | None) -> str | None:
        """Encrypt; nothing and the empty key of local mode need no hiding and are stored as nothing."""
        return jwe.encrypt_compact(HEADER, secret.encode(), self._key) if secret else None

    def open(self, sealed: str | None) -> str:
        """Decrypt what `seal` made."""
        if not sealed:
            return ""
        plaintext = jwe.decrypt_compact(sealed, self._key).plaintext
        return plaintext.decode() if plaintext else ""
