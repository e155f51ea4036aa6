"""Conversations in SQL."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import and_, bindparam, delete, func, or_, select, update

from workbench.adapters.sql.repository import Context, Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id, Moment
from workbench.adapters.sql.tables import conversations, events, participants, shares, workspaces
from workbench.adapters.sql.turns import REMEMBER_GONE
from workbench.domain.conversations.model import Conversation
from workbench.domain.conversations.ports import ConversationFilter, Conversations, ListedConversation
from workbench.domain.errors import NotFoundError
from workbench.domain.identity.model import Principal
from workbench.domain.messages.ports import UntitledConversations

_FIELDS = ("id", "title", "owner_id", "imported_from_conversation_id", "metadata", "created_datetime")
_ONE = Query(
    Conversation,
    select(*columns_of(conversations, *_FIELDS), conversations.c.version).where(
        here(conversations), conversations.c.id == bindparam("id")
    ),
)
_MADE_BY = select(conversations.c.id).where(
    here(conversations),
    conversations.c.id == bindparam("id", type_=Id),
    conversations.c.made_by_assistant_id == bindparam("assistant_id", type_=Id),
)
_CHANGE = (
    update(conversations)
    .where(
        here(conversations),
        conversations.c.id == bindparam("of_id"),
        conversations.c.version == bindparam("read_version"),
    )
    .values(title=bindparam("title"), metadata=bindparam("metadata"), version=conversations.c.version + 1)
)
_REMOVE = delete(conversations).where(here(conversations), conversations.c.id == bindparam("of_id"))
_GIVE_ROOM_BACK = (
    update(workspaces)
    .where(here(workspaces))
    .values(
        file_bytes=workspaces.c.file_bytes
        - func.coalesce(
            select(conversations.c.file_bytes)
            .where(here(conversations), conversations.c.id == bindparam("of_id"))
            .scalar_subquery(),
            0,
        )
    )
)
_UNSEAT = delete(participants).where(here(participants), participants.c.conversation_id == bindparam("of_id"))
_UNSHARE = delete(shares).where(here(shares), shares.c.conversation_id == bindparam("of_id"))
_REMOVE_EVENTS = delete(events).where(
    here(events), events.c.conversation_id == bindparam("of_id"), events.c.type != "conversation.deleted"
)


@lru_cache(8)
def _listing(*, include_owned: bool, from_cursor: bool, limited: bool) -> Query[ListedConversation]:
    """Build the list statement of one form; there are eight."""
    seen = participants.c.active_participant
    if include_owned:
        seen = or_(seen, conversations.c.owner_id == participants.c.id)
    statement = (
        select(*columns_of(conversations, *_FIELDS), participants.c.conversation_permission)
        .join(participants, participants.c.conversation_id == conversations.c.id)
        .where(
            here(participants),
            here(conversations),
            participants.c.role == bindparam("role"),
            participants.c.id == bindparam("principal_id"),
            seen,
        )
        .order_by(conversations.c.created_datetime.desc(), conversations.c.id.desc())
    )
    if from_cursor:
        older = conversations.c.created_datetime < bindparam("created", type_=Moment)
        as_old = conversations.c.created_datetime == bindparam("created", type_=Moment)
        statement = statement.where(or_(older, and_(as_old, conversations.c.id < bindparam("behind", type_=Id))))
    if limited:
        statement = statement.limit(bindparam("limit"))
    return Query(ListedConversation, statement, _listed)


def _listed(row: Sequence[Any]) -> dict[str, Any]:
    return {"conversation": dict(zip(_FIELDS, row, strict=False)), "permission": row[-1]}


class SqlConversations(Repository, Conversations, UntitledConversations):
    """The conversations of one workspace. Remembers the versions it read: a change is stored only over those."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._versions: dict[UUID, int] = {}

    async def require(self, conversation_id: UUID) -> Conversation:
        """One conversation."""
        rows = await self._rows(_ONE.statement, {"id": conversation_id})
        if not rows:
            raise NotFoundError
        self._versions[conversation_id] = rows[0][-1]
        return _ONE.convert(rows)[0]

    async def may_be_titled(self, conversation_id: UUID) -> bool:
        """One conversation's metadata tells."""
        return (await self.require(conversation_id)).may_be_titled

    async def of(self, principal: Principal, wanted: ConversationFilter) -> Sequence[ListedConversation]:
        """The caller's own."""
        behind = wanted.behind
        query = _listing(
            include_owned=wanted.include_inactive, from_cursor=behind is not None, limited=wanted.limit is not None
        )
        parameters: dict[str, Any] = {"role": principal.role, "principal_id": principal.id}
        if behind is not None:
            parameters |= {"created": behind.created_datetime, "behind": behind.id}
        if wanted.limit is not None:
            parameters["limit"] = wanted.limit
        return await self._all(query, parameters)

    async def is_made_by(self, conversation_id: UUID, assistant_id: UUID) -> bool:
        """By the primary key."""
        return bool(await self._rows(_MADE_BY, {"id": conversation_id, "assistant_id": assistant_id}))

    def add(self, conversation: Conversation, made_by: UUID | None = None) -> None:
        """Insert."""
        self._writes.insert(conversations, {**msgspec.structs.asdict(conversation), "made_by_assistant_id": made_by})

    def change(self, conversation: Conversation) -> None:
        """Update, over the version that was read."""
        parameters = {
            "of_id": conversation.id,
            "read_version": self._versions[conversation.id],
            "title": conversation.title,
            "metadata": conversation.metadata,
        }
        self._writes.change(_CHANGE, parameters, must_hit=True)

    def hide(self, conversation_id: UUID) -> None:
        """Delete the seats, and the shares that would give new ones."""
        self._writes.remove(_UNSHARE, {"of_id": conversation_id})
        self._writes.remove(_UNSEAT, {"of_id": conversation_id})

    def remove(self, conversation_id: UUID) -> None:
        """Delete with all that hangs on it; of its events only the one that tells of this stays, and what is left of turns."""
        self._writes.remove(REMEMBER_GONE, {"of_id": conversation_id, "gone_at": self._context.clock.now()})
        self._writes.remove(_GIVE_ROOM_BACK, {"of_id": conversation_id})
        self._writes.remove(_REMOVE, {"of_id": conversation_id})
        self._writes.remove(_REMOVE_EVENTS, {"of_id": conversation_id})
