"""The records of archives, from SQL: all of one moment, and in the order in which an import must see them."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import IO, Any
from uuid import UUID

import msgspec
from sqlalchemy import BindParameter, Connection, Select, and_, bindparam, select

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.repository import here
from workbench.adapters.sql.tables import (
    assistants,
    contents,
    conversations,
    file_versions,
    files,
    message_debug,
    messages,
    participants,
    users,
)
from workbench.domain.archive.model import ExportScope, PackedFile
from workbench.domain.archive.ports import Snapshot, Snapshots

ROWS = 500
IDS = 500
"""Conversations or assistants named in one statement."""
PIECE_BYTES = 256 << 10

_IDS: BindParameter[Any] = bindparam("conversation_ids", expanding=True)
_IN_SCOPE = messages.c.conversation_id.in_(_IDS)


class _Kind(msgspec.Struct, frozen=True):
    """A type of record: its statement, and how its rows are written."""

    name: str
    statement: Select[Any]
    shape: Callable[[Sequence[Any]], dict[str, Any]]


def _named(*names: str) -> Callable[[Sequence[Any]], dict[str, Any]]:
    return lambda row: dict(zip(names, row, strict=True))


_SEAT_COLUMNS = (
    *("conversation_id", "id", "name", "image", "joined_datetime", "status", "status_updated_timestamp"),
    *("active_participant", "metadata"),
)


def _seats(role: str, *more: Any) -> Select[Any]:
    return (
        select(*(participants.c[name] for name in _SEAT_COLUMNS), *more)
        .where(here(participants), participants.c.conversation_id.in_(_IDS), participants.c.role == role)
        .order_by(participants.c.conversation_id, participants.c.joined_datetime, participants.c.id)
    )


def _users_seat(row: Sequence[Any]) -> dict[str, Any]:
    conversation_id, user_id, name, image, joined, status, updated, active, metadata, permission, service_user = row
    return {
        "conversation_id": conversation_id,
        "user_id": user_id,
        "name": name,
        "image": image,
        "service_user": bool(service_user),
        "joined_datetime": joined,
        "status": status,
        "status_updated_datetime": updated,
        "active_participant": bool(active),
        "meta_data": metadata,
        "conversation_permission": permission,
    }


def _assistants_seat(row: Sequence[Any]) -> dict[str, Any]:
    conversation_id, assistant_id, name, image, joined, status, updated, active, metadata = row
    return {
        "conversation_id": conversation_id,
        "assistant_id": assistant_id,
        "name": name,
        "image": image,
        "joined_datetime": joined,
        "status": status,
        "status_updated_datetime": updated,
        "active_participant": bool(active),
        "meta_data": metadata,
    }


def _assistant(row: Sequence[Any]) -> dict[str, Any]:
    names = ("assistant_id", "owner_id", "assistant_service_id", "template_id", "created_datetime", "name", "image")
    return {**dict(zip(names, row, strict=False)), "meta_data": row[-1], "imported_from_assistant_id": None}


# In the order in which an import must see them: what is pointed at before what points.
KINDS = (
    _Kind(
        "Assistant",
        select(
            *(
                assistants.c[name]
                for name in (
                    *("id", "owner_id", "assistant_service_id", "template_id", "created_datetime", "name", "image"),
                    "metadata",
                )
            )
        )
        .where(here(assistants), assistants.c.id.in_(bindparam("assistant_ids", expanding=True)))
        .order_by(assistants.c.id),
        _assistant,
    ),
    _Kind(
        "Conversation",
        select(
            conversations.c.id,
            conversations.c.created_datetime,
            conversations.c.owner_id,
            conversations.c.title,
            conversations.c.metadata,
            conversations.c.imported_from_conversation_id,
        )
        .where(here(conversations), conversations.c.id.in_(_IDS))
        .order_by(conversations.c.id),
        _named(
            *("conversation_id", "created_datetime", "owner_id", "title", "meta_data", "imported_from_conversation_id")
        ),
    ),
    _Kind(
        "ConversationMessage",
        select(
            messages.c.sequence,
            messages.c.id,
            messages.c.conversation_id,
            messages.c.timestamp,
            messages.c.sender_id,
            messages.c.sender_role,
            messages.c.message_type,
            messages.c.content,
            messages.c.content_type,
            messages.c.metadata,
            messages.c.filenames,
        )
        .where(here(messages), _IN_SCOPE)
        .order_by(messages.c.conversation_id, messages.c.sequence),
        _named(
            *("sequence", "message_id", "conversation_id", "created_datetime", "sender_participant_id"),
            *("sender_participant_role", "message_type", "content", "content_type", "meta_data", "filenames"),
        ),
    ),
    _Kind(
        "ConversationMessageDebug",
        select(message_debug.c.message_id, message_debug.c.debug_data)
        .join(
            messages,
            and_(messages.c.workspace_id == message_debug.c.workspace_id, messages.c.id == message_debug.c.message_id),
        )
        .where(here(messages), _IN_SCOPE)
        .order_by(messages.c.conversation_id, messages.c.sequence),
        _named("message_id", "data"),
    ),
    _Kind(
        "UserParticipant",
        _seats("user", participants.c.conversation_permission, users.c.service_user).outerjoin(
            users, and_(users.c.workspace_id == participants.c.workspace_id, users.c.id == participants.c.id)
        ),
        _users_seat,
    ),
    _Kind("AssistantParticipant", _seats("assistant"), _assistants_seat),
    _Kind(
        "File",
        select(files.c.id, files.c.conversation_id, files.c.filename, files.c.current_version, files.c.created_datetime)
        .where(here(files), files.c.conversation_id.in_(_IDS))
        .order_by(files.c.conversation_id, files.c.created_datetime, files.c.id),
        _named("file_id", "conversation_id", "filename", "current_version", "created_datetime"),
    ),
    _Kind(
        "FileVersion",
        select(
            file_versions.c.file_id,
            file_versions.c.version,
            file_versions.c.participant_id,
            file_versions.c.participant_role,
            file_versions.c.created_datetime,
            file_versions.c.metadata,
            file_versions.c.content_type,
            file_versions.c.file_size,
            file_versions.c.storage_filename,
        )
        .join(files, files.c.id == file_versions.c.file_id)
        .where(here(files), files.c.conversation_id.in_(_IDS))
        .order_by(files.c.conversation_id, files.c.created_datetime, files.c.id, file_versions.c.version),
        _named(
            *("file_id", "version", "participant_id", "participant_role", "created_datetime", "meta_data"),
            *("content_type", "file_size", "storage_filename"),
        ),
    ),
)
_PACKED = (
    select(files.c.conversation_id, file_versions.c.storage_filename, contents.c.storage_key)
    .join(file_versions, file_versions.c.file_id == files.c.id)
    .join(
        contents,
        and_(contents.c.workspace_id == file_versions.c.workspace_id, contents.c.hash == file_versions.c.content_hash),
    )
    .where(here(files), files.c.conversation_id.in_(_IDS))
    .order_by(files.c.conversation_id, file_versions.c.file_id, file_versions.c.version)
)


class SpooledSnapshot(Snapshot):
    """A snapshot in two temporary files."""

    def __init__(self, records: IO[bytes], files: IO[bytes], counts: Mapping[str, int]) -> None:
        self._records = records
        self._files = files
        self._counts = counts

    @property
    def counts(self) -> Mapping[str, int]:
        """Counted while they were written; what there is none of is zero."""
        return self._counts

    async def records(self) -> AsyncIterator[bytes]:
        """Piece by piece."""
        self._records.seek(0)
        while piece := await asyncio.to_thread(self._records.read, PIECE_BYTES):
            yield piece

    async def files(self) -> AsyncIterator[PackedFile]:
        """Line by line."""
        self._files.seek(0)
        for line in self._files:
            yield msgspec.json.decode(line, type=PackedFile)


class SqlSnapshots(Snapshots):
    """Takes snapshots of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def take(self, workspace_id: str, scope: ExportScope) -> AsyncGenerator[Snapshot]:
        """Write everything to temporary files within one reading transaction, which then ends."""
        with tempfile.TemporaryFile() as records, tempfile.TemporaryFile() as packed:
            counts = Counter[str]()

            def work(connection: Connection) -> None:
                for kind in KINDS:
                    for row in _streamed(connection, kind.statement, workspace_id, scope):
                        records.write(msgspec.json.encode({"type": kind.name, "data": kind.shape(row)}) + b"\n")
                        counts[kind.name] += 1
                for conversation_id, storage_filename, storage_key in _streamed(
                    connection, _PACKED, workspace_id, scope
                ):
                    found = PackedFile(
                        conversation_id=UUID(str(conversation_id)),
                        storage_filename=storage_filename,
                        storage_key=storage_key,
                    )
                    packed.write(msgspec.json.encode(found) + b"\n")

            await self._database.read_at_once(work, workspace_id)
            yield SpooledSnapshot(records, packed, counts)


def _streamed(
    connection: Connection, statement: Select[Any], workspace_id: str, scope: ExportScope
) -> Iterator[Sequence[Any]]:
    """Rows of one moment, asked for some ids at a time: a statement bears only so many.

    The ids are in their order, and rows are ordered by them first, so that the whole is in order, too.
    """
    of_assistants = "assistant_ids" in statement.compile().params
    ids = sorted(scope.assistant_ids if of_assistants else scope.conversation_ids)
    name = "assistant_ids" if of_assistants else "conversation_ids"
    streaming = statement.execution_options(yield_per=ROWS)
    for start in range(0, len(ids), IDS):
        yield from connection.execute(streaming, {"ws": workspace_id, name: ids[start : start + IDS]})
