"""What makes a copy, and what came of it."""

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.conversations.model import DEFAULT_TITLE, Conversation, Title

LISTED_IDS = 500
"""So many ids of conversations stand in an entry of the audit record."""
ORIGINAL = "_original_conversation_id"

Watch = Callable[[str, int, int | None], object]
"""Is told how far something is: its stage, how much of that is done, and of how much, where that is known."""


def unwatched(stage: str, done: int, total: int | None) -> None:
    """Tell nobody."""


class ArchiveLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How large an archive may be: bytes as it came and unpacked, entries, and how many times larger it may become."""

    packed_bytes: int = 1 << 30
    unpacked_bytes: int = 4 << 30
    entries: int = 20_000
    ratio: int = 200

    def unpacked_by_ratio(self, packed: int) -> int:
        """How many bytes an archive of so many may unpack to."""
        return max(FREE_BYTES, packed * self.ratio)


FREE_BYTES = 1 << 20
"""So much may be unpacked whatever the ratio: little text of one kind packs very well."""


class CopyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy is to be called, and metadata to lay over the original's.

    By the contract an absent title means the default one, and only an empty title one that tells of the copy.
    """

    title: Title = DEFAULT_TITLE
    metadata: dict[str, Any] = {}

    def copy_of(self, original: Conversation, copy_id: UUID, now: datetime) -> Conversation:
        """The copy: the owner stays who it was, whoever makes it."""
        return msgspec.structs.replace(
            original,
            id=copy_id,
            title=self.title or f"{original.title} (Copy)",
            imported_from_conversation_id=original.id,
            metadata={**original.metadata, **self.metadata, ORIGINAL: str(original.id)},
            created_datetime=now,
        )


class ImportResult(msgspec.Struct, frozen=True, kw_only=True):
    """What there is now, in the order in which it came."""

    conversation_ids: list[UUID]
    assistant_ids: list[UUID]


class ImportCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What came in, or would; of files each version counts."""

    conversations: int
    messages: int
    files: int
    file_bytes: int
    new_assistants: int
    assistants_used_again: int


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an import; one that was only rehearsed made nothing, and has no ids."""

    dry_run: bool
    conversation_ids: list[UUID]
    assistant_ids: list[UUID]
    counts: ImportCounts

    @property
    def result(self) -> ImportResult:
        """What the importer is told."""
        return ImportResult(conversation_ids=self.conversation_ids, assistant_ids=self.assistant_ids)


class ExportScope(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into an archive: whole conversations, and the records of assistants."""

    conversation_ids: tuple[UUID, ...]
    assistant_ids: tuple[UUID, ...]


class ExportCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive holds; of files each version counts, of bytes those of the archive itself."""

    conversations: int
    assistants: int
    messages: int
    files: int
    bytes: int


class PackedFile(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes of a version of a file: what archives call them, and where they lie."""

    conversation_id: UUID
    storage_filename: str
    storage_key: str

    @property
    def path(self) -> str:
        """Where an archive has them."""
        return content_path(self.conversation_id, self.storage_filename)


class Seated(msgspec.Struct, frozen=True, kw_only=True):
    """An assistant that is active in a conversation of an archive."""

    assistant_id: UUID
    conversation_id: UUID


RECORDS = "workbench.jsonl"


def listed(conversation_ids: Sequence[UUID]) -> dict[str, Any]:
    """Conversations in an entry of the audit record: all of them, or of very many the first and the last."""
    ids = [str(each) for each in conversation_ids]
    if len(ids) > LISTED_IDS:
        return {"first_conversation_id": ids[0], "last_conversation_id": ids[-1]}
    return {"conversation_ids": ids}


def content_path(conversation_id: UUID, storage_filename: str) -> str:
    """Where an archive has the bytes of a version."""
    return f"files/{conversation_id}/{hashlib.sha256(storage_filename.encode()).hexdigest()}"


def assistant_data_path(assistant_id: UUID) -> str:
    """Where an archive has what a service keeps for an assistant."""
    return f"assistants/{assistant_id}/assistant_data.bin"


def conversation_data_path(seat: Seated) -> str:
    """Where an archive has what an assistant keeps for a conversation."""
    return f"assistants/{seat.assistant_id}/conversations/{seat.conversation_id}/conversation_data.bin"


def archive_name(now: datetime, assistant_name: str | None = None) -> str:
    """Name an archive as the contract does: by its assistant, if it is of one, and by the time."""
    stamp = now.strftime("%Y%m%d%H%M%S")
    if assistant_name is None:
        return f"semantic_workbench_conversation_export_{stamp}.zip"
    name = re.sub(r"(?u)[^-\w.]", "", re.sub(r"\s", "_", assistant_name.strip()))
    return f"assistant_{name}_{stamp}.zip"
