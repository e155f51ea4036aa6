"""Blueprints in the layout of TrustGraph, read as ours.

There, the sections `blueprint` (in older ones `class`) and `flow` name processors as `name:variant`, with the topics and
the settings of each; an interface is a topic that is sent to, or a request and a response.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal, cast

from workbench.domain.errors import InvalidError
from workbench.domain.flows.blueprints import read_document
from workbench.domain.flows.model import Document

SECTIONS: dict[str, Literal["blueprint", "flow"]] = {"blueprint": "blueprint", "class": "blueprint", "flow": "flow"}
SETTINGS = ("parameters", "settings")
PARAMETER_FIELDS = ("type", "description", "order", "default", "controlled_by", "advanced")

_ADDRESS = re.compile(r"(?:non-)?persistent://([^/]+)/([^/]+)/(.+)")
"""A topic as Pulsar calls it: tenant, namespace, name."""

Fields = dict[str, Any]
EMPTY: Fields = {}


def read_foreign(value: object) -> Document:
    """Read one. Raises InvalidError, UnprocessableError."""
    whole = _fields(value, "$")
    document: Fields = {
        "description": whole.get("description", ""),
        "tags": whole.get("tags", []),
        "parameters": {
            name: _parameter(use, f"$.parameters.{name}")
            for name, use in _fields(whole.get("parameters", {}), "$.parameters").items()
        },
        "services": [
            _service(key, entry, scope, f"$.{section}.{key}")
            for section, scope in SECTIONS.items()
            for key, entry in _fields(whole.get(section, {}), f"$.{section}").items()
        ],
        "interfaces": {
            name: _interface(entry, f"$.interfaces.{name}")
            for name, entry in _fields(whole.get("interfaces", {}), "$.interfaces").items()
        },
    }
    if not document["services"]:
        raise InvalidError("$: has no processors in the sections blueprint, class or flow", field="$")
    return read_document(document)


def _parameter(use: object, path: str) -> Fields:
    """What a parameter is; older ones only name its type. What we do not know of it is left out."""
    if isinstance(use, str):
        return {"type": use}
    given = {name.replace("-", "_"): value for name, value in _fields(use, path).items()}
    return {name: given[name] for name in PARAMETER_FIELDS if given.get(name) is not None}


def _service(key: str, entry: object, scope: Literal["blueprint", "flow"], path: str) -> Fields:
    name, _, variant = key.partition(":")
    fields = _fields(entry, path)
    settings: Any = next((fields[each] for each in SETTINGS if each in fields), EMPTY)
    # Newer ones have their topics in a place of their own, older ones beside the settings.
    topics = fields["topics"] if "topics" in fields else {n: v for n, v in fields.items() if n not in SETTINGS}
    return {
        "service": name,
        "scope": scope,
        "variant": _renamed(variant),
        "topics": {each: _topic(topic, f"{path}.{each}") for each, topic in _fields(topics, path).items()},
        "parameters": _renamed(_fields(settings, path)),
    }


def _interface(entry: object, path: str) -> Fields:
    """Its services are the other system's: they know nothing of our messages, nor do they tell us that they live."""
    if isinstance(entry, str):
        return {"kind": "send", "topic": _topic(entry, path)}
    fields = _fields(entry, path)
    if "flow" in fields:
        return {"kind": "send", "topic": _topic(fields["flow"], path)}
    found = {name: _topic(fields.get(name), f"{path}.{name}") for name in ("request", "response")}
    return {**found, "dialect": "plain"}


def _topic(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise InvalidError(f"{path}: is no topic", field=path)
    address = _ADDRESS.fullmatch(value)
    return _renamed(value if address is None else f"{address[2]}:{address[1]}:{address[3]}")


def _renamed(value: Any) -> Any:
    """With what was called a class as what it is called now, in all texts."""
    if isinstance(value, str):
        return value.replace("{class}", "{blueprint}")
    if isinstance(value, dict):
        return {name: _renamed(inner) for name, inner in cast("Fields", value).items()}
    if isinstance(value, list):
        return [_renamed(inner) for inner in cast("list[Any]", value)]
    return value


def _fields(value: object, path: str) -> Fields:
    if not isinstance(value, Mapping):
        raise InvalidError(f"{path}: is no object", field=path)
    return dict(cast("Mapping[str, Any]", value))
