"""Pages of a list, and the opaque cursor that leads to the next one."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec

from workbench.domain.errors import InvalidError

MAX_PAGE = 500


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The last item of a page in an order of newest first: the next page starts behind it."""

    created_datetime: Annotated[datetime, msgspec.Meta(tz=True)]
    id: UUID

    def encode(self) -> str:
        """Write the cursor as URL-safe text; its content is nobody's business but ours."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """Read what `encode` wrote. Raises InvalidError naming `cursor` for anything else."""
        try:
            found = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=cls)
            return msgspec.structs.replace(found, created_datetime=found.created_datetime.astimezone(UTC))
        except (binascii.Error, msgspec.MsgspecError, ValueError, OverflowError) as error:
            raise InvalidError("cursor is not one that this service gave out", field="cursor") from error
