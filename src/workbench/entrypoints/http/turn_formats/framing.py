"""Frames of one event in another vocabulary, which may have several words for it, or none."""

from collections.abc import Sequence
from typing import Any

import msgspec


def framed(words: Sequence[dict[str, Any]], seq: int) -> bytes:
    """A frame for each word. The place stands on the last one: who has it has had them all."""
    if not words:
        return b""
    frames = [b"data: %s\n\n" % msgspec.json.encode(word) for word in words]
    return b"".join(frames[:-1]) + b"id: %d\n" % seq + frames[-1]
