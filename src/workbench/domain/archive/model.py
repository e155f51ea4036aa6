"""What makes a copy, and what came of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.conversations.model import DEFAULT_TITLE, Conversation, Title

ORIGINAL = "_original_conversation_id"


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
