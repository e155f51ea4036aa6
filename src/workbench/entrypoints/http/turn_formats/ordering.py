"""The events of a turn in the strict order that other vocabularies ask for.

Our own log is lenient: a block needs neither start nor end, a snapshot stands for all before it, and an ending may bring
parts that nobody streamed. Others refuse a delta of what was not begun, and an end with something open. So what a
watcher was told so far is kept here, one for each watcher: the open block, and of each call of a tool its name and how
far it is. Texts are not kept.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal, NamedTuple, cast

import msgspec

from workbench.domain.parts.model import Part, Parts
from workbench.domain.turns.model import TERMINAL_TYPES, Turn, TurnEvent

PAYLOADS_REMEMBERED = 512

Payload = dict[str, Any]
Stage = Literal["begun", "growing", "whole"]


class Happening(NamedTuple):
    """Something to tell: an event of our vocabulary, or `tool.closed`, behind which no arguments come.

    The `id` of a block or a call is unique in the turn, and the same for every watcher. `tool.args` comes at most once for
    a call, and says in `streamed` whether pieces of it came before. `usage` comes right before the end, which says
    `finish_reason`, and `code` and `message` for where it is a failure.
    """

    kind: str
    payload: Payload


class _Block(msgspec.Struct):
    kind: str
    named: Any
    id: str
    is_begun: bool = False


class _Call(msgspec.Struct):
    id: str
    name: str
    stage: Stage = "begun"


@lru_cache(PAYLOADS_REMEMBERED)
def _payload(event: TurnEvent) -> Payload:
    """What an event says; decoded once for all watchers, none of whom changes it."""
    return msgspec.json.decode(event.data)


class Ordering:
    """Puts a turn's events in order for one watcher.

    Events up to `told_before` are taken in silence: the watcher has had them, on an earlier connection. What was open
    then is begun once more.
    """

    def __init__(self, turn: Turn, told_before: int = 0) -> None:
        """Begin with nothing, at the first event since the turn was begun for the last time, or with a snapshot."""
        self._turn = turn
        self._told_before = told_before
        self._is_opened = False
        self._block: _Block | None = None
        self._calls: dict[str, _Call] = {}
        self._told: set[str] = set()
        """The types of the parts that were told."""

    def take(self, event: TurnEvent) -> list[Happening]:
        """What is to be told when this happens."""
        payload = _payload(event)
        if event.seq <= self._told_before and event.type not in TERMINAL_TYPES:
            for _ in self._ordered(event, payload):
                pass
            return []
        opening = [] if self._is_opened else list(self._opening(event, payload))
        return [*opening, *self._ordered(event, payload)]

    def _opening(self, event: TurnEvent, payload: Payload) -> Iterator[Happening]:
        """Who speaks to whom, whatever it is that comes first; and what is open from before."""
        self._is_opened = True
        turn = self._turn
        ids = {
            "turn_id": turn.turn_id,
            "conversation_id": str(turn.conversation_id),
            "assistant_id": str(turn.assistant_id),
            "input_message_id": str(turn.input_message_id) if turn.input_message_id else None,
            "output_message_id": str(turn.output_message_id),
        }
        warnings = payload.get("warnings") if event.type == "turn.opened" else None
        yield Happening("turn.opened", {"turn": {**ids, "warnings": warnings or []}, "epoch": event.epoch})
        if self._block is not None and self._block.is_begun:
            yield Happening(f"{self._block.kind}.start", {"id": self._block.id})
        for call_id, call in self._calls.items():
            if call.stage != "whole":
                yield Happening("tool.start", {"id": call.id, "toolCallId": call_id, "toolName": call.name})

    def _ordered(self, event: TurnEvent, payload: Payload) -> Iterator[Happening]:
        kind, _, what = event.type.partition(".")
        if kind in {"text", "reasoning"}:
            yield from self._of_block(kind, what, payload, str(event.seq))
        elif kind == "tool":
            yield from self._of_call(what, payload, str(event.seq))
        elif event.type == "part":
            yield from self._of_part(payload["part"])
        elif event.type == "turn.snapshot":
            # Told to one who was too slow for the log, it replaces all that was told before.
            yield from self._begun_anew(event)
            yield from self._of_parts(payload["parts"], event.seq)
        elif event.type == "turn.reset":
            yield from self._begun_anew(event)
        elif event.type in TERMINAL_TYPES:
            yield from self._ended(event, payload)

    def _of_block(self, kind: str, what: str, payload: Payload, new_id: str) -> Iterator[Happening]:
        block = self._block
        if block is None or (block.kind, block.named) != (kind, payload.get("id")):
            if what == "end":
                return
            yield from self._close_block()
            block = self._block = _Block(kind, payload.get("id"), new_id)
        if what == "end":
            yield from self._close_block()
        elif delta := payload.get("delta"):
            if not block.is_begun:
                block.is_begun = True
                self._told.add(kind)
                yield Happening(f"{kind}.start", {"id": block.id})
            yield Happening(f"{kind}.delta", {"id": block.id, "delta": delta})

    def _close_block(self) -> Iterator[Happening]:
        block, self._block = self._block, None
        if block is not None and block.is_begun:
            yield Happening(f"{block.kind}.end", {"id": block.id})

    def _of_call(self, what: str, payload: Payload, new_id: str) -> Iterator[Happening]:
        call_id: str = payload["toolCallId"]
        call = self._calls.get(call_id)
        if call is None and what in {"start", "args"}:
            yield from self._close_block()
            call = self._calls[call_id] = _Call(new_id, payload["toolName"])
            self._told.add("tool-call")
            yield Happening("tool.start", {"id": call.id, "toolCallId": call_id, "toolName": call.name})
        if call is None or what == "start":
            return
        told = {"id": call.id, "toolCallId": call_id}
        if what == "args.delta":
            yield from self._grow(call, {**told, "delta": payload["delta"]})
        elif what == "args":
            yield from self._complete(call, {**told, "args": payload["args"]})
        else:
            yield from self._complete(call, told if call.stage == "growing" else {**told, "args": {}})
            said = "result" if what == "result" else "message"
            yield Happening(f"tool.{what}", {**told, said: payload[said]})

    def _grow(self, call: _Call, told: Payload) -> Iterator[Happening]:
        if told["delta"] and call.stage != "whole":
            call.stage = "growing"
            yield Happening("tool.args.delta", told)

    def _complete(self, call: _Call, told: Payload) -> Iterator[Happening]:
        """No more arguments come; `told` has them where they are known as a whole."""
        if call.stage == "whole":
            return
        streamed, call.stage = call.stage == "growing", "whole"
        if "args" in told:
            yield Happening("tool.args", {**told, "toolName": call.name, "streamed": streamed})
        yield Happening("tool.closed", told)

    def _of_part(self, part: Part) -> Iterator[Happening]:
        self._told.add(part["type"])
        yield Happening("part", {"part": part})

    def _of_parts(self, parts: Parts, seq: int) -> Iterator[Happening]:
        """Tell what was made, as if it were made now."""
        yield from self._close_block()
        for place, part in enumerate(parts):
            if part["type"] in {"text", "reasoning"}:
                made = {"id": None, "delta": part["text"]}
                yield from self._of_block(part["type"], "delta", made, f"{seq}-{place}")
                yield from self._close_block()
            elif part["type"] == "tool-call":
                yield from self._made_call(part, f"{seq}-{place}")
            else:
                yield from self._of_part(part)

    def _made_call(self, part: Part, new_id: str) -> Iterator[Happening]:
        has_error = part.get("error") is not None
        is_done = has_error or "result" in part
        yield from self._of_call("start", part, new_id)
        if part["args"] or is_done:
            yield from self._of_call("args", part, new_id)
        elif part.get("argsText"):
            yield from self._of_call("args.delta", {**part, "delta": part["argsText"]}, new_id)
        if has_error:
            yield from self._of_call("error", {**part, "message": part["error"]}, new_id)
        elif is_done:
            yield from self._of_call("result", part, new_id)

    def _begun_anew(self, event: TurnEvent) -> Iterator[Happening]:
        had_told = bool(self._told)
        self._block, self._calls, self._told = None, {}, set()
        if self._is_opened and had_told:
            self._is_opened = False
            yield Happening("turn.reset", {})
            yield from self._opening(event, {})

    def _ended(self, event: TurnEvent, payload: Payload) -> Iterator[Happening]:
        """Tell what nobody streamed, close what is open, and say how it ended."""
        yield from self._close_block()
        missing = [part for part in cast("Parts", payload["parts"]) if part["type"] not in self._told]
        yield from self._of_parts(missing, event.seq)
        for call_id, call in self._calls.items():
            yield from self._complete(call, {"id": call.id, "toolCallId": call_id})
        if payload.get("usage") is not None:
            yield Happening("usage", payload["usage"])
        error = cast("dict[str, str]", payload.get("error") or {})
        code = error.get("code") or "error"
        told = {"code": code, "message": error.get("message") or code}
        yield Happening(event.type, {"finish_reason": payload["finish_reason"], **told})
