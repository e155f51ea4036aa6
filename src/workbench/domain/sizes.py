"""How large the parts of a record may be."""

from typing import Any

import msgspec

from workbench.domain.errors import TooLargeError


class SizeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The largest that is taken, each in bytes: of UTF-8 for text, of JSON for the rest."""

    message_bytes: int = 1 << 20
    metadata_bytes: int = 256 << 10

    def check_content(self, text: str) -> None:
        """Raise TooLargeError where a message's text is too long."""
        if len(text) > self.message_bytes or len(text.encode()) > self.message_bytes:
            raise _too_large("content", self.message_bytes)

    def check_json(self, field: str, value: dict[str, Any] | None) -> None:
        """Raise TooLargeError, which names the field, where its JSON is too long."""
        if value and len(msgspec.json.encode(value)) > self.metadata_bytes:
            raise _too_large(field, self.metadata_bytes)


def _too_large(field: str, limit: int) -> TooLargeError:
    return TooLargeError(f"{field} is limited to {limit} bytes", field=field, extra={"limit_bytes": limit})
