"""The names of settings: which exist, what each allows, and how a wrong one is reported."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import takewhile
from typing import Any, TypeGuard, get_args, get_origin

import msgspec
from pydantic import BaseModel, ValidationError

PREFIX = "WORKBENCH__"
DELIMITER = "__"
ANY_NAME = "<NAME>"
"""Stands in a setting's name where the operator puts one of their own."""


class SettingsError(ValueError):
    """Settings that cannot be used; the text has one line for each fault, beginning with the setting's name."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        """Keep the faults by the name of their setting."""
        self.faults = dict(faults)
        super().__init__("\n".join(f"{name}: {text}" for name, text in self.faults.items()))


class MisfitError(ValueError):
    """A fault between two groups, at `setting` rather than where the check runs."""

    def __init__(self, setting: str, detail: str) -> None:
        """Name the setting (`WORKBENCH__X__Y`) to be changed."""
        super().__init__(detail)
        self.setting = setting


class SettingEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One setting, as the reference page shows it."""

    name: str
    description: str
    allowed: str
    default: str


def environment_name(*path: str | int) -> str:
    """Name the environment variable of a setting; a place in a list is in brackets, names inside it follow dots.

    >>> environment_name("auth", "issuers", 0, "secret")
    'WORKBENCH__AUTH__ISSUERS[0].secret'
    """
    names = [part.upper() for part in takewhile(lambda part: isinstance(part, str), path) if isinstance(part, str)]
    inside = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path[len(names) :])
    return PREFIX + DELIMITER.join(names) + inside


def setting_names(model: type[BaseModel]) -> list[str]:
    """Name every setting of the model, in its order."""
    return [environment_name(*path) for path in _paths(model)]


def known_settings(model: type[BaseModel]) -> list[SettingEntry]:
    """Describe every setting of the model, in its order: slower than naming them by the schema that pydantic makes."""
    schema = model.model_json_schema()
    return [
        SettingEntry(
            name=environment_name(*path),
            description=str(leaf.get("description", "")),
            allowed=_allowed(leaf, schema),
            default="" if leaf.get("default") is None else msgspec.json.encode(leaf["default"]).decode().strip('"'),
        )
        for path in _paths(model)
        for leaf in [_leaf(path, schema)]
    ]


def unknown_names(given: Iterable[str], known: Sequence[str]) -> dict[str, str]:
    """Report each variable that has our prefix but names no setting; case does not matter."""
    wrong = (name.upper() for name in given if name.upper().startswith(PREFIX))
    return {name: _no_such(name, known) for name in wrong if _known_as(name, known) is None}


def faults_of(error: ValidationError, known: Iterable[SettingEntry]) -> dict[str, str]:
    """Say what pydantic found, by setting, with what is allowed instead and never with the input."""
    entries = {entry.name: entry for entry in known}
    faults: dict[str, str] = {}
    for fault in error.errors(include_url=False, include_input=False):
        cause = fault.get("ctx", {}).get("error")
        name = cause.setting if isinstance(cause, MisfitError) else environment_name(*fault["loc"])
        if fault["type"] == "extra_forbidden":
            faults[name] = _no_such(name, list(entries))
            continue
        what = str(cause) if cause is not None else _lower_first(fault["msg"])
        entry = entries.get(_known_as(name.partition("[")[0], entries) or "")
        faults[name] = f"{what}; allowed: {entry.allowed}" if entry is not None else what
    return faults


def _paths(group: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    for name, field in group.model_fields.items():
        inner, of_any_name = field.annotation, _entry_of(field.annotation)
        if _is_group(inner):
            yield from ((name, *path) for path in _paths(inner))
        elif _is_group(of_any_name):
            yield from ((name, ANY_NAME, *path) for path in _paths(of_any_name))
        else:
            yield (name,)


def _is_group(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _entry_of(kind: object) -> object:
    """What a group holds by names of the operator's own; None where it is not such a group."""
    return get_args(kind)[1] if get_origin(kind) is dict else None


def _leaf(path: Iterable[str], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of one setting."""
    node = schema
    for name in path:
        group = _resolved(node, schema)
        node = group["additionalProperties"] if name == ANY_NAME else group["properties"][name]
    return node


def _known_as(name: str, names: Iterable[str]) -> str | None:
    """The setting that this variable sets."""
    parts = name.split(DELIMITER)
    return next((known for known in names if _fits(parts, known.split(DELIMITER))), None)


def _fits(parts: list[str], known: list[str]) -> bool:
    return len(parts) == len(known) and all(own in (part, ANY_NAME) for part, own in zip(parts, known, strict=True))


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref")
    return node if reference is None else schema["$defs"][reference.rpartition("/")[2]]


def _allowed(node: dict[str, Any], schema: dict[str, Any]) -> str:
    if "examples" in node:
        return "such as " + ", ".join(map(str, node["examples"]))
    if "anyOf" in node:
        return " or ".join(_allowed(each, schema) for each in node["anyOf"] if each.get("type") != "null")
    if "enum" in node or "const" in node:
        return ", ".join(map(str, node.get("enum", [node.get("const")])))
    if node.get("type") == "array":
        return f"a JSON list of {_allowed(_resolved(node['items'], schema), schema)}"
    return _allowed_scalar(node)


def _allowed_scalar(node: dict[str, Any]) -> str:
    kind = node.get("type")
    if kind == "boolean":
        return "true, false"
    if kind not in {"integer", "number"}:
        return "text"
    words = "an integer" if kind == "integer" else "a number"
    if "exclusiveMinimum" in node:
        words += f" above {node['exclusiveMinimum']:g}"
    if "minimum" in node:
        words += f" from {node['minimum']}"
    if "maximum" in node:
        words += f" up to {node['maximum']}"
    return words


def _no_such(name: str, names: Sequence[str]) -> str:
    parts = name.split(DELIMITER)
    group = [
        known
        for known in names
        if len(known.split(DELIMITER)) > len(parts) and _fits(parts, known.split(DELIMITER)[: len(parts)])
    ]
    if group:
        return f"is a group, not a setting; allowed: {', '.join(group)}"
    if "[" in name:
        return "there is no such name in an entry of this list"
    nearest = get_close_matches(name.removeprefix(PREFIX), [known.removeprefix(PREFIX) for known in names], n=1)
    return "there is no such setting" + (f"; did you mean {PREFIX}{nearest[0]}?" if nearest else "")


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
