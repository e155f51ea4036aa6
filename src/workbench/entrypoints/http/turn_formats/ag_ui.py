"""A turn as events of AG-UI (https://docs.ag-ui.com/concepts/events): the conversation is the thread, the turn the run.

Each block of text or reasoning, each call of a tool and each result is a message of its own, as its place in the log is
unique in the turn and the same for all who watch.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from workbench.domain.turns.model import Turn, TurnEvent
from workbench.entrypoints.http.turn_formats.framing import framed
from workbench.entrypoints.http.turn_formats.images import image_url, media_type
from workbench.entrypoints.http.turn_formats.ordering import Happening, Ordering, Payload
from workbench.entrypoints.http.turn_formats.telling import Headers

Word = dict[str, Any]


class AgUi:
    """Tells a turn to a client of AG-UI."""

    headers: Headers = ()
    is_over = False

    def __init__(self, turn: Turn, told_before: int) -> None:
        """Go on behind what was told before, with the beginning of what is open."""
        self._turn = turn
        self._ordering = Ordering(turn, told_before)
        self._run = {"threadId": str(turn.conversation_id), "runId": turn.turn_id}

    def frames(self, event: TurnEvent) -> bytes:
        """The frames of an event."""
        words: list[Word] = []
        for happening in self._ordering.take(event):
            words += self._words(happening)
        return framed(words, event.seq)

    def _words(self, happening: Happening) -> list[Word]:
        kind, payload = happening
        if kind == "turn.opened":
            return self._opened(payload)
        if kind in {"turn.finalized", "turn.aborted"}:
            return [{"type": "RUN_FINISHED", **self._run, "outcome": outcome(payload, self._turn.turn_id)}]
        if kind == "part":
            return [self._part(payload)]
        tell = WORDS.get(kind)
        return tell(payload, self._message) if tell else []

    def _message(self, place: str) -> str:
        return f"{self._turn.output_message_id}:{place}"

    def _opened(self, payload: Payload) -> list[Word]:
        epoch = payload["epoch"]
        run_id = self._turn.turn_id if epoch <= 1 else f"{self._turn.turn_id}:{epoch}"
        self._run = {"threadId": str(self._turn.conversation_id), "runId": run_id}
        return [{"type": "RUN_STARTED", **self._run}, custom("turn", payload["turn"])]

    def _part(self, payload: Payload) -> Word:
        part = payload["part"]
        if part["type"] == "image":
            url = image_url(self._turn.conversation_id, part)
            return custom("image", {"url": url, "mediaType": media_type(part)})
        return custom(part["type"], {key: value for key, value in part.items() if key != "type"})


MessageId = Callable[[str], str]


def custom(name: str, value: Any) -> Word:
    """Something that AG-UI has no word for."""
    return {"type": "CUSTOM", "name": name, "value": value}


def outcome(payload: Payload, turn_id: str) -> Word:
    """How a run ended that did not fail. Who answers a question of the assistant opens a turn with this one as parent."""
    reason = payload["finish_reason"]
    if reason == "cancelled":
        return {"type": "cancelled"}
    if reason == "awaiting_input":
        return {"type": "interrupt", "interrupts": [{"id": turn_id, "reason": reason}]}
    return {"type": "success"}


def _text(word: str, payload: Payload, message: MessageId) -> list[Word]:
    told: Word = {"type": f"TEXT_MESSAGE_{word}", "messageId": message(payload["id"])}
    if word == "START":
        told["role"] = "assistant"
    if word == "CONTENT":
        told["delta"] = payload["delta"]
    return [told]


def _reasoning_begun(payload: Payload, message: MessageId) -> list[Word]:
    messages = {"messageId": message(payload["id"])}
    begun = {"type": "REASONING_MESSAGE_START", **messages, "role": "reasoning"}
    return [{"type": "REASONING_START", **messages}, begun]


def _reasoning_grown(payload: Payload, message: MessageId) -> list[Word]:
    return [{"type": "REASONING_MESSAGE_CONTENT", "messageId": message(payload["id"]), "delta": payload["delta"]}]


def _reasoning_ended(payload: Payload, message: MessageId) -> list[Word]:
    messages = {"messageId": message(payload["id"])}
    return [{"type": "REASONING_MESSAGE_END", **messages}, {"type": "REASONING_END", **messages}]


def _tool_begun(payload: Payload, message: MessageId) -> list[Word]:
    return [
        {
            "type": "TOOL_CALL_START",
            "toolCallId": payload["toolCallId"],
            "toolCallName": payload["toolName"],
            "parentMessageId": message(payload["id"]),
        }
    ]


def _tool_grown(payload: Payload, _: MessageId) -> list[Word]:
    return [{"type": "TOOL_CALL_ARGS", "toolCallId": payload["toolCallId"], "delta": payload["delta"]}]


def _tool_called(payload: Payload, message: MessageId) -> list[Word]:
    if payload["streamed"]:
        return []
    return _tool_grown({**payload, "delta": _json(payload["args"])}, message)


def _tool_closed(payload: Payload, _: MessageId) -> list[Word]:
    return [{"type": "TOOL_CALL_END", "toolCallId": payload["toolCallId"]}]


def _tool_answered(content: Any, payload: Payload, message: MessageId) -> list[Word]:
    return [
        {
            "type": "TOOL_CALL_RESULT",
            "messageId": message(f"{payload['id']}:result"),
            "toolCallId": payload["toolCallId"],
            "content": _json(content),
            "role": "tool",
        }
    ]


def _tool_result(payload: Payload, message: MessageId) -> list[Word]:
    return _tool_answered(payload["result"], payload, message)


def _tool_failed(payload: Payload, message: MessageId) -> list[Word]:
    return _tool_answered({"error": payload["message"]}, payload, message)


def _used(payload: Payload, _: MessageId) -> list[Word]:
    return [custom("usage", payload)]


def _failed(payload: Payload, _: MessageId) -> list[Word]:
    return [{"type": "RUN_ERROR", "message": payload["message"], "code": payload["code"]}]


def _reset(_: Payload, __: MessageId) -> list[Word]:
    return [{"type": "RUN_ERROR", "message": "The answer is begun anew", "code": "turn_reset"}]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


WORDS: dict[str, Callable[[Payload, MessageId], list[Word]]] = {
    "text.start": partial(_text, "START"),
    "text.delta": partial(_text, "CONTENT"),
    "text.end": partial(_text, "END"),
    "reasoning.start": _reasoning_begun,
    "reasoning.delta": _reasoning_grown,
    "reasoning.end": _reasoning_ended,
    "tool.start": _tool_begun,
    "tool.args.delta": _tool_grown,
    "tool.args": _tool_called,
    "tool.closed": _tool_closed,
    "tool.result": _tool_result,
    "tool.error": _tool_failed,
    "usage": _used,
    "turn.failed": _failed,
    "turn.reset": _reset,
}
