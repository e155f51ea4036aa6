"""Folding what a producer told, event by event, into the parts of the answer."""

import copy
import json
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, cast

from workbench.domain.parts.model import Part, Parts, is_blank, text_part
from workbench.domain.texts import cleaned, cleaned_text

BlockKind = Literal["text", "reasoning"]


class Folding:
    """An answer as it grows: takes events one by one, and can be looked at between any two of them (F1 to F7).

    An event may come as a producer sent it or as the log has it. Nothing is taken over from an event that could change
    afterwards, and nothing is given out that could change this. Not for use by several threads.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._parts: Parts = []
        self._block: _Block | None = None
        self._calls: dict[str, _Call] = {}
        self._takers: dict[str, Callable[[dict[str, Any]], None]] = {
            "text.start": partial(self._start, "text"),
            "text.delta": partial(self._grow, "text"),
            "text.end": partial(self._end, "text"),
            "reasoning.start": partial(self._start, "reasoning"),
            "reasoning.delta": partial(self._grow, "reasoning"),
            "reasoning.end": partial(self._end, "reasoning"),
            "tool.start": self._start_call,
            "tool.args.delta": self._grow_args,
            "tool.args": self._set_args,
            "tool.result": self._set_result,
            "tool.error": self._set_error,
            "part": self._add_part,
            "turn.reset": lambda _: self._restore([]),
            "turn.snapshot": self._take_snapshot,
        }

    def take(self, kind: str, payload: dict[str, Any]) -> None:
        """Fold an event in that was checked by `producer_events`, or is the server's own.

        What says nothing of parts, or of a tool's call that is unknown, is left out. `turn.reset` forgets everything,
        `turn.snapshot` replaces everything (4.2).
        """
        taker = self._takers.get(kind)
        if taker is not None:
            taker(cleaned(payload))

    def add_final_text(self, text: str) -> None:
        """Add the text that the provider gave at the end, if none was streamed that can be seen (F6, X7)."""
        streamed = any(part["type"] == "text" and not is_blank(part["text"]) for part in self.snapshot())
        if not streamed and not is_blank(text):
            self._close_block(None)
            self._parts.append(text_part(cleaned_text(text)))

    def snapshot(self) -> Parts:
        """The parts up to now: a deep copy that is JSON-safe (F7)."""
        self._settle()
        return copy.deepcopy(self._parts)

    def state(self) -> dict[str, Any]:
        """All that is needed to go on from here, as the payload of a `turn.snapshot`: the parts, and the open block.

        Folding this and the events that follow gives the same as folding all events.
        """
        block = self._block
        place = next((place for place, part in enumerate(self._parts) if block and part is block.part), None)
        opened = {"kind": block.kind, "id": block.id, "at": block.at, "place": place} if block else None
        return {"parts": self.snapshot(), "open": opened}

    def _start(self, kind: BlockKind, payload: dict[str, Any]) -> None:
        self._opened(kind, payload)

    def _opened(self, kind: BlockKind, payload: dict[str, Any]) -> "_Block":
        """The block that an event belongs to. One at most is open: another one closes it (F2)."""
        block = self._block
        if block is None or not block.is_same(kind, payload):
            self._close_block(payload.get("at"))
            block = self._block = _Block(kind, payload.get("id"), payload.get("at"))
        return block

    def _grow(self, kind: BlockKind, payload: dict[str, Any]) -> None:
        delta = payload.get("delta")
        if not isinstance(delta, str) or not delta:
            return
        block = self._opened(kind, payload)
        if block.growth is None:
            self._parts.append(block.begin())
        block.add(delta)

    def _end(self, kind: BlockKind, payload: dict[str, Any]) -> None:
        if self._block is not None and self._block.is_same(kind, payload):
            self._close_block(payload.get("at"))

    def _close_block(self, at: Any) -> None:
        if self._block is not None:
            self._block.close(at)
        self._block = None

    def _start_call(self, payload: dict[str, Any]) -> None:
        identity = payload.get("toolCallId")
        if isinstance(identity, str) and identity not in self._calls:
            self._close_block(payload.get("at"))
            part: Part = {
                "type": "tool-call",
                "toolCallId": identity,
                "toolName": payload.get("toolName", ""),
                "args": {},
            }
            self._parts.append(part)
            self._calls[identity] = _Call(part)
        self._call(payload)

    def _call(self, payload: dict[str, Any]) -> "_Call | None":
        identity = payload.get("toolCallId")
        call = self._calls.get(identity) if isinstance(identity, str) else None
        if call is not None:
            call.complete(payload)
        return call

    def _grow_args(self, payload: dict[str, Any]) -> None:
        call, delta = self._call(payload), payload.get("delta")
        if call is not None and isinstance(delta, str) and delta:
            call.add_args(delta)

    def _set_args(self, payload: dict[str, Any]) -> None:
        args = payload.get("args")
        if isinstance(args, dict):
            self._start_call(payload)
            call = self._call(payload)
            if call is not None:
                call.set_args(cast("dict[str, Any]", args))

    def _set_result(self, payload: dict[str, Any]) -> None:
        call = self._call(payload)
        if call is not None:
            call.part.pop("error", None)
            call.part["result"] = payload.get("result")

    def _set_error(self, payload: dict[str, Any]) -> None:
        call = self._call(payload)
        if call is not None:
            call.part.pop("result", None)
            call.part["error"] = str(payload.get("message") or "")

    def _add_part(self, payload: dict[str, Any]) -> None:
        part = payload.get("part")
        if not isinstance(part, dict):
            return
        added = cast("Part", part)
        place = self._place_of(added)
        if place is None:
            self._parts.append(added)
        else:
            self._parts[place] = added

    def _place_of(self, added: Part) -> int | None:
        """Where data with the same id stand, which are replaced (3.1)."""
        kind, identity = str(added.get("type")), added.get("id")
        if not kind.startswith("data-") or identity is None:
            return None
        same = (n for n, part in enumerate(self._parts) if part["type"] == kind and part.get("id") == identity)
        return next(same, None)

    def _take_snapshot(self, payload: dict[str, Any]) -> None:
        self._restore(cast("Parts", payload.get("parts") or []))
        opened = cast("dict[str, Any] | None", payload.get("open"))
        if opened is None:
            return
        self._block = _Block(opened["kind"], opened["id"], opened["at"])
        place: int | None = opened["place"]
        if place is not None:
            self._block.resume(self._parts[place])

    def _restore(self, parts: Parts) -> None:
        self._parts, self._block = parts, None
        self._calls = {part["toolCallId"]: _Call(part) for part in parts if part["type"] == "tool-call"}

    def _settle(self) -> None:
        for growth in (self._block, *self._calls.values()):
            if growth is not None:
                growth.settle()


class _Growth:
    """A text in a part that grows by pieces, which are joined only when somebody looks: each join copies all of it."""

    def __init__(self, part: Part, name: str) -> None:
        self.part, self._name = part, name
        self._pieces: list[str] = [part.get(name) or ""]

    def add(self, piece: str) -> None:
        self._pieces.append(piece)

    def settle(self) -> None:
        self._pieces = ["".join(self._pieces)]
        self.part[self._name] = self._pieces[0]


class _Block:
    """A run of text or reasoning that is open. It has no part before it has a text."""

    def __init__(self, kind: BlockKind, identity: Any, at: Any) -> None:
        self.kind, self.id, self.at = kind, identity, at
        self.growth: _Growth | None = None

    @property
    def part(self) -> Part | None:
        return self.growth.part if self.growth else None

    def is_same(self, kind: BlockKind, payload: dict[str, Any]) -> bool:
        return (self.kind, self.id) == (kind, payload.get("id"))

    def begin(self) -> Part:
        part = text_part("") if self.kind == "text" else self._reasoning()
        self.resume(part)
        return part

    def resume(self, part: Part) -> None:
        self.growth = _Growth(part, "text")

    def _reasoning(self) -> Part:
        known = {"id": self.id, "status": "running", "startedAt": self.at}
        return {"type": "reasoning", "text": "", **{name: value for name, value in known.items() if value is not None}}

    def add(self, piece: str) -> None:
        if self.growth:
            self.growth.add(piece)

    def settle(self) -> None:
        if self.growth:
            self.growth.settle()

    def close(self, at: Any) -> None:
        self.settle()
        if self.part is not None and self.kind == "reasoning":
            self.part.update({"status": "completed"} if at is None else {"status": "completed", "completedAt": at})


class _Call:
    """A call of a tool, whose arguments may come in pieces before they come as a whole."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self._growth: _Growth | None = None
        self._is_whole = bool(part["args"]) or part.get("argsText") == "{}"

    def complete(self, payload: dict[str, Any]) -> None:
        """Take over what was not known before: the first value wins, and null is none (F3)."""
        if payload.get("langchainToolCallId") is not None:
            self.part.setdefault("langchainToolCallId", payload["langchainToolCallId"])
        metadata = payload.get("metadata")
        if isinstance(metadata, dict):
            for name, value in cast("dict[str, Any]", metadata).items():
                if value is not None:
                    self.part.setdefault("metadata", {}).setdefault(name, value)

    def add_args(self, piece: str) -> None:
        if self._is_whole:
            return
        if self._growth is None:
            self._growth = _Growth(self.part, "argsText")
        self._growth.add(piece)

    def set_args(self, args: dict[str, Any]) -> None:
        self.part["args"], self.part["argsText"] = args, json.dumps(args, indent=2, ensure_ascii=False)
        self._growth, self._is_whole = None, True

    def settle(self) -> None:
        if self._growth:
            self._growth.settle()
