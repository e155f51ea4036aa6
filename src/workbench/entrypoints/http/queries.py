"""Query parameters of the contract that the framework does not read by itself."""

from litestar.exceptions import ValidationException

TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})
FALSE = frozenset({"false", "0", "no", "off", "f", "n"})
BOOLEAN = {"type": "boolean"}
"""What the OpenAPI document says of a parameter that `flag` reads."""


def flag(name: str, text: str | None, *, default: bool) -> bool:
    """Read a boolean in any of the spellings that the contract takes. Anything else is a 422 that names it."""
    if text is None:
        return default
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    fault = {"message": f"{name} must be true or false", "key": name, "source": "query"}
    raise ValidationException(extra=[fault])


def one_of(name: str, text: str, *allowed: str) -> str:
    """Read one of a few words. Anything else is a 422 that names it."""
    if text in allowed:
        return text
    fault = {"message": f"{name} must be one of {', '.join(allowed)}", "key": name, "source": "query"}
    raise ValidationException(extra=[fault])
