"""A conversation, as it is kept and as a caller sees it."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from workbench.domain.messages.model import Message
from workbench.domain.participants.model import Participant, Permission

DEFAULT_TITLE = "New Conversation"
MAX_TITLE_LENGTH = 4096
SYSTEM_KEY_PREFIX = "__"
USER_SET_TITLE = "__user_set_title"
AUTO_TITLE_COUNT = "__auto_title_count"
MAX_AUTO_TITLES = 3

Title = Annotated[str, msgspec.Meta(max_length=MAX_TITLE_LENGTH)]


class NewConversation(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller sends to make one; an empty title becomes the default."""

    title: Title = DEFAULT_TITLE
    metadata: dict[str, Any] = {}


class ConversationChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change; absent or null stays as it is."""

    title: Title | None = None
    metadata: dict[str, Any] | None = None


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as it is kept."""

    id: UUID
    title: str
    owner_id: str
    imported_from_conversation_id: UUID | None
    metadata: dict[str, Any]
    created_datetime: datetime

    @classmethod
    def created(cls, conversation_id: UUID, new: NewConversation, owner_id: str, now: datetime) -> "Conversation":
        """A new conversation; a title of the caller's own choice is marked as such."""
        title = new.title or DEFAULT_TITLE
        metadata = dict(new.metadata)
        if title != DEFAULT_TITLE:
            metadata[USER_SET_TITLE] = True
        return cls(
            id=conversation_id,
            title=title,
            owner_id=owner_id,
            imported_from_conversation_id=None,
            metadata=metadata,
            created_datetime=now,
        )

    def changed(self, change: ConversationChange) -> "Conversation":
        """Apply a change: metadata merges, and a system key that is there keeps its value."""
        kept = {key: value for key, value in self.metadata.items() if key.startswith(SYSTEM_KEY_PREFIX)}
        metadata = {**self.metadata, **(change.metadata or {}), **kept}
        title = change.title or self.title
        if title != self.title:
            metadata[USER_SET_TITLE] = True
        return msgspec.structs.replace(self, title=title, metadata=metadata)

    @property
    def auto_title_count(self) -> int:
        """How often a model was asked for its title; what a caller put there that is no such number counts as none."""
        count = self.metadata.get(AUTO_TITLE_COUNT)
        return count if type(count) is int and count > 0 else 0

    @property
    def may_be_titled(self) -> bool:
        """Whether a model may choose the title: nobody else did, and it was not asked too often."""
        return not self.metadata.get(USER_SET_TITLE) and self.auto_title_count < MAX_AUTO_TITLES

    def titled(self, title: str) -> "Conversation":
        """Take a model's title; a blank one keeps the title there is, and counts all the same."""
        metadata = {**self.metadata, AUTO_TITLE_COUNT: self.auto_title_count + 1}
        return msgspec.structs.replace(self, title=title or self.title, metadata=metadata)


class ConversationDetails(Conversation, frozen=True, kw_only=True):
    """A conversation as one caller sees it: with their permission, all participants, and the latest message."""

    conversation_permission: Permission
    latest_message: Message | None
    participants: list[Participant]

    @classmethod
    def of(
        cls,
        conversation: Conversation,
        permission: Permission,
        participants: list[Participant],
        latest_message: Message | None = None,
    ) -> "ConversationDetails":
        """What the caller sees of the conversation."""
        return cls(
            **msgspec.structs.asdict(conversation),
            conversation_permission=permission,
            latest_message=latest_message,
            participants=participants,
        )


class ConversationList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list; the cursor is there only when a page was asked for."""

    conversations: list[ConversationDetails]
    next_cursor: str | UnsetType | None = UNSET
