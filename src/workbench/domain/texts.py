"""What no database of ours keeps in a text, and what no text of JSON may be."""

import math
import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec

MAX_DEPTH = 128
"""How deep objects and lists may lie in each other. Whoever walks them, to write them anew say, does it by recursion."""
SMALL_BYTES = 1024
"""Of a few large texts Python sees sooner that they are clean than C copies them."""
MAX_INTEGER_BITS = 1024
"""Longer integers are null, as is a number too large for a float: to print and to read them takes ever longer."""

# An escaped NUL in JSON: an odd number of backslashes before the u. Not the escaped backslash before a plain `u0000`.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
_UNSAFE = re.compile("[\x00\ud800-\udfff]")
_LONG_NUMBER = re.compile(rb"\d{%d}" % len(str(2**MAX_INTEGER_BITS)))
_OBJECTS = (dict, Mapping)
"""Nearly all are dicts; to ask whether something is any other mapping takes far longer."""
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


def cleaned_text(text: str) -> str:
    """The text with U+FFFD for every NUL and lone surrogate: PostgreSQL keeps neither, UTF-8 has no surrogates (D8)."""
    # Nearly all are so, and to see that takes a fifth of the time.
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSAFE.sub("\ufffd", text)


def cleaned(value: Any, depth: int = MAX_DEPTH) -> Any:
    """A copy of a value that can be encoded as JSON and kept by any database; it shares nothing that can be changed.

    Texts are cleaned, NaN and the infinities become null, keys become strings (D8); what JSON does not know becomes
    what it is written as, a tuple or set a list. Below `depth` levels there is only null. Never raises for JSON-like
    values. To clean once more changes nothing; so where the outcome equals the value, nothing was amiss.
    """
    if isinstance(value, str):
        return cleaned_text(str.__str__(value))
    if value is None or isinstance(value, int | float):
        return _cleaned_number(value)
    if depth <= 0:
        return None
    if isinstance(value, _OBJECTS):
        members = cast("Mapping[Any, Any]", value).items()
        return {cleaned_text(str(key)): cleaned(member, depth - 1) for key, member in members}
    if isinstance(value, list | tuple | set | frozenset):
        return [cleaned(member, depth - 1) for member in cast("list[Any]", value)]
    return cleaned(msgspec.to_builtins(value, str_keys=True, enc_hook=str), depth)


def cleaned_soon(value: Any, depth: int = MAX_DEPTH) -> Any:
    """The same, in a third of the time where it is small and nothing is amiss, as nearly always with what is streamed.

    What is equal once it was written and read is clean, but for what is looked for here, and C finds that out.
    """
    try:
        text = msgspec.json.encode(value)
        if len(text) <= SMALL_BYTES and not _may_be_amiss(text, depth) and (copy := msgspec.json.decode(text)) == value:
            return copy
    except (TypeError, ValueError, RecursionError):
        # It is no JSON as it is.
        pass
    return cleaned(value, depth)


def _may_be_amiss(text: bytes, depth: int) -> bool:
    return b"\\u0000" in text or text.count(b"[") + text.count(b"{") > depth or _LONG_NUMBER.search(text) is not None


def _cleaned_number(value: float | None) -> float | None:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool):
        return value
    return int(value) if value.bit_length() <= MAX_INTEGER_BITS else None


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
