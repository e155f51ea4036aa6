"""The events of a conversation that turns cause, for readers who know turns."""

from typing import Any

import msgspec

from workbench.domain.events.model import NewEvent
from workbench.domain.messages.model import Message
from workbench.domain.turns.model import Turn


def turn_opened(turn: Turn) -> NewEvent:
    """An assistant was asked; its answer can be watched from here on."""
    return _told("turn.opened", turn)


def turn_status(turn: Turn) -> NewEvent:
    """A turn is made, has ended, or was opened once more."""
    return _told("turn.status", turn)


def message_updated(turn: Turn, message: Message) -> NewEvent:
    """The answer of a turn that had ended says something else now."""
    data = {"message": msgspec.to_builtins(message)}
    return NewEvent(conversation_id=turn.conversation_id, type="message.updated", data=data)


def _told(kind: str, turn: Turn) -> NewEvent:
    shown: dict[str, Any] = {
        "turn_id": turn.turn_id,
        "assistant_id": str(turn.assistant_id),
        "assistant_service_id": turn.assistant_service_id,
        "producer_kind": turn.producer_kind,
        "status": turn.status,
        "finish_reason": turn.finish_reason,
        "input_message_id": str(turn.input_message_id) if turn.input_message_id else None,
        "output_message_id": str(turn.output_message_id),
    }
    return NewEvent(conversation_id=turn.conversation_id, type=kind, data={"turn": shown})
