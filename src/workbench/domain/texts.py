"""What no database of ours keeps in a text, and what no text of JSON may be."""

import re
from typing import Any, cast

import msgspec

MAX_DEPTH = 128
"""How deep objects and lists may lie in each other. Whoever walks them, to write them anew say, does it by recursion."""

# An escaped NUL in JSON: an odd number of backslashes before the u. Not the escaped backslash before a plain `u0000`.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
_TOO_DEEP = f"JSON may be nested {MAX_DEPTH} deep"


def without_nul(json: bytes) -> bytes:
    """Drop the NULs from the strings of a JSON text, and leave all else as it is."""
    return _NUL.sub(rb"\1", json) if b"\\u0000" in json else json


def without_quoted_nul(quoted: bytes) -> bytes:
    """Drop the NULs from a part of a URL, and leave all else as it is."""
    while b"%00" in quoted:  # what is left and right of one may be another
        quoted = quoted.replace(b"%00", b"")
    return quoted


def read_json(text: bytes) -> Any:
    """Read a JSON text. Raises msgspec.DecodeError where it is none, is not UTF-8, or is nested deeper than MAX_DEPTH."""
    try:
        value = msgspec.json.decode(text)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"JSON must be UTF-8: {error}") from error
    except RecursionError as error:
        raise msgspec.DecodeError(_TOO_DEEP) from error
    # Few texts have so many brackets at all.
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and _is_too_deep(value):
        raise msgspec.DecodeError(_TOO_DEEP)
    return value


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [member for one in level for member in _members(one) if isinstance(member, dict | list)]
        if not level:
            return False
    return True


def _members(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).values())
    return cast("list[Any]", value) if isinstance(value, list) else []
