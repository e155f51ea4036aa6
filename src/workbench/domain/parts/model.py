"""What a message is made of: its parts, as they are stored and shown, and how much of them there may be."""

from collections import Counter
from typing import Any, Literal

import msgspec

Part = dict[str, Any]
"""A part as it is stored: JSON whose `type` says what it is. Keys that we do not know are kept as they are."""
Parts = list[Part]
Slot = Literal["input", "output"]
"""Which message of a turn a part belongs to: the one that asks, or the one that answers."""
ClosingCode = Literal["cancelled", "error", "interrupted"]
"""Why an answer ended before its time."""

NO_RESPONSE = "(no text response)"
FILE_PREFIX = "workbench-file:"
"""An image that begins so is a file of the conversation, whose name follows."""

MAX_PARTS = 512
MAX_PARTS_BYTES = 4 << 20
"""How long all parts of a message may be, as JSON."""
MAX_RESULT_BYTES = 256 << 10
"""How long a tool's result may be, as JSON."""
MAX_TEXT_BYTES = 256 << 10
"""How long the text of an input may be, in UTF-8."""
MAX_IMAGES = 4
MAX_IMAGE_BYTES = 8 << 20
MAX_INLINE_IMAGE_BYTES = 64 << 10
"""A larger image becomes a file: a page of history with many of them inside would be tens of MiB."""
MAX_MENTIONS = 50
MAX_WARNINGS = 100
"""More are not told of: a list of a million mistakes helps nobody."""


class Warned(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was taken otherwise than it was sent, and where."""

    code: str
    path: str = ""


def text_part(text: str) -> Part:
    """A text. An empty one is what an answer consists of before there is any (S1)."""
    return {"type": "text", "text": text}


def is_data(part: Part) -> bool:
    """Whether it is one of the `data-*` parts, which belong to the application and decorate what is said."""
    return str(part.get("type")).startswith("data-")


def is_blank(text: Any) -> bool:
    """Whether there is nothing to read in it."""
    return not isinstance(text, str) or not text.strip()


def counts_by_type(parts: Parts) -> dict[str, int]:
    """How many parts of each type there are (X6)."""
    return dict(Counter(str(part.get("type")) for part in parts))
