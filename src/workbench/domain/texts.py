"""What no database of ours keeps in a text."""

import math
import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec

# An escaped NUL in JSON: an odd number of backslashes before the u. Not the escaped backslash before a plain `u0000`.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
_UNSAFE = re.compile("[\x00\ud800-\udfff]")

MAX_DEPTH = 100
"""How deep JSON may be nested. What lies deeper is null: parsers have a limit of their own, and fail at it."""
MAX_INTEGER_BITS = 1024
"""Longer integers are null, as is a number too large for a float: to print and to read them takes ever longer."""


def without_nul(json: bytes) -> bytes:
    """Drop the NULs from the strings of a JSON text, and leave all else as it is."""
    return _NUL.sub(rb"\1", json) if b"\\u0000" in json else json


def cleaned_text(text: str) -> str:
    """The text with U+FFFD for every NUL and lone surrogate: PostgreSQL keeps neither, UTF-8 has no surrogates (D8)."""
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
    if isinstance(value, Mapping):
        members = cast("Mapping[Any, Any]", value).items()
        return {cleaned_text(str(key)): cleaned(member, depth - 1) for key, member in members}
    if isinstance(value, list | tuple | set | frozenset):
        return [cleaned(member, depth - 1) for member in cast("list[Any]", value)]
    return cleaned(msgspec.to_builtins(value, str_keys=True, enc_hook=str), depth)


def _cleaned_number(value: float | None) -> float | None:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool):
        return value
    return int(value) if value.bit_length() <= MAX_INTEGER_BITS else None
