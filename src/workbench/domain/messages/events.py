"""The events that messages cause."""

from uuid import UUID

import msgspec

from workbench.domain.events.model import NewEvent
from workbench.domain.messages.model import Message


def message_created(conversation_id: UUID, message: Message) -> NewEvent:
    """Something was said."""
    return _told("message.created", conversation_id, message)


def message_deleted(conversation_id: UUID, message: Message) -> NewEvent:
    """Something was taken back; the contract tells of it without its debug data."""
    return _told("message.deleted", conversation_id, msgspec.structs.replace(message, has_debug_data=False))


def _told(kind: str, conversation_id: UUID, message: Message) -> NewEvent:
    return NewEvent(conversation_id=conversation_id, type=kind, data={"message": msgspec.to_builtins(message)})
