"""What a producer may tell of the answer that it makes: the events that parts are folded from (4.2)."""

from typing import Any, cast

import msgspec

from workbench.domain.errors import UnprocessableError
from workbench.domain.parts.checking import Id, require_part, require_shape
from workbench.domain.texts import MAX_DEPTH, cleaned_soon

OF_THE_LOG = frozenset({"type", "turn_id", "seq", "epoch", "at"})
"""Names that every event has from the log: a producer that sends them does not overwrite what is true."""


class ProducerEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a producer tells: its type, and the payload without the names that the log gives."""

    type: str
    payload: dict[str, Any]


class _Block(msgspec.Struct):
    id: Id


class _Delta(msgspec.Struct):
    id: Id
    delta: str


class _Tool(msgspec.Struct, rename="camel", kw_only=True):
    tool_call_id: Id
    tool_name: Id
    metadata: dict[str, Any] | None = None
    langchain_tool_call_id: str | None = None


class _ToolArgs(_Tool, rename="camel", kw_only=True):
    args: dict[str, Any]


class _OfTool(msgspec.Struct, rename="camel", kw_only=True):
    tool_call_id: Id
    metadata: dict[str, Any] | None = None
    langchain_tool_call_id: str | None = None


class _ToolArgsDelta(_OfTool, rename="camel", kw_only=True):
    delta: str


class _ToolResult(_OfTool, rename="camel", kw_only=True):
    result: Any


class _ToolError(_OfTool, rename="camel", kw_only=True):
    message: str


class _WholePart(msgspec.Struct):
    part: dict[str, Any]


class _UsageCall(msgspec.Struct):
    """Accounting knows what it must hold."""


_SHAPES: dict[str, type[msgspec.Struct]] = {
    "text.start": _Block,
    "text.delta": _Delta,
    "text.end": _Block,
    "reasoning.start": _Block,
    "reasoning.delta": _Delta,
    "reasoning.end": _Block,
    "tool.start": _Tool,
    "tool.args.delta": _ToolArgsDelta,
    "tool.args": _ToolArgs,
    "tool.result": _ToolResult,
    "tool.error": _ToolError,
    "part": _WholePart,
    "usage.call": _UsageCall,
}
_STREAMED = frozenset({"text", "reasoning", "tool-call"})


def producer_events(values: list[Any], path: str = "events") -> list[ProducerEvent]:
    """A producer's events, cleaned (D8); all of them or none (8).

    Raises UnprocessableError, which names the index of the event below `path`: `unknown_event` for a type that is unknown or
    the server's own (`turn.*`), `invalid_event` for a wrong payload; for the part of a `part` event as `require_part`,
    which may be an image, a state or data: the rest is streamed.
    """
    sent = cleaned_soon(values, MAX_DEPTH + 1)
    return [_event(each, f"{path}[{index}]") for index, each in enumerate(sent)]


def _event(sent: Any, path: str) -> ProducerEvent:
    if not isinstance(sent, dict):
        raise UnprocessableError("an event is an object", code="invalid_event", field=path)
    payload = cast("dict[str, Any]", sent)
    kind = payload.get("type")
    shape = _SHAPES.get(kind) if isinstance(kind, str) else None
    if shape is None or not isinstance(kind, str):
        raise UnprocessableError("a producer sends no events of this type", code="unknown_event", field=f"{path}.type")
    for name in OF_THE_LOG & payload.keys():
        del payload[name]
    require_shape(payload, shape, path, code="invalid_event")
    if kind == "part":
        payload["part"] = _whole_part(payload["part"], f"{path}.part")
    return ProducerEvent(type=kind, payload=payload)


def _whole_part(value: dict[str, Any], path: str) -> dict[str, Any]:
    part = require_part(value, path, "output")
    if part["type"] in _STREAMED:
        raise UnprocessableError(
            "this part is streamed in events of its own", code="unknown_part", field=f"{path}.type"
        )
    return part
