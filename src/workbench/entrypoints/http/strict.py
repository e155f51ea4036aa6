"""Routes that are strict with what they are sent: 400 `validation_error`, with each fault by the name of its field.

Their paths begin with words of their own, so that it is known before any route is found, and where there is none. The other
routes keep the contract that they were made for: 422 with a list of places, numbers and truths that come as text, any type
that has JSON in its name, and U+0000 left out.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec
from litestar import Controller
from litestar.handlers import BaseRouteHandler
from msgspec import inspect

from workbench.domain.errors import InvalidError

STRICT = frozenset({"ai-sessions", "playbooks", "psa-connections"})
"""How their paths begin."""
MAX_BODY_BYTES = 1 << 20
"""How large what is sent there may be, but for what has a limit of its own."""
CODE = "validation_error"

_PLACE = re.compile(r"(?P<words>.*?)(?: - at (?:`key` in )?`\$\.?(?P<place>.*)`)?", re.DOTALL)
_NAMED = re.compile(r"(?:missing required|contains unknown) field `(?P<name>.*)`", re.DOTALL)
_NO_SUCH_WORD = "Invalid enum value"
_NUL = "U+0000 cannot be kept"


class StrictController(Controller):
    """Routes that are strict, all of them with paths that say so."""

    request_max_body_size = MAX_BODY_BYTES


class FieldFault(msgspec.Struct, frozen=True, kw_only=True):
    """A field or parameter that does not fit, and why."""

    field: str
    message: str


def first_word(path: str) -> str:
    """How a path begins, as the router has it, for which more slashes are as good as one."""
    return path.lstrip("/").partition("/")[0]


def is_strict(path: str) -> bool:
    """Whether routes at a path are strict."""
    return first_word(path) in STRICT


def misfit(faults: Sequence[FieldFault]) -> InvalidError:
    """The error for a request that does not fit its route."""
    first = faults[0]
    extra = {"errors": msgspec.to_builtins(faults)}
    return InvalidError(f"{first.field}: {first.message}", code=CODE, field=first.field, extra=extra)


def parameter_fault(handler: BaseRouteHandler, name: str, message: str) -> FieldFault:
    """Name a parameter as its caller does, who knows nothing of our names for it; and say which words it takes."""
    parameter = handler.parsed_fn_signature.parameters.get(name)
    if parameter is None:
        return FieldFault(field=name, message=message)
    own_name: str | None = getattr(parameter.kwarg_definition, "name", None)
    return FieldFault(field=own_name or name, message=_in_words(message, parameter.annotation, ()))


def require_fit(handler: BaseRouteHandler, value: Any) -> None:
    """Raise InvalidError unless a body is what its route takes, with nothing converted, and no U+0000 in its texts."""
    data = handler.parsed_fn_signature.parameters.get("data")
    if data is None:
        return
    try:
        msgspec.convert(value, data.annotation)
    except msgspec.ValidationError as error:
        raise misfit([_body_fault(data.annotation, value, str(error))]) from error
    if (place := next(_nul_places(value, ""), None)) is not None:
        raise misfit([FieldFault(field=place.removeprefix(".") or "body", message=_NUL)])


def _body_fault(annotation: Any, value: Any, told: str) -> FieldFault:
    found = _PLACE.fullmatch(told)
    words, written = (found["words"], found["place"] or "") if found else (told, "")
    # A member of an object that may have any is told by the whole: `[...]` names nothing.
    place = [part for part in written.replace("[...]", "").split(".") if part]
    if named := _NAMED.search(words):
        place.append(named["name"])
    if not place:
        return FieldFault(field="body", message="a JSON body is required" if value is None else words)
    return FieldFault(field=".".join(place), message=_in_words(words, annotation, place))


def _in_words(message: str, annotation: Any, place: Sequence[str]) -> str:
    """The message, or where a word was expected, all those that are."""
    if not message.startswith(_NO_SUCH_WORD):
        return message
    return f"must be one of {', '.join(_words(inspect.type_info(annotation), place))}"


def _words(kind: inspect.Type, place: Sequence[str]) -> Iterator[str]:
    """The words that are allowed at a place within a type."""
    if isinstance(kind, inspect.LiteralType):
        yield from map(str, kind.values)
    elif isinstance(kind, inspect.StructType):
        for field in kind.fields:
            if place and field.encode_name == place[0].partition("[")[0]:
                yield from _words(field.type, place[1:])
    else:
        for each in _within(kind):
            yield from _words(each, place)


def _within(kind: inspect.Type) -> Sequence[inspect.Type]:
    if isinstance(kind, inspect.UnionType):
        return kind.types
    if isinstance(kind, inspect.CollectionType):
        return (kind.item_type,)
    return (kind.type,) if isinstance(kind, inspect.Metadata) else ()


def _nul_places(value: Any, place: str) -> Iterator[str]:
    """Where in a body there is a text with U+0000; what JSON may be is nested only so deep."""
    if isinstance(value, str):
        if "\x00" in value:
            yield place
    elif isinstance(value, dict):
        for name, member in cast("dict[str, Any]", value).items():
            if "\x00" in name:
                yield place
            yield from _nul_places(member, f"{place}.{name}")
    elif isinstance(value, list):
        for number, member in enumerate(cast("list[Any]", value)):
            yield from _nul_places(member, f"{place}[{number}]")
