"""Which values are sealed, and which of two are the same all the same."""

from typing import Any

SEALED, MARK = "$sealed", "mark"


def is_sealed(value: Any) -> bool:
    """Whether it is what a sealer made."""
    return isinstance(value, dict) and SEALED in value


def comparable(value: Any) -> Any:
    """The value, or what stands for it where it is sealed: sealing the same twice does not give the same."""
    return ("sealed", value[MARK]) if is_sealed(value) else value
