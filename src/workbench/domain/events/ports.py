"""What the event log offers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from workbench.domain.events.model import Event, NewEvent, NewWorkspaceEvent
from workbench.domain.identity.model import Principal


class EventRecorder(Protocol):
    """The writing end of the log."""

    def record(self, event: NewEvent | NewWorkspaceEvent) -> None:
        """Append at commit. The position is known only then: nobody may wait for it inside the block."""
        ...


class EventLog(EventRecorder, Protocol):
    """The log of one workspace."""

    async def head(self) -> int:
        """The feed position of the newest event; 0 before the first."""
        ...

    async def floor(self) -> int:
        """The highest feed position that is no longer kept; 0 while all are."""
        ...

    async def floor_of_user(self, user_id: str) -> int:
        """The highest feed position at which something that the user might see is no longer kept."""
        ...

    async def conversation_head(self, conversation_id: UUID) -> int:
        """The position of the conversation's newest event; 0 before the first, or without such a conversation."""
        ...

    async def of_conversation(self, conversation_id: UUID, after: int, limit: int) -> Sequence[Event]:
        """Up to `limit` events of the conversation behind the position, in order."""
        ...

    async def of_user(self, user_id: str, after: int, limit: int) -> Sequence[Event]:
        """Up to `limit` feed events behind the feed position that the user may see, in order."""
        ...

    async def outside(self, after: int, limit: int) -> Sequence[Event]:
        """Up to `limit` events behind the feed position that belong to no conversation, in order."""
        ...

    async def of_workspace(self, after: int, limit: int) -> Sequence[Event]:
        """Up to `limit` events behind the feed position, in order."""
        ...


class Sight(Protocol):
    """Who may see which conversation."""

    async def is_owner(self, conversation_id: UUID, principal: Principal) -> bool:
        """Whether the caller owns the conversation. Raises NotFoundError where they may not see it."""
        ...

    async def conversations_of(self, user_id: str) -> Sequence[UUID]:
        """The conversations in which the user is active."""
        ...


class EventTx(Protocol):
    """The slice of a transaction that reading events touches."""

    @property
    def events(self) -> EventLog: ...
    @property
    def sight(self) -> Sight: ...


class EventKeeping(Protocol):
    """The upkeep of all logs, across workspaces."""

    async def prune(self, workspace_id: str, before: datetime, limit: int) -> int:
        """Forget up to `limit` of the workspace's oldest events from before that time; says how many."""
        ...

    async def prune_conversation(self, workspace_id: str, conversation_id: UUID, before: datetime, limit: int) -> int:
        """The same for one conversation, whose events are kept shorter than the workspace's."""
        ...
