"""Names for people who are erased: a hash that only the holder of a key can compute."""

import hashlib
import hmac
import secrets

from workbench.domain.lifecycle.ports import Pseudonyms

KEY_BYTES = 32


class KeyedPseudonyms(Pseudonyms):
    """HMAC-SHA-256 over workspace and id, in hex; without the key nobody can try ids out."""

    def __init__(self, key: bytes) -> None:
        """Use a key of KEY_BYTES bytes."""
        self._key = key

    @staticmethod
    def new_key() -> bytes:
        """Make a key."""
        return secrets.token_bytes(KEY_BYTES)

    def of(self, workspace_id: str, user_id: str) -> str:
        """Hash; a workspace's id holds no NUL, so that no two pairs are written alike."""
        return hmac.new(self._key, f"{workspace_id}\0{user_id}".encode(), hashlib.sha256).hexdigest()
