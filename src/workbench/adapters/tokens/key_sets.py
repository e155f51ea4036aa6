"""An issuer's public keys, read from a JWK set (RFC 7517) or a PEM file. What must not verify is left out here."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OctKey, OKPKey, RSAKey

MIN_RSA_BITS = 2048
"""Shorter ones can be broken (RFC 7518, 3.3)."""

_PEM = b"-----BEGIN "


class PublicKeys:
    """Keys by id; one that has no id goes by its thumbprint (RFC 7638)."""

    def __init__(self, keys: Iterable[Key]) -> None:
        """Of two keys with the same id, keep the first."""
        self._named: dict[str, Key] = {}
        unnamed: list[Key] = []
        for key in keys:
            if key.kid is None:
                unnamed.append(key)
            self._named.setdefault(key.kid or key.thumbprint(), key)
        self._any_id = unnamed[0] if len(unnamed) == 1 else None
        self._only = next(iter(self._named.values())) if len(self._named) == 1 else None

    def find(self, kid: str | None) -> Key | None:
        """Find the key of that id. Where the token names none, or a lone key has none, there is only one to try."""
        if kid is None:
            return self._only
        return self._named.get(kid, self._any_id)


class _JwkSet(msgspec.Struct):
    keys: list[dict[str, Any]]


def read_public_keys(content: bytes) -> PublicKeys:
    """Read a JWK set or PEM (a public key or a certificate). Raises ValueError where nothing in it is usable."""
    keys = _from_pem(content) if content.lstrip().startswith(_PEM) else _from_jwk_set(content)
    usable = [key for key in keys if _may_verify(key)]
    if not usable:
        raise ValueError("there is no usable key in it")
    return PublicKeys(usable)


def _from_jwk_set(content: bytes) -> Iterator[Key]:
    """Read key by key: one of a kind that we do not know must not cost us the others (RFC 7517, 5)."""
    for entry in msgspec.json.decode(content, type=_JwkSet).keys:
        with suppress(JoseError, ValueError, TypeError, KeyError):
            yield JWKRegistry.import_key(entry)


def _from_pem(content: bytes) -> Iterator[Key]:
    for kind in (RSAKey, ECKey, OKPKey):
        with suppress(JoseError, ValueError, TypeError):
            yield kind.import_key(content)


def _may_verify(key: Key) -> bool:
    """Leave out what is public but symmetric, with which anybody could sign, what is not for signatures, what is weak."""
    operations = key.get("key_ops")
    if isinstance(key, OctKey) or key.get("use") not in (None, "sig"):
        return False
    if operations is not None and "verify" not in operations:
        return False
    return not isinstance(key, RSAKey) or key.public_key.key_size >= MIN_RSA_BITS
