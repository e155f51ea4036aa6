"""What a watched answer consists of by now, for those who show it while it grows."""

import json
from copy import deepcopy

from workbench.sdk.model import Json
from workbench.sdk.turn_model import TurnEvent


class TurnParts:
    """An answer as far as it was told: takes a turn's events, and is at the end what the workbench has stored."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.parts: list[Json] = []
        self._block: tuple[str, str] | None = None
        self._growing: Json | None = None  # the part that the open block grows, once it has one

    @property
    def text(self) -> str:
        """All that can be read of it: the parts of text, with a blank line between two."""
        texts = [part["text"] for part in self.parts if part["type"] == "text"]
        return "\n\n".join(text for text in texts if text.strip())

    def take(self, event: TurnEvent) -> None:
        """Take the next event; those that say nothing of the answer change nothing."""
        kind, _, step = event.event.partition(".")
        if event.event == "turn.reset":
            self._replace([])
        elif kind == "turn" and "parts" in event.data:  # a snapshot, or the end
            self._replace(deepcopy(event.data["parts"]))  # they grow, and an event does not change
        elif kind in {"text", "reasoning"}:
            self._take_text(kind, step, event.data)
        elif kind == "tool":
            self._take_tool(step, event.data)
        elif kind == "part":
            self._take_part(event.data["part"])

    def _replace(self, parts: list[Json]) -> None:
        self.parts = parts
        self._block, self._growing = None, parts[-1] if parts else None

    def _take_text(self, kind: str, step: str, data: Json) -> None:
        block = (kind, data["id"])
        if step == "end" or (step == "start" and self._block != block):
            self._block, self._growing = None, None
        if step == "start":
            self._block = block
        elif step == "delta" and data["delta"]:
            self._grow(kind, block, data["delta"])

    def _grow(self, kind: str, block: tuple[str, str], delta: str) -> None:
        # Behind a snapshot no block is known, and what comes without a start goes on with the last part.
        part = self._growing
        if part is None or part["type"] != kind or self._block not in {block, None}:
            part = {"type": kind, "text": ""}
            self.parts.append(part)
        part["text"] += delta
        self._block, self._growing = block, part

    def _take_tool(self, step: str, data: Json) -> None:
        part = self._tool(step, data)
        if part is None:
            return
        if step == "args.delta":
            part["argsText"] = part.get("argsText", "") + data["delta"]
        if step == "args":
            part["argsText"] = json.dumps(data["args"], indent=2, ensure_ascii=False)
        told = {"args": "args", "result": "result", "error": "message"}.get(step)
        if told is not None:
            part[step] = data[told]

    def _tool(self, step: str, data: Json) -> Json | None:
        call_id = data["toolCallId"]
        for part in self.parts:
            if part["type"] == "tool-call" and part["toolCallId"] == call_id:
                return part
        if step not in {"start", "args"}:
            return None
        self._block, self._growing = None, None
        self.parts.append({"type": "tool-call", "toolCallId": call_id, "toolName": data["toolName"], "args": {}})
        return self.parts[-1]

    def _take_part(self, part: Json) -> None:
        for place, one in enumerate(self.parts):
            if part.get("id") is not None and (one["type"], one.get("id")) == (part["type"], part["id"]):
                self.parts[place] = part
                return
        self.parts.append(part)
