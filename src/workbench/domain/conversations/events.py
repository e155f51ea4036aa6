"""The events that conversations cause."""

import msgspec

from workbench.domain.conversations.model import ConversationDetails
from workbench.domain.events.model import NewEvent


def conversation_created(details: ConversationDetails) -> NewEvent:
    """A conversation is there."""
    return _told("conversation.created", details)


def conversation_updated(details: ConversationDetails) -> NewEvent:
    """Its title or metadata changed."""
    return _told("conversation.updated", details)


def conversation_deleted(details: ConversationDetails) -> NewEvent:
    """It is gone; everybody who was in it still reads of that."""
    everybody = (p.id for p in details.participants if p.role == "user" and p.active_participant)
    return msgspec.structs.replace(_told("conversation.deleted", details), farewell=tuple(everybody))


def _told(kind: str, details: ConversationDetails) -> NewEvent:
    return NewEvent(conversation_id=details.id, type=kind, data={"conversation": msgspec.to_builtins(details)})
