"""Cursors of lists of sessions: each leads on in the list that it came from, for whom it was given to (5.4, 13)."""

import base64
import binascii
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TypeVar

import msgspec

from workbench.domain.errors import InvalidError
from workbench.domain.identity.model import Principal

SEAL_BYTES = 8

P = TypeVar("P", bound=msgspec.Struct)


def encode_cursor(place: msgspec.Struct, of: str, principal: Principal) -> str:
    """Write a place in the list that is called so as URL-safe text; its content is nobody's business but ours."""
    body = msgspec.json.encode(place)
    return base64.urlsafe_b64encode(_seal(body, of, principal) + body).decode().rstrip("=")


def decode_cursor(text: str, kind: type[P], of: str, principal: Principal) -> P:
    """Read what `encode_cursor` wrote. Raises InvalidError naming `cursor` for all else, and for what others were given.

    Whoever forges one comes to another place in what they may see anyway, so that the seal needs no secret.
    """
    try:
        sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        body = sealed[SEAL_BYTES:]
        if sealed == _seal(body, of, principal) + body:
            return _in_utc(msgspec.json.decode(body, type=kind))
    except (binascii.Error, msgspec.MsgspecError, ValueError, OverflowError) as error:
        raise _not_ours() from error
    raise _not_ours()


def _in_utc(place: P) -> P:
    values = {name: getattr(place, name) for name in place.__struct_fields__}
    times = {name: value.astimezone(UTC) for name, value in values.items() if isinstance(value, datetime)}
    return msgspec.structs.replace(place, **times)


def _seal(body: bytes, of: str, principal: Principal) -> bytes:
    whose = msgspec.json.encode([of, principal.workspace_id, principal.id])
    return blake2b(whose + body, digest_size=SEAL_BYTES).digest()


def _not_ours() -> InvalidError:
    return InvalidError("cursor is not one that this list gave to its caller", code="validation_error", field="cursor")
