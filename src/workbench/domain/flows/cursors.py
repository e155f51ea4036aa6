"""Where a page of names ended."""

import base64
import binascii

import msgspec

from workbench.domain.errors import InvalidError

MAX_LIMIT = 200


class NameCursor(msgspec.Struct, frozen=True, array_like=True):
    """The last name of a page, and its generation where there are several."""

    name: str
    generation: int = 0

    def encode(self) -> str:
        """Write it as text for URLs."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")


def read_cursor(text: str | None) -> NameCursor | None:
    """Read what `encode` wrote. Raises InvalidError."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=NameCursor)
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise InvalidError("cursor is not one that this service gave out", field="cursor") from error
