"""What looks like a secret is not passed on, whoever wrote it where (7.7, 8.3)."""

import re

MASK = "[masked]"

_NAMED = re.compile(
    r"(?i)\b(pass(?:word|wort|code|phrase)?|pwd|pw|pin|secret|token|api[ _-]?key|credentials?)"
    r"(\s*(?::|=|\bis\b)\s*)(?!\[masked\])(\"[^\"]*\"|'[^']*'|\S+)"
)
_KEYS = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|AKIA[A-Z0-9]{12,}|xox[abprs]-[A-Za-z0-9-]{10,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)"
)


def masked(text: str) -> str:
    """The text without what stands behind the name of a secret, and without keys of well-known forms."""
    return _KEYS.sub(MASK, _NAMED.sub(rf"\1\2{MASK}", text))
