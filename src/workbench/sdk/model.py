"""What travels between the workbench and its callers, in the wire's own names.

What we send leaves default values out: for the workbench absent means default. What we receive may have members
that are not listed here, which are ignored.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

Json = dict[str, Any]


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Who a message is from: a `user`, an `assistant` or a `service`, by id."""

    participant_role: str
    participant_id: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said in a conversation."""

    id: UUID
    sender: Sender
    message_type: str
    timestamp: datetime
    content: str
    content_type: str = "text/plain"
    filenames: list[str] = []
    metadata: Json = {}
    has_debug_data: bool = False


class NewMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message to be posted. With an id of our own choice, posting it twice still makes one message."""

    content: str
    id: UUID | None = None
    message_type: str = "chat"
    content_type: str = "text/plain"
    filenames: list[str] = []
    metadata: Json = {}
    debug_data: Json = {}


class Participant(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's seat in a conversation; `id` is the id of the user or assistant who sits there."""

    role: str
    id: str
    name: str
    active_participant: bool
    conversation_id: UUID | None = None
    image: str | None = None
    status: str | None = None
    online: bool | None = None
    conversation_permission: str = "read_write"
    metadata: Json = {}


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation, as the caller sees it."""

    id: UUID
    title: str
    owner_id: str
    created_datetime: datetime
    conversation_permission: str
    participants: list[Participant]
    metadata: Json = {}
    latest_message: Message | None = None
    imported_from_conversation_id: UUID | None = None


class Assistant(msgspec.Struct, frozen=True, kw_only=True):
    """An assistant: a template of a service, under a name, belonging to a user."""

    id: UUID
    name: str
    assistant_service_id: str
    assistant_service_online: bool
    template_id: str
    created_datetime: datetime
    image: str | None = None
    metadata: Json = {}


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """An assistant's config, with the schema from which a form can be drawn."""

    config: Json
    errors: list[str] | None = None
    json_schema: Json | None = None
    ui_schema: Json | None = None


class StateDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A state that an assistant shows in a conversation."""

    id: str
    display_name: str
    description: str
    enabled: bool = True


class StateData(msgspec.Struct, frozen=True, kw_only=True):
    """What a state holds, with the schema from which a form can be drawn."""

    id: str
    data: Json
    json_schema: Json | None = None
    ui_schema: Json | None = None


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file at its newest version."""

    conversation_id: UUID
    filename: str
    current_version: int
    content_type: str
    file_size: int
    participant_id: str
    participant_role: str
    created_datetime: datetime
    updated_datetime: datetime
    metadata: Json = {}


class FileVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a file."""

    version: int
    content_type: str
    file_size: int
    metadata: Json = {}


class EventData(msgspec.Struct, frozen=True, kw_only=True):
    """What an event is about; which members are there depends on the event's name."""

    message: Message | None = None
    participant: Participant | None = None
    participants: list[Participant] = []
    conversation: Conversation | None = None
    file: File | None = None
    assistant_id: UUID | None = None
    state_id: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in a conversation. It may be delivered more than once, with the same id."""

    id: str
    correlation_id: str
    conversation_id: UUID
    event: str
    timestamp: datetime
    data: EventData


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in a conversation, as its stream tells it; `id` is its position."""

    id: str
    event: str
    timestamp: datetime
    data: EventData


class StreamGap(msgspec.Struct, frozen=True, kw_only=True):
    """Events behind `after` are no longer kept: read the messages anew. The stream goes on at `first_available`."""

    id: str
    after: int | None
    first_available: int


def plain(values: msgspec.Struct | Mapping[str, Any]) -> Json:
    """Give a typed or an untyped object as JSON has it."""
    return msgspec.to_builtins(values)
