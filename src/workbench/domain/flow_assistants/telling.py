"""From what a service of a flow says to the events of a turn: a text, a tool's call, or whatever else it is."""

from collections.abc import Mapping
from typing import Any

import msgspec

from workbench.domain.bus.calls import Usage
from workbench.domain.errors import WorkbenchError
from workbench.domain.flow_assistants.paths import at_path
from workbench.domain.flows.model import AGENT, PRESETS
from workbench.domain.parts.events import ProducerEvent, producer_events
from workbench.domain.usage.model import ReportedCall

Events = list[ProducerEvent]
MICROS = 1_000_000


class Telling:
    """One answer, as it comes."""

    def __init__(self, output_map: Mapping[str, str] | str | None) -> None:
        """Read what services say by a map from what is said to the path where it stands, or by a preset's name."""
        self._is_agent = output_map == AGENT
        self._map = PRESETS.get(output_map) if isinstance(output_map, str) else output_map
        self._open: tuple[str, str] | None = None
        self._blocks = 0
        self._tools = 0
        self._gathered = ""
        self._usage: dict[str, Any] = {}

    def tell(self, data: Any) -> Events:
        """What one reply says."""
        if data is None:
            return []
        if isinstance(data, str):
            return self._said("text", data)
        if not isinstance(data, dict):
            return self._other(data)
        fields: dict[str, Any] = data  # pyright: ignore[reportUnknownVariableType]
        if self._is_agent:
            return self._by_agent(fields)
        if self._map is not None:
            return self._by_map(fields, self._map)
        return self._native(fields)

    def end(self, call_id: str, usage: Usage | None) -> Events:
        """What is to be said when all was; what it took only where the service says so."""
        return [*self._close(), *self._used(call_id, usage)]

    def _native(self, data: dict[str, Any]) -> Events:
        kind = data.get("type")
        if kind in ("text", "reasoning") and isinstance(data.get("delta"), str):
            return self._said(kind, data["delta"])
        if kind == "tool_call":
            call = {"toolCallId": data.get("id"), "toolName": data.get("name")}
            told: list[dict[str, Any]] = [
                {"type": "tool.start", **call},
                {"type": "tool.args", **call, "args": _object(data.get("args"))},
            ]
            return self._checked(told, data)
        if kind == "tool_result":
            told = [{"type": "tool.result", "toolCallId": data.get("id"), "result": data.get("result")}]
            return self._checked(told, data)
        return self._other(data)

    def _by_map(self, data: dict[str, Any], places: Mapping[str, str]) -> Events:
        found = {name: at_path(data, path) for name, path in places.items()}
        self._usage |= {
            name: value for name, value in found.items() if name not in ("text", "reasoning") and value is not None
        }
        said = [(kind, found.get(kind)) for kind in ("reasoning", "text")]
        return [event for kind, delta in said if isinstance(delta, str) for event in self._said(kind, delta)]

    def _by_agent(self, data: dict[str, Any]) -> Events:
        """A thought, what is done and what came of it, or the answer; each may come in several pieces."""
        kind, content = data.get("message_type"), data.get("content")
        if not isinstance(content, str):
            return []
        if kind in ("action", "observation"):
            before = [] if self._open == (kind, "") else self._close()
            self._open = (kind, "")
            self._gathered += content
            return before
        return self._said("reasoning" if kind == "thought" else "text", content)

    def _said(self, kind: str, delta: str) -> Events:
        if not delta:
            return []
        before: Events = []
        if self._open is None or self._open[0] != kind:
            before = self._close()
            self._blocks += 1
            self._open = (kind, f"b{self._blocks}")
            before.append(_event(f"{kind}.start", id=self._open[1]))
        return [*before, *producer_events([{"type": f"{kind}.delta", "id": self._open[1], "delta": delta}])]

    def _other(self, data: Any) -> Events:
        before = self._close()
        return [*before, *producer_events([{"type": "part", "part": {"type": "data-flow", "data": data}}])]

    def _checked(self, told: list[dict[str, Any]], data: Any) -> Events:
        """Events of a service's own making; what is not well formed is handed on as it is."""
        before = self._close()
        try:
            return [*before, *producer_events(told)]
        except WorkbenchError:
            return [*before, *self._other(data)]

    def _close(self) -> Events:
        if self._open is None:
            return []
        (kind, block), self._open = self._open, None
        gathered, self._gathered = self._gathered, ""
        if kind == "action":
            self._tools += 1
            call = {"toolCallId": f"a{self._tools}", "toolName": "action"}
            return [_event("tool.start", **call), _event("tool.args", **call, args={"content": gathered})]
        if kind == "observation":
            return [_event("tool.result", toolCallId=f"a{self._tools}", result=gathered)]
        return [_event(f"{kind}.end", id=block)]

    def _used(self, call_id: str, usage: Usage | None) -> Events:
        payload = _reported(usage) if usage is not None else self._usage
        if not payload:
            return []
        payload = {"call_id": call_id, **payload}
        try:
            msgspec.convert(payload, ReportedCall)
        except msgspec.ValidationError:
            return []  # figures that can be none are as good as unknown
        return [_event("usage.call", **payload)]


def _reported(usage: Usage) -> dict[str, Any]:
    told = {
        "model": usage.model,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
    }
    cost = usage.cost_micros
    if isinstance(cost, int) and cost >= 0:
        return {**told, "cost_usd": f"{cost // MICROS}.{cost % MICROS:06d}"}
    return told


def _object(value: Any) -> Any:
    return {} if value is None else value


def _event(kind: str, **payload: Any) -> ProducerEvent:
    return ProducerEvent(type=kind, payload=payload)
