"""An event of a conversation, or of a workspace alone, before and after it has its place in the log."""

from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

import msgspec

Audience = Literal["everyone", "users", "engineers"]
"""`engineers` are those users whom the event's `Addressees` are, of those who work on sessions."""

FEED_TYPES = frozenset(
    {
        "message.created",
        "message.deleted",
        "participant.created",
        "participant.updated",
        "conversation.created",
        "conversation.updated",
        "conversation.deleted",
    }
)
"""The types that a user's stream over all conversations carries."""

ASSISTANT_TYPES = FEED_TYPES | {
    "file.created",
    "file.updated",
    "file.deleted",
    "assistant.state.created",
    "assistant.state.updated",
    "assistant.state.deleted",
    "assistant.state.focus",
}
"""The closed list that the contract's SDK knows: it refuses an event of any other name, so none is sent."""

TURN_TYPES = frozenset({"turn.opened", "turn.status", "message.updated"})
"""Told only to readers of a conversation who ask for them: older clients know none of these names."""


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in a conversation; `data` is what JSON can say of it.

    `farewell` names the users who lose sight of the conversation by this event: they are still to read it
    on their own stream, after which their seat no longer leads to it.
    """

    conversation_id: UUID
    type: str
    data: dict[str, Any]
    audience: Literal["everyone", "users"] = "everyone"
    farewell: tuple[str, ...] = ()


class NewWorkspaceEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in a workspace outside its conversations: told to its users, never to assistants.

    Where the audience is `engineers`, its `data` name the addressees, under `escalation`.
    """

    conversation_id: ClassVar[None] = None
    farewell: ClassVar[tuple[str, ...]] = ()
    type: str
    data: dict[str, Any]
    audience: Literal["users", "engineers"] = "users"


class Event(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """An event that is stored and will not change.

    `position` counts the events of its conversation, `feed_position` those of its workspace; both from 1
    and without gaps, in the order of commits. One that belongs to no conversation has the position 0 there.
    `data` is JSON text in ASCII, encoded once. `trace_parent` is where in a trace the event was caused.
    """

    workspace_id: str
    feed_position: int
    conversation_id: UUID | None
    position: int
    id: str
    correlation_id: str
    type: str
    timestamp: datetime
    audience: Audience
    data: str
    trace_parent: str | None = None
