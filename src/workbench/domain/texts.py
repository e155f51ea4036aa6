"""What no database of ours keeps in a text."""

import re

# An escaped NUL in JSON: an odd number of backslashes before the u. Not the escaped backslash before a plain `u0000`.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def without_nul(json: bytes) -> bytes:
    """Drop the NULs from the strings of a JSON text, and leave all else as it is."""
    return _NUL.sub(rb"\1", json) if b"\\u0000" in json else json
