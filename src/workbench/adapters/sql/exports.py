"""What may go into archives, from SQL: for a user what they see, for an operator what there is."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, and_, bindparam, or_, select

from workbench.adapters.sql.registrations import IS_ONLINE, SEEN
from workbench.adapters.sql.repository import Query, Repository, here
from workbench.adapters.sql.schema import Id, Moment
from workbench.adapters.sql.tables import (
    assistant_services,
    assistants,
    conversations,
    participants,
)
from workbench.domain.archive.model import Seated
from workbench.domain.archive.ports import Exports
from workbench.domain.archive.storing import LONGEST

_IDS: BindParameter[Any] = bindparam("conversation_ids", expanding=True)
_USERS_SEAT = and_(
    participants.c.conversation_id == conversations.c.id,
    participants.c.role == "user",
    participants.c.id == bindparam("user_id"),
)
_OWNS = conversations.c.owner_id == bindparam("user_id")
_VISIBLE = (
    select(conversations.c.id)
    .join(participants, _USERS_SEAT)
    .where(here(conversations), conversations.c.id.in_(_IDS), or_(participants.c.active_participant.is_(True), _OWNS))
    .order_by(conversations.c.id)
)
# An import that is under way has told nobody yet of its conversations, which are not whole. Others without an event were
# moved in from elsewhere.
_SHOWN = and_(
    here(conversations),
    or_(
        conversations.c.event_head > 0,
        conversations.c.imported_from_conversation_id.is_(None),
        conversations.c.created_datetime <= bindparam("imports_since", type_=Moment),
    ),
)
_EXISTING = select(conversations.c.id).where(_SHOWN, conversations.c.id.in_(_IDS)).order_by(conversations.c.id)
_PAGE = select(conversations.c.id).where(_SHOWN).order_by(conversations.c.id).limit(bindparam("limit"))
_PAGES = {False: _PAGE, True: _PAGE.where(conversations.c.id > bindparam("after", type_=Id))}
_WITH_ASSISTANT = (
    select(conversations.c.id)
    .join(participants, participants.c.conversation_id == conversations.c.id)
    .where(
        _SHOWN,
        here(participants),
        participants.c.role == "assistant",
        participants.c.id == bindparam("assistant_id"),
        participants.c.active_participant.is_(True),
    )
    .order_by(conversations.c.id)
)
_ONLINE = (
    select(assistants.c.id, assistants.c.assistant_service_id)
    .join(assistant_services, assistant_services.c.assistant_service_id == assistants.c.assistant_service_id)
    .where(
        here(assistants),
        SEEN,
        assistants.c.id.in_(bindparam("assistant_ids", expanding=True)),
        IS_ONLINE,
    )
    .order_by(assistants.c.id)
)
_its_seat = participants.alias("its_seat")
_ADMINISTERED = (
    select(conversations.c.id)
    .join(participants, _USERS_SEAT)
    .join(
        _its_seat,
        and_(
            _its_seat.c.conversation_id == conversations.c.id,
            _its_seat.c.role == "assistant",
            _its_seat.c.assistant_id == bindparam("assistant_id", type_=Id),
        ),
    )
    .where(
        here(conversations),
        _its_seat.c.active_participant.is_(True),
        participants.c.conversation_permission != "read",
        or_(participants.c.active_participant.is_(True), _OWNS),
    )
    .order_by(conversations.c.id)
)
_SEATED = Query(
    Seated,
    select(participants.c.assistant_id, participants.c.conversation_id)
    .join(assistants, assistants.c.id == participants.c.assistant_id)
    .where(
        here(participants),
        participants.c.conversation_id.in_(_IDS),
        participants.c.role == "assistant",
        participants.c.active_participant.is_(True),
    )
    .order_by(participants.c.assistant_id, participants.c.conversation_id),
)


class SqlExports(Repository, Exports):
    """What of one workspace goes along."""

    async def visible(self, user_id: str, conversation_ids: Sequence[UUID]) -> Sequence[UUID]:
        """By the primary keys."""
        if not conversation_ids:
            return []
        found = await self._rows(_VISIBLE, {"user_id": user_id, "conversation_ids": list(conversation_ids)})
        return [UUID(str(row[0])) for row in found]

    async def administered_with(self, user_id: str, assistant_id: UUID) -> Sequence[UUID]:
        """By the index on participants."""
        found = await self._rows(_ADMINISTERED, {"user_id": user_id, "assistant_id": assistant_id})
        return [UUID(str(row[0])) for row in found]

    async def existing(self, conversation_ids: Sequence[UUID]) -> Sequence[UUID]:
        """By the primary keys."""
        found = await self._rows(_EXISTING, {"conversation_ids": list(conversation_ids), **self._moment()})
        return [UUID(str(row[0])) for row in found]

    async def with_assistant(self, assistant_id: UUID) -> Sequence[UUID]:
        """By the index on participants."""
        found = await self._rows(_WITH_ASSISTANT, {"assistant_id": str(assistant_id), **self._moment()})
        return [UUID(str(row[0])) for row in found]

    async def page(self, after: UUID | None, limit: int) -> Sequence[UUID]:
        """Along the index on workspace and id."""
        place = {"limit": limit, **self._moment()} | ({"after": after} if after else {})
        return [UUID(str(row[0])) for row in await self._rows(_PAGES[after is not None], place)]

    async def seated(self, conversation_ids: Sequence[UUID]) -> Sequence[Seated]:
        """By the primary key."""
        return await self._all(_SEATED, {"conversation_ids": list(conversation_ids)}) if conversation_ids else []

    def _moment(self) -> dict[str, Any]:
        return {"imports_since": self._context.clock.now() - LONGEST}

    async def online(self, assistant_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """By the primary keys."""
        place = {"assistant_ids": list(assistant_ids), "now": self._context.clock.now()}
        return {UUID(str(row[0])): str(row[1]) for row in await self._rows(_ONLINE, place)}
