"""Turns as they were recorded, and how they are told in other words."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.turns.model import Turn, TurnEvent, logged
from workbench.entrypoints.http.turn_formats.choice import telling_as

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OUTPUT = UUID(int=4)

TURN = Turn(
    pk=UUID(int=1),
    conversation_id=UUID(int=2),
    turn_id="t1",
    assistant_id=UUID(int=3),
    initiator_role="user",
    initiator_id="ann",
    user_id="ann",
    assistant_service_id="robots",
    parent_turn_id=None,
    producer_kind="external",
    input_message_id=UUID(int=5),
    output_message_id=OUTPUT,
    input_hash="",
    options={},
    deadline_at=NOW,
    created_at=NOW,
    read_at=NOW,
)

OPENED = ("turn.opened", {"input_message_id": str(UUID(int=5)), "output_message_id": str(OUTPUT), "warnings": []})
USED = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}

MESSAGE = str(OUTPUT)
RUN = {"threadId": "00000000-0000-0000-0000-000000000002", "runId": "t1"}

Told = tuple[str, dict[str, Any]]

STARTED = ("turn.started", {"producer_kind": "external"})
BEGUN = ("tool.start", {"toolCallId": "c", "toolName": "list"})
ARGS = ("tool.args", {"toolCallId": "c", "toolName": "list", "args": {"path": "/"}})
RESULT = ("tool.result", {"toolCallId": "c", "result": ["a"]})
FAILURE = ("tool.error", {"toolCallId": "c", "message": "no such path"})
PICTURE = {"type": "image", "image": "workbench-file:a b.png"}
DATA = {"type": "data-plan", "id": "p", "data": {"step": 1}, "kept": "as sent"}
RESET: Told = ("turn.reset", {"reason": "producer_lost"})
PARTS = (
    {"type": "reasoning", "text": "hm", "id": "r"},
    {"type": "tool-call", "toolCallId": "c", "toolName": "list", "args": {"path": "/"}, "result": ["a"]},
    {"type": "tool-call", "toolCallId": "d", "toolName": "list", "args": {}, "error": "no such path"},
    {"type": "tool-call", "toolCallId": "e", "toolName": "list", "args": {}, "argsText": '{"pa', "state": "aborted"},
    DATA,
    {"type": "text", "text": "One file."},
)
"""Parts of an answer that were not streamed."""


def said(delta: str, block: str = "t") -> Told:
    return ("text.delta", {"id": block, "delta": delta})


def thought(delta: str, block: str = "r") -> Told:
    return ("reasoning.delta", {"id": block, "delta": delta})


def pieces(*pieces: str, call: str = "c") -> list[Told]:
    return [("tool.args.delta", {"toolCallId": call, "delta": piece}) for piece in pieces]


def ended(status: str, reason: str, *parts: dict[str, Any], **fields: Any) -> Told:
    return (f"turn.{status}", {"finish_reason": reason, "parts": list(parts), "usage": None, "error": None, **fields})


def recorded(*told: Told) -> list[TurnEvent]:
    """The log of a turn in which this happened."""
    return logged(TURN, [OPENED, *told], NOW)[1]


def whole(*told: Told) -> list[TurnEvent]:
    """A turn whose log is gone: a snapshot, and what followed."""
    snapshot = {"parts": list(PARTS), "status": "streaming", "up_to_seq": 1}
    return logged(TURN, [("turn.snapshot", snapshot), *told], NOW)[1]


def words_of(frames: bytes) -> list[Any]:
    """What stands in frames; `[DONE]` as it is."""
    data = [line.removeprefix("data: ") for line in frames.decode().split("\n") if line.startswith("data: ")]
    return [word if word == "[DONE]" else json.loads(word) for word in data]


def told_in(form: str, events: list[TurnEvent], after: int = 0) -> list[Any]:
    """How all of that is told to one who had everything up to a place."""
    telling = telling_as(form, msgspec.structs.replace(TURN, last_seq=events[-1].seq), after)
    return [word for event in events for word in words_of(telling.frames(event))]
