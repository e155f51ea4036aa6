"""Which values are sealed, and which of two are the same all the same."""

from collections.abc import Mapping
from typing import Any

from workbench.domain.flows.ports import Sealer

SEALED, MARK = "$sealed", "mark"


def is_sealed(value: Any) -> bool:
    """Whether it is what a sealer made."""
    return isinstance(value, dict) and SEALED in value


def opened(parameters: Mapping[str, Any], sealer: Sealer) -> dict[str, Any]:
    """Parameters as only services see them."""
    return {name: sealer.unseal(value) if is_sealed(value) else value for name, value in parameters.items()}


def comparable(value: Any) -> Any:
    """The value, or what stands for it where it is sealed: sealing the same twice does not give the same."""
    return ("sealed", value[MARK]) if is_sealed(value) else value
