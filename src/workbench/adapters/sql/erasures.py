"""Erasures in SQL: how far they are, and what a person has in a workspace."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import BindParameter, Executable, and_, bindparam, delete, literal, or_, select, tuple_, update

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import FIND_ERASURES
from workbench.adapters.sql.lifecycle_tables import erasures
from workbench.adapters.sql.messages import message_columns, messages_of
from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id, Moment
from workbench.adapters.sql.tables import (
    assistant_services,
    assistants,
    conversations,
    message_debug,
    messages,
    participants,
    users,
)
from workbench.domain.lifecycle.person import Erasure
from workbench.domain.lifecycle.ports import Erasures, Estate, Said, UnfinishedErasure, UnfinishedErasures

_FIELDS = tuple(Erasure.__struct_fields__)
_ERASURE = select(*columns_of(erasures, *_FIELDS)).where(here(erasures))
_ONE = Query(Erasure, _ERASURE.where(erasures.c.id == bindparam("id", type_=Id)))
_UNDER_WAY = Query(Erasure, _ERASURE.where(erasures.c.user_id == bindparam("user_id")))
_LATEST = Query(
    Erasure,
    _ERASURE.where(erasures.c.subject == bindparam("subject")).order_by(erasures.c.begun_datetime.desc()).limit(1),
)
_SAVE = (
    update(erasures)
    .where(
        here(erasures), erasures.c.id == bindparam("of_id", type_=Id), erasures.c.version == bindparam("read_version")
    )
    .values(
        user_id=bindparam("to_user_id"),
        user_name=bindparam("to_user_name"),
        stage=bindparam("to_stage"),
        place=bindparam("to_place"),
        counts=bindparam("to_counts"),
        touched_datetime=bindparam("now", type_=Moment),
        ended_datetime=bindparam("ended", type_=Moment),
        version=erasures.c.version + 1,
    )
)
_LEFT = Query(
    UnfinishedErasure,
    select(*columns_of(erasures, "workspace_id", "id"))
    .where(erasures.c.ended_datetime.is_(None), erasures.c.touched_datetime < bindparam("before", type_=Moment))
    .order_by(erasures.c.begun_datetime),
)

_USER: BindParameter[str] = bindparam("user_id")
_NAME = select(users.c.name).where(here(users), users.c.id == _USER)
_SEAT = and_(here(participants), participants.c.role == "user", participants.c.id == _USER)
_SEAT_NAME = select(participants.c.name).where(_SEAT).limit(1)
_OWNS = and_(here(conversations), conversations.c.owner_id == _USER)
_ANYTHING = select(literal("")).where(
    or_(
        select(conversations.c.id).where(_OWNS).exists(),
        select(assistants.c.id).where(here(assistants), assistants.c.owner_id == _USER).exists(),
        select(assistant_services.c.assistant_service_id)
        .where(here(assistant_services), assistant_services.c.created_by_user_id == _USER)
        .exists(),
    )
)
_SEATED = select(participants.c.conversation_id).where(_SEAT).limit(bindparam("limit"))
_ACTIVE = (
    select(participants.c.conversation_id).where(_SEAT, participants.c.active_participant).limit(bindparam("limit"))
)
_OWNED = (
    select(conversations.c.id)
    .where(_OWNS, conversations.c.id > bindparam("after", type_=Id))
    .order_by(conversations.c.id)
    .limit(bindparam("limit"))
)
_IS_OWN = and_(messages.c.sender_role == "user", messages.c.sender_id == _USER)
_SAID = Query(
    Said,
    select(*message_columns(messages), messages.c.conversation_id, messages.c.sequence, _IS_OWN.label("own"))
    .join_from(participants, messages, messages.c.conversation_id == participants.c.conversation_id)
    .where(
        _SEAT,
        or_(_IS_OWN, messages.c.has_debug_data),
        tuple_(messages.c.conversation_id, messages.c.sequence)
        > tuple_(bindparam("after_conversation", type_=Id), bindparam("after_sequence")),
    )
    .order_by(messages.c.conversation_id, messages.c.sequence)
    .limit(bindparam("limit")),
    lambda row: {
        "message": messages_of([row])[0],
        "conversation_id": row[-3],
        "sequence": row[-2],
        "is_own": bool(row[-1]),
    },
)
_HEIR_OF_SERVICE = (
    select(assistants.c.owner_id)
    .where(
        here(assistants), assistants.c.assistant_service_id == bindparam("service_id"), assistants.c.owner_id != _USER
    )
    .order_by(assistants.c.created_datetime, assistants.c.id)
    .limit(1)
)
_HAND_OVER = (
    update(conversations)
    .where(
        here(conversations),
        conversations.c.id == bindparam("of_id", type_=Id),
        conversations.c.owner_id == bindparam("from_id"),
    )
    .values(owner_id=bindparam("heir_id"), version=conversations.c.version + 1)
)
FORGET_DEBUG = delete(message_debug).where(
    here(message_debug), message_debug.c.message_id == bindparam("of_id", type_=Id)
)
HAS_NO_DEBUG = (
    update(messages).where(here(messages), messages.c.id == bindparam("of_id", type_=Id)).values(has_debug_data=False)
)
_FIRST = (UUID(int=0), 0)


class SqlErasures(Repository, Erasures):
    """The erasures of one workspace."""

    async def find(self, erasure_id: UUID) -> Erasure | None:
        """By its id."""
        return await self._maybe(_ONE, {"id": erasure_id})

    async def under_way(self, user_id: str) -> Erasure | None:
        """By the person, whom an ended one does not name."""
        return await self._maybe(_UNDER_WAY, {"user_id": user_id})

    async def latest(self, subject: str) -> Erasure | None:
        """By the keyed hash."""
        return await self._maybe(_LATEST, {"subject": subject})

    def add(self, erasure: Erasure) -> None:
        """Insert."""
        self._writes.insert(erasures, msgspec.structs.asdict(erasure))

    def save(self, erasure: Erasure) -> None:
        """Update, over the version that was read."""
        values = {
            "of_id": erasure.id,
            "read_version": erasure.version,
            "to_user_id": erasure.user_id,
            "to_user_name": erasure.user_name,
            "to_stage": erasure.stage,
            "to_place": erasure.place,
            "to_counts": erasure.counts,
            "now": self._context.clock.now(),
            "ended": erasure.ended_datetime,
        }
        self._writes.change(_SAVE, values, must_hit=True)


class SqlUnfinishedErasures(UnfinishedErasures):
    """Erasures of all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def left(self, before: datetime) -> Sequence[UnfinishedErasure]:
        """All of the table, which holds a row for each person who was ever erased."""
        return _LEFT.convert(await self._database.rows(_LEFT.statement, {"before": before}, FIND_ERASURES))


class SqlEstate(Repository, Estate):
    """What a person has in one workspace."""

    async def knows(self, user_id: str) -> str | None:
        """Their row, a seat, or what they own."""
        for statement in (_NAME, _SEAT_NAME, _ANYTHING):
            if rows := await self._rows(statement, {"user_id": user_id}):
                return str(rows[0][0])
        return None

    async def active_in(self, user_id: str, limit: int) -> Sequence[UUID]:
        """Along the index on seats."""
        return await self._ids(_ACTIVE, {"user_id": user_id, "limit": limit})

    async def owned(self, user_id: str, after: UUID | None, limit: int) -> Sequence[UUID]:
        """Over all conversations."""
        return await self._ids(_OWNED, {"user_id": user_id, "after": after or _FIRST[0], "limit": limit})

    async def seated_in(self, user_id: str, limit: int) -> Sequence[UUID]:
        """Along the index on seats."""
        return await self._ids(_SEATED, {"user_id": user_id, "limit": limit})

    async def _ids(self, statement: Executable, place: dict[str, Any]) -> Sequence[UUID]:
        return msgspec.convert([row[0] for row in await self._rows(statement, place)], list[UUID])

    async def said(self, user_id: str, after: tuple[UUID, int] | None, limit: int) -> Sequence[Said]:
        """Along the messages of the conversations they are seated in."""
        conversation_id, sequence = after or _FIRST
        place: dict[str, Any] = {"after_conversation": conversation_id, "after_sequence": sequence, "limit": limit}
        return await self._all(_SAID, {**place, "user_id": user_id})

    async def heir_of_service(self, assistant_service_id: str, user_id: str) -> str | None:
        """Along the index on assistants by service."""
        place = {"service_id": assistant_service_id, "user_id": user_id}
        return await self._scalar(_HEIR_OF_SERVICE, place)

    def hand_over(self, conversation_id: UUID, user_id: str, heir_id: str) -> None:
        """Update, over the owner that was read."""
        self._writes.change(
            _HAND_OVER, {"of_id": conversation_id, "from_id": user_id, "heir_id": heir_id}, must_hit=True
        )

    def forget_debug_data(self, message_id: UUID) -> None:
        """Delete, and note that there is none."""
        for statement in (FORGET_DEBUG, HAS_NO_DEBUG):
            self._writes.change(statement, {"of_id": message_id})
