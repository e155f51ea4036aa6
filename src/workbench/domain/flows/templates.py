"""Names with placeholders in them: how they are read, filled in, and whose the topics are that they name."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from workbench.domain.bus.model import OWN_TOPICS, TopicName
from workbench.domain.flows.model import Finding, Scope

PLACEHOLDERS = ("id", "blueprint", "workspace")
MAX_ESCAPED = 40
HEAD_CHARACTERS = 23

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_SAFE = re.compile(rb"[A-Za-z0-9_-]")


class TemplateError(ValueError):
    """A template that cannot be used."""

    def __init__(self, code: str, detail: str) -> None:
        """`code` is what findings say."""
        super().__init__(detail)
        self.code = code


def escaped_workspace(workspace_id: str) -> str:
    """A workspace's id as a segment of a topic, of which no two have the same."""
    parts = [chr(byte) if _SAFE.match(bytes([byte])) else f"~{byte:02x}" for byte in workspace_id.encode()]
    escaped = "".join(parts)
    if len(escaped) <= MAX_ESCAPED:
        return escaped
    return f"{escaped[:HEAD_CHARACTERS]}~{hashlib.sha256(workspace_id.encode()).hexdigest()[:16]}"


def placeholders_in(text: str) -> list[str]:
    """The placeholders of a text, in their order. Raises TemplateError for a brace that stands alone."""
    found: list[str] = []
    for token in _TOKEN.finditer(text):
        if token[0] in ("{", "}"):
            raise TemplateError("invalid_template", f"{text!r} has a brace without its other half")
        if token[1] is not None:
            found.append(token[1])
    return found


def filled(text: str, values: Mapping[str, Any]) -> str:
    """The text with its placeholders filled in, in one pass: what is put in is not looked at again."""

    def value_of(token: re.Match[str]) -> str:
        if token[1] is None:
            return token[0][:1]
        return as_text(values[token[1]])

    return _TOKEN.sub(value_of, text)


def as_text(value: Any) -> str:
    """A value inside longer text: texts as they are, all else as JSON has it."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def filled_value(value: Any, values: Mapping[str, Any]) -> Any:
    """A value of a service's parameters. One that is a placeholder and nothing else keeps the type of what it names."""
    if isinstance(value, str):
        whole = re.fullmatch(r"\{([^{}]*)\}", value)
        return values[whole[1]] if whole else filled(value, values)
    if isinstance(value, dict):
        fields: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return {name: filled_value(inner, values) for name, inner in fields.items()}
    if isinstance(value, list):
        items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        return [filled_value(inner, values) for inner in items]
    return value


def placeholders_within(value: Any) -> set[str]:
    """The placeholders in all texts of a value."""
    if isinstance(value, str):
        return set(placeholders_in(value))
    inner: list[Any] = []
    if isinstance(value, dict):
        inner = list(value.values())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    elif isinstance(value, list):
        inner = value  # pyright: ignore[reportUnknownVariableType]
    return {name for each in inner for name in placeholders_within(each)}


def scope_of(template: str) -> Scope:
    """Who shares the topic: by what its name depends on."""
    found = placeholders_in(template)
    if "id" in found:
        return "flow"
    if "blueprint" in found:
        return "blueprint"
    return "workspace" if "workspace" in found else "global"


def is_owned(template: str) -> bool:
    """Whether flows make the topic and take it away. One without a placeholder is somebody else's."""
    return scope_of(template) != "global"


def is_isolated(template: str) -> bool:
    """Whether the first segment of its name is the workspace, so that it cannot be another's."""
    return full(template).split(":")[2] == "{workspace}"


def full(template: str) -> str:
    """A bare word as the topic that it means."""
    return template if ":" in template else f"flow:wb:{template}"


def check_template(template: str, parameters: frozenset[str]) -> None:
    """Raises TemplateError for what could not name a topic, whatever is filled in."""
    for found in placeholders_in(template):
        if found in PLACEHOLDERS:
            continue
        if found in parameters:
            raise TemplateError("parameter_in_topic", f"{template!r}: a parameter may not name a topic")
        raise TemplateError("unknown_placeholder", f"{template!r}: there is no placeholder {{{found}}}")
    if "{{" in template or "}}" in template:
        raise TemplateError("invalid_template", f"{template!r}: no topic has braces in its name")
    topic_of(template, {"id": "i" * 40, "blueprint": "b" * 40, "workspace": "w" * 40})


def topic_of(template: str, values: Mapping[str, str]) -> TopicName:
    """The topic that a template names. Raises TemplateError."""
    text = full(template)
    # A placeholder may stand in the name only: its class and space say what the topic is.
    if "{" in ":".join(text.split(":")[:2]):
        raise TemplateError("invalid_template", f"{template!r}: only the name of a topic has placeholders")
    try:
        found = TopicName.parse(filled(text, values))
    except ValueError as error:
        raise TemplateError("invalid_template", f"{template!r}: {error}") from None
    if str(found) in OWN_TOPICS:
        raise TemplateError("invalid_template", f"{template!r} is a topic of the service's own")
    return found


def finding(path: str, error: TemplateError) -> Finding:
    """What a document's author is told."""
    return Finding(path=path, code=error.code, detail=str(error))
