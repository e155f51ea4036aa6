"""A turn as the UI message stream of the AI SDK (https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol, version 1).

Its schema takes no keys that it does not know, so the place in the log stands in the frame's id, and what is ours in
`data-*` parts. Its client begins anew with every connection; so it is told everything from the beginning.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from workbench.domain.parts.model import Part
from workbench.domain.turns.model import FinishReason, Turn, TurnEvent
from workbench.entrypoints.http.turn_formats.framing import framed
from workbench.entrypoints.http.turn_formats.images import image_url, media_type
from workbench.entrypoints.http.turn_formats.ordering import Happening, Ordering, Payload
from workbench.entrypoints.http.turn_formats.telling import Headers

Chunk = dict[str, Any]

DONE = b"data: [DONE]\n\n"
REASONS: dict[FinishReason, str] = {
    "stop": "stop",
    "legacy": "stop",
    "length": "length",
    "content_filter": "content-filter",
    "tool_calls": "tool-calls",
    "error": "error",
}


class AiSdk:
    """Tells a turn to a client of the AI SDK."""

    headers: Headers = ((b"x-vercel-ai-ui-message-stream", b"v1"),)

    def __init__(self, turn: Turn) -> None:
        """Begin at the beginning."""
        self.is_over = False
        self._ordering = Ordering(turn)
        self._conversation_id = turn.conversation_id

    def frames(self, event: TurnEvent) -> bytes:
        """The frames of an event; behind the last one stands `[DONE]`."""
        chunks: list[Chunk] = []
        for happening in self._ordering.take(event):
            if happening.kind == "turn.reset":
                # What was told cannot be taken back: the client comes again, and is told what holds now.
                self.is_over = True
                return b""
            chunks += self._chunks(happening)
        is_done = bool(chunks) and chunks[-1]["type"] in {"finish", "abort"}
        return framed(chunks, event.seq) + (DONE if is_done else b"")

    def _chunks(self, happening: Happening) -> list[Chunk]:
        if happening.kind == "part":
            return [part_chunk(happening.payload["part"], partial(image_url, self._conversation_id))]
        tell = CHUNKS.get(happening.kind)
        return tell(happening.payload) if tell else []


def part_chunk(part: Part, url_of: Callable[[Part], str]) -> Chunk:
    """A part that comes as a whole: a file, or data."""
    if part["type"] == "image":
        return {"type": "file", "url": url_of(part), "mediaType": media_type(part)}
    if part["type"] == "status":
        return {"type": "data-status", "data": {key: value for key, value in part.items() if key != "type"}}
    known = {"type": part["type"], "data": part["data"]}
    return known if part.get("id") is None else {**known, "id": part["id"]}


def _opened(payload: Payload) -> list[Chunk]:
    turn = payload["turn"]
    return [
        {"type": "start", "messageId": turn["output_message_id"]},
        {"type": "data-turn", "data": turn, "transient": True},
        {"type": "start-step"},
    ]


def _block(kind: str, payload: Payload) -> list[Chunk]:
    return [{"type": kind, **payload}]


def _tool_begun(payload: Payload) -> list[Chunk]:
    return [
        {
            "type": "tool-input-start",
            "toolCallId": payload["toolCallId"],
            "toolName": payload["toolName"],
            "dynamic": True,
        }
    ]


def _tool_grown(payload: Payload) -> list[Chunk]:
    return [{"type": "tool-input-delta", "toolCallId": payload["toolCallId"], "inputTextDelta": payload["delta"]}]


def _tool_called(payload: Payload) -> list[Chunk]:
    return [
        {
            "type": "tool-input-available",
            "toolCallId": payload["toolCallId"],
            "toolName": payload["toolName"],
            "input": payload["args"],
            "dynamic": True,
        }
    ]


def _tool_answered(payload: Payload) -> list[Chunk]:
    return [
        {
            "type": "tool-output-available",
            "toolCallId": payload["toolCallId"],
            "output": payload["result"],
            "dynamic": True,
        }
    ]


def _tool_failed(payload: Payload) -> list[Chunk]:
    return [
        {
            "type": "tool-output-error",
            "toolCallId": payload["toolCallId"],
            "errorText": payload["message"],
            "dynamic": True,
        }
    ]


def _used(payload: Payload) -> list[Chunk]:
    return [{"type": "message-metadata", "messageMetadata": {"usage": payload}}]


def _finished(payload: Payload) -> list[Chunk]:
    reason = REASONS.get(payload["finish_reason"], "other")
    return [{"type": "finish-step"}, {"type": "finish", "finishReason": reason}]


def _aborted(_: Payload) -> list[Chunk]:
    return [{"type": "abort"}]


def _failed(payload: Payload) -> list[Chunk]:
    return [{"type": "error", "errorText": payload["message"]}, {"type": "finish", "finishReason": "error"}]


CHUNKS: dict[str, Callable[[Payload], list[Chunk]]] = {
    "turn.opened": _opened,
    **{
        f"{kind}.{what}": partial(_block, f"{kind}-{what}")
        for kind in ("text", "reasoning")
        for what in ("start", "delta", "end")
    },
    "tool.start": _tool_begun,
    "tool.args.delta": _tool_grown,
    "tool.args": _tool_called,
    "tool.result": _tool_answered,
    "tool.error": _tool_failed,
    "usage": _used,
    "turn.finalized": _finished,
    "turn.aborted": _aborted,
    "turn.failed": _failed,
}
