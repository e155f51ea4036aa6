"""Secrets of ticket systems, sealed under keys of the data folder that can be renewed."""

from pathlib import Path
from typing import Any

import msgspec
from joserfc.errors import JoseError

from workbench.adapters.keys.cipher import KeyCipher
from workbench.adapters.keys.file import load_or_make
from workbench.domain.tickets.model import TicketSystemError
from workbench.domain.tickets.ports import SecretBox, SecretKeys

FIRST = 0
"""The number of the key that the service has anyway, for the keys of assistant services."""
KEPT = 2
"""The newest key, and the one before it."""


class Sealed(msgspec.Struct, frozen=True, array_like=True):
    """What is encrypted: a secret, and whose it is."""

    owner: str
    secret: dict[str, Any]


class FolderKeys(SecretKeys):
    """The service's own key, and once it is renewed numbered files, the highest number being the newest.

    They are looked up each time: another process may have made one.
    """

    def __init__(self, folder: Path, first: KeyCipher) -> None:
        self._folder = folder
        self._first = first

    def newest(self) -> int:
        """The number of the key to seal under."""
        return max(self._numbers(), default=FIRST)

    def cipher(self, number: int) -> KeyCipher | None:
        """What seals under a key; None where it is not there."""
        if number == FIRST:
            return self._first
        path = self._path(number)
        return KeyCipher(load_or_make(path, KeyCipher.new_key)) if path.exists() else None

    def renew(self) -> int:
        """Make the next file."""
        number = self.newest() + 1
        load_or_make(self._path(number), KeyCipher.new_key)
        return number

    def forget_older(self) -> int:
        """Remove files."""
        older = sorted(self._numbers())[:-KEPT]
        for number in older:
            self._path(number).unlink(missing_ok=True)
        return len(older)

    def _numbers(self) -> list[int]:
        named = (path.name.split(".")[1] for path in self._folder.glob("ticket-secrets.*.key"))
        return [int(number) for number in named if number.isdecimal()]

    def _path(self, number: int) -> Path:
        return self._folder / f"ticket-secrets.{number}.key"


class NumberedBox(SecretBox):
    """Seals as JWE, behind the number of the key."""

    def __init__(self, keys: FolderKeys) -> None:
        self._keys = keys

    def seal(self, owner: str, secret: dict[str, Any]) -> str:
        """Encrypt with its owner, so that it is of no use beside another connection."""
        number = self._keys.newest()
        cipher = self._keys.cipher(number)
        if cipher is None:
            raise TicketSystemError("secret_lost")
        text = msgspec.json.encode(Sealed(owner=owner, secret=secret)).decode()
        return f"{number}:{cipher.seal(text)}"

    def open(self, owner: str, sealed: str) -> dict[str, Any]:
        """Decrypt, and make sure of the owner."""
        number, _, text = sealed.partition(":")
        cipher = self._keys.cipher(int(number)) if number.isdecimal() else None
        if cipher is None:
            raise TicketSystemError("secret_lost")
        try:
            found = msgspec.json.decode(cipher.open(text), type=Sealed)
        except (JoseError, msgspec.MsgspecError, ValueError) as error:
            raise TicketSystemError("secret_lost") from error
        if found.owner != owner:
            raise TicketSystemError("secret_lost")
        return found.secret
