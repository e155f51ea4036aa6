"""A participant, their seat in a conversation, and what the seat allows."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from workbench.domain.errors import NotFoundError
from workbench.domain.identity.model import Role

Permission = Literal["read_write", "read"]

MAX_STATUS_LENGTH = 4096


class Participant(msgspec.Struct, frozen=True, kw_only=True):
    """A user or assistant in a conversation; name and image are copies that follow the original.

    `online` tells of an assistant whether its service is heard of; for users it is null.
    """

    role: Role
    id: str
    conversation_id: UUID
    name: str
    image: str | None
    status: str | None
    status_updated_timestamp: datetime
    active_participant: bool
    online: bool | None
    conversation_permission: Permission
    metadata: dict[str, Any]

    @classmethod
    def of_user(cls, conversation_id: UUID, user_id: str, name: str, image: str | None, now: datetime) -> "Participant":
        """A person who joins with full permission."""
        return cls(
            role="user",
            id=user_id,
            conversation_id=conversation_id,
            name=name,
            image=image,
            status=None,
            status_updated_timestamp=now,
            active_participant=True,
            online=None,
            conversation_permission="read_write",
            metadata={},
        )

    def changed(self, change: "ParticipantChange", now: datetime) -> "Participant":
        """Apply a change by the contract's rules; the status time moves only with the status text."""
        active = self.active_participant if change.active_participant is None else change.active_participant
        status = change.status if active or change.active_participant is None else None
        return msgspec.structs.replace(
            self,
            active_participant=active,
            status=status,
            status_updated_timestamp=self.status_updated_timestamp if status == self.status else now,
            metadata=deep_merge(self.metadata, change.metadata) if change.metadata else self.metadata,
        )


class ParticipantChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change. An absent or null `status` clears it; the other two stay as they are."""

    status: Annotated[str, msgspec.Meta(max_length=MAX_STATUS_LENGTH)] | None = None
    active_participant: bool | None = None
    metadata: dict[str, Any] | None = None

    def tells_something(self, participant: Participant) -> bool:
        """Whether applying this to the participant is worth an event."""
        return self.active_participant is not None or self.metadata is not None or self.status != participant.status


class ParticipantList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list."""

    participants: list[Participant]


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's place in a conversation. Who has no seat gets NotFoundError before this exists.

    Each `require_...` raises NotFoundError: what a seat does not allow is not the caller's to know.
    """

    conversation_id: UUID
    active: bool
    permission: Permission
    owns: bool

    @property
    def may_see(self) -> bool:
        """Active, or the owner even after leaving."""
        return self.active or self.owns

    @property
    def may_write(self) -> bool:
        """Active, and not an observer."""
        return self.active and self.permission != "read"

    @property
    def may_administer(self) -> bool:
        """May write, or is the owner who left."""
        return self.permission != "read" and (self.active or self.owns)

    def require_see(self) -> None:
        """Let those pass who may look at the conversation."""
        _require(self.may_see)

    def require_read(self) -> None:
        """Let those pass who may read its messages."""
        _require(self.active)

    def require_write(self) -> None:
        """Let those pass who may say something."""
        _require(self.may_write)

    def require_administer(self) -> None:
        """Let those pass who may change the conversation itself."""
        _require(self.may_administer)


def _require(allowed: bool) -> None:
    if not allowed:
        raise NotFoundError


def deep_merge(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Merge as the contract says: objects recurse, lists concatenate, all else is replaced."""
    merged = dict(old)
    for key, value in new.items():
        current: Any = merged.get(key)
        if isinstance(current, dict) and isinstance(value, dict):
            merged[key] = deep_merge(current, value)  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(current, list) and isinstance(value, list):
            merged[key] = [*current, *value]
        else:
            merged[key] = value
    return merged
