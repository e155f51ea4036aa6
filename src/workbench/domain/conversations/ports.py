"""What conversations need to have stored."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from workbench.domain.audit.ports import AuditLog
from workbench.domain.conversations.model import Conversation
from workbench.domain.identity.model import Principal
from workbench.domain.jobs.ports import Jobs
from workbench.domain.messages.ports import Messages
from workbench.domain.paging import Cursor
from workbench.domain.participants.model import Permission
from workbench.domain.participants.ports import ParticipantTx


class ListedConversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation with the caller's permission in it."""

    conversation: Conversation
    permission: Permission


class ConversationFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the caller's conversations: those they left too, if they own them; a page of them, or all."""

    include_inactive: bool = False
    limit: int | None = None
    behind: Cursor | None = None


class Conversations(Protocol):
    """The conversations of one workspace."""

    async def require(self, conversation_id: UUID) -> Conversation:
        """The conversation. Raises NotFoundError."""
        ...

    async def of(self, principal: Principal, wanted: ConversationFilter) -> Sequence[ListedConversation]:
        """The conversations that the caller is in, newest created first."""
        ...

    async def is_made_by(self, conversation_id: UUID, assistant_id: UUID) -> bool:
        """Whether the assistant made the conversation."""
        ...

    def add(self, conversation: Conversation, made_by: UUID | None = None) -> None:
        """Store a new conversation, and which assistant made it, if one did."""
        ...

    def change(self, conversation: Conversation) -> None:
        """Store it as changed; stale where another did so since this block read it."""
        ...

    def hide(self, conversation_id: UUID) -> None:
        """Let nobody see it any more, nor join it; what hangs on it stays until it is removed."""
        ...

    def remove(self, conversation_id: UUID) -> None:
        """Forget it and all that hangs on it but the event that tells of this."""
        ...


class Occupants(Protocol):
    """What stands on conversations, and is more than what is said in them."""

    async def make_way(self, conversation_id: UUID) -> None:
        """Let go of a conversation that this block deletes. Raises ConflictError where somebody still needs it."""
        ...


class ConversationTx(ParticipantTx, Protocol):
    """The slice of a transaction that conversations may touch."""

    @property
    def occupants(self) -> Occupants: ...

    @property
    def conversations(self) -> Conversations: ...
    @property
    def messages(self) -> Messages: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def audit(self) -> AuditLog: ...
