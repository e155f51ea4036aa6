"""The records of an archive as they are read: typed, cleaned, and refused with the line and the field at fault."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from workbench.domain.conversations.model import Title
from workbench.domain.errors import InvalidError
from workbench.domain.identity.model import Role
from workbench.domain.messages.model import MAX_FILENAMES, MessageType
from workbench.domain.participants.model import MAX_STATUS_LENGTH, Permission
from workbench.domain.texts import read_json, without_nul

MAX_FILE_SIZE = (1 << 63) - 1
MAX_VERSION = (1 << 31) - 1

_Key = Annotated[str, msgspec.Meta(max_length=255)]
_Name = Annotated[str, msgspec.Meta(max_length=1024)]
_Image = Annotated[str, msgspec.Meta(max_length=256 * 1024)]
_Status = Annotated[str, msgspec.Meta(max_length=MAX_STATUS_LENGTH)]
_Version = Annotated[int, msgspec.Meta(ge=1, le=MAX_VERSION)]


class AssistantRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An assistant."""

    assistant_id: UUID
    owner_id: _Key
    assistant_service_id: _Key
    template_id: _Key
    created_datetime: datetime
    name: _Name
    meta_data: dict[str, Any]
    image: _Image | None = None
    imported_from_assistant_id: UUID | None = None


class ConversationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation."""

    conversation_id: UUID
    created_datetime: datetime
    owner_id: _Key
    title: Title
    meta_data: dict[str, Any]
    imported_from_conversation_id: UUID | None = None


class MessageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A message. Its place is that of its line: `sequence` counts in the database it came from, and is not read."""

    message_id: UUID
    conversation_id: UUID
    created_datetime: datetime
    sender_participant_id: _Key
    sender_participant_role: Role
    message_type: MessageType
    content: str
    content_type: _Key
    meta_data: dict[str, Any]
    filenames: Annotated[list[str], msgspec.Meta(max_length=MAX_FILENAMES)]


class DebugRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The debug data of a message."""

    message_id: UUID
    data: dict[str, Any]


class UserSeatRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A person in a conversation."""

    conversation_id: UUID
    user_id: _Key
    name: _Name
    service_user: bool
    joined_datetime: datetime
    status_updated_datetime: datetime
    active_participant: bool
    meta_data: dict[str, Any]
    conversation_permission: Permission
    image: _Image | None = None
    status: _Status | None = None


class AssistantSeatRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An assistant in a conversation; the assistant itself need not be in the archive."""

    conversation_id: UUID
    assistant_id: UUID
    name: _Name
    joined_datetime: datetime
    status_updated_datetime: datetime
    active_participant: bool
    meta_data: dict[str, Any]
    image: _Image | None = None
    status: _Status | None = None


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A file."""

    file_id: UUID
    conversation_id: UUID
    filename: str
    current_version: _Version
    created_datetime: datetime


class VersionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a file."""

    file_id: UUID
    version: _Version
    participant_id: _Key
    participant_role: Role
    created_datetime: datetime
    meta_data: dict[str, Any]
    content_type: _Key
    file_size: Annotated[int, msgspec.Meta(ge=0, le=MAX_FILE_SIZE)]
    storage_filename: _Key


ArchiveRecord = (
    AssistantRecord
    | ConversationRecord
    | MessageRecord
    | DebugRecord
    | UserSeatRecord
    | AssistantSeatRecord
    | FileRecord
    | VersionRecord
)


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    data: msgspec.Raw


_KINDS: dict[str, type[ArchiveRecord]] = {
    "Assistant": AssistantRecord,
    "Conversation": ConversationRecord,
    "ConversationMessage": MessageRecord,
    "ConversationMessageDebug": DebugRecord,
    "UserParticipant": UserSeatRecord,
    "AssistantParticipant": AssistantSeatRecord,
    "File": FileRecord,
    "FileVersion": VersionRecord,
}
_LINE = msgspec.json.Decoder(_Line)
_DECODERS = {name: msgspec.json.Decoder(kind) for name, kind in _KINDS.items()}


def read_record(line: bytes) -> ArchiveRecord | None:
    """Read a line; None for a record of a type that is not known, which may come from a newer service.

    Raises InvalidError, which names the field.
    """
    line = without_nul(line)
    field = ""
    try:
        read_json(line)
        found = _LINE.decode(line)
        decoder = _DECODERS.get(found.type)
        if decoder is None:
            return None
        field = "data"
        return _in_utc(decoder.decode(found.data))
    except msgspec.ValidationError as error:
        words, _, path = str(error).partition(" - at `$")
        raise bad_record(field + path.removesuffix("`"), words) from None
    except (msgspec.DecodeError, ValueError, OverflowError) as error:
        raise bad_record(field, str(error)) from None


def bad_record(field: str, words: str) -> InvalidError:
    """A record that cannot be; whoever knows its line adds that."""
    return InvalidError(words, code="bad_archive", field=field.removeprefix(".") or None)


def _in_utc(record: ArchiveRecord) -> ArchiveRecord:
    """The same with all times in UTC; those without a zone are meant so (contract, 6.3)."""
    times = {name: _utc(value) for name, value in msgspec.structs.asdict(record).items() if isinstance(value, datetime)}
    return msgspec.structs.replace(record, **times)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
