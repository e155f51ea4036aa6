"""Secret values of flows, sealed under the data folder's own key."""

import hashlib
import hmac
from typing import Any

import msgspec

from workbench.adapters.keys.cipher import KeyCipher
from workbench.domain.flows.ports import Sealer
from workbench.domain.flows.sealing import MARK, SEALED

MARK_DIGITS = 32


class CipherSealer(Sealer):
    """Seals with the cipher of services' keys."""

    def __init__(self, cipher: KeyCipher, marking_key: bytes) -> None:
        """`marking_key` makes marks that nobody else can make, to find a value by trying."""
        self._cipher = cipher
        self._marking_key = marking_key

    def seal(self, value: Any) -> dict[str, str]:
        """Encrypt its JSON."""
        text = msgspec.json.encode(value, order="sorted")
        mark = hmac.new(self._marking_key, text, hashlib.sha256).hexdigest()[:MARK_DIGITS]
        return {SEALED: self._cipher.seal(text.decode()) or "", MARK: mark}

    def unseal(self, sealed: dict[str, str]) -> Any:
        """Decrypt."""
        return msgspec.json.decode(self._cipher.open(sealed[SEALED]))
