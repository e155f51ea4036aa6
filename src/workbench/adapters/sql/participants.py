"""Participants in SQL, and the seats that decide who sees what."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import and_, bindparam, case, delete, false, func, select, true, update

from workbench.adapters.sql.repository import Context, Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Moment
from workbench.adapters.sql.tables import assistant_services, assistants, conversations, participants
from workbench.adapters.sql.writes import Row, Writer
from workbench.domain.errors import NotFoundError
from workbench.domain.events.ports import Sight
from workbench.domain.identity.model import Principal
from workbench.domain.participants.model import Participant, Seat
from workbench.domain.participants.ports import Participants
from workbench.domain.troubleshooting.known import GUIDE_ID
from workbench.domain.users.ports import Nameplates

_SEAT = Query(
    Seat,
    select(
        participants.c.conversation_id,
        participants.c.active_participant.label("active"),
        participants.c.conversation_permission.label("permission"),
        and_(participants.c.role == "user", conversations.c.owner_id == participants.c.id).label("owns"),
    )
    .join(conversations, conversations.c.id == participants.c.conversation_id)
    .where(
        here(participants),
        here(conversations),
        participants.c.conversation_id == bindparam("conversation_id"),
        participants.c.role == bindparam("role"),
        participants.c.id == bindparam("id"),
    ),
)

_SHOWN = (
    "conversation_id",
    "role",
    "id",
    "name",
    "image",
    "status",
    "status_updated_timestamp",
    "active_participant",
    "conversation_permission",
    "metadata",
)
# An assistant is online while its service's last heartbeat has not run out, and the guide, who has none, whenever this
# service is; users have no such state.
_ONLINE = case(
    (and_(participants.c.role == "assistant", participants.c.id == str(GUIDE_ID)), true()),
    (
        participants.c.role == "assistant",
        func.coalesce(assistant_services.c.online_expires > bindparam("now", type_=Moment), false()),
    ),
).label("online")
_EVERYONE = Query(
    Participant,
    select(*columns_of(participants, *_SHOWN), _ONLINE, participants.c.version)
    .outerjoin(assistants, participants.c.assistant_id == assistants.c.id)
    .outerjoin(assistant_services, assistants.c.assistant_service_id == assistant_services.c.assistant_service_id)
    .where(here(participants), participants.c.conversation_id.in_(bindparam("conversation_ids", expanding=True)))
    .order_by(
        participants.c.conversation_id,
        case((participants.c.role == "assistant", 1), else_=0),
        participants.c.joined_datetime,
        participants.c.id,
    ),
)
_CONVERSATIONS_OF = select(participants.c.conversation_id).where(
    here(participants),
    participants.c.role == "user",
    participants.c.id == bindparam("id"),
    participants.c.active_participant,
)

_WITH_ASSISTANTS = (
    select(participants.c.conversation_id)
    .where(
        here(participants),
        participants.c.role == "assistant",
        participants.c.id.in_(bindparam("assistant_ids", expanding=True)),
    )
    .distinct()
)
_WITH_ACTIVE_ASSISTANTS = _WITH_ASSISTANTS.where(participants.c.active_participant)

_THIS_ONE = and_(
    here(participants),
    participants.c.conversation_id == bindparam("in_conversation"),
    participants.c.role == bindparam("of_role"),
    participants.c.id == bindparam("of_id"),
    participants.c.version == bindparam("read_version"),
)
_CHANGEABLE = ("status", "status_updated_timestamp", "active_participant", "conversation_permission", "metadata")
_CHANGE = (
    update(participants)
    .where(_THIS_ONE)
    .values(version=participants.c.version + 1, **{name: bindparam(name) for name in _CHANGEABLE})
)
_REMOVE = delete(participants).where(_THIS_ONE)
_RENAME = (
    update(participants)
    .where(here(participants), participants.c.id == bindparam("of_id"))
    .values(name=bindparam("name"), image=bindparam("image"))
)


class SqlParticipants(Repository, Participants, Sight, Nameplates):
    """The participants of one workspace. Remembers the versions it read: a change is stored only over those."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._versions: dict[tuple[UUID, str, str], int] = {}

    async def seat(self, conversation_id: UUID, principal: Principal) -> Seat:
        """The caller's seat."""
        place = {"conversation_id": conversation_id, "role": principal.role, "id": principal.id}
        seat = await self._maybe(_SEAT, place)
        if seat is None:
            raise NotFoundError
        return seat

    async def expect_writer(self, conversation_id: UUID, principal: Principal, *, anew: bool) -> None:
        """Who wrote before is believed to be allowed to, until the commit."""
        writer = Writer(conversation_id, principal.role, principal.id)
        if anew or not self._context.remembered.writers.find((self._writes.workspace_id, writer)):
            (await self.seat(conversation_id, principal)).require_write()
        self._writes.require_writer(writer)

    async def is_owner(self, conversation_id: UUID, principal: Principal) -> bool:
        """Whether the caller owns what they may see."""
        seat = await self.seat(conversation_id, principal)
        seat.require_see()
        return seat.owns

    async def conversations_of(self, user_id: str) -> Sequence[UUID]:
        """Where the user is active."""
        rows = await self._rows(_CONVERSATIONS_OF, {"id": user_id})
        return msgspec.convert([row[0] for row in rows], list[UUID])

    async def all_of(self, conversation_id: UUID) -> list[Participant]:
        """Everybody in one conversation."""
        return (await self.all_of_each([conversation_id])).get(conversation_id, [])

    async def all_of_each(self, conversation_ids: Sequence[UUID]) -> dict[UUID, list[Participant]]:
        """Everybody in many."""
        if not conversation_ids:
            return {}
        place = {"conversation_ids": list(conversation_ids), "now": self._context.clock.now()}
        rows = await self._rows(_EVERYONE.statement, place)
        found: dict[UUID, list[Participant]] = {}
        for participant, row in zip(_EVERYONE.convert(rows), rows, strict=True):
            found.setdefault(participant.conversation_id, []).append(participant)
            self._versions[_key(participant)] = row[-1]
        return found

    async def conversations_with(self, assistant_ids: Sequence[UUID], *, active: bool) -> Sequence[UUID]:
        """Where the assistants have a seat."""
        if not assistant_ids:
            return []
        statement = _WITH_ACTIVE_ASSISTANTS if active else _WITH_ASSISTANTS
        rows = await self._rows(statement, {"assistant_ids": list(map(str, assistant_ids))})
        return msgspec.convert([row[0] for row in rows], list[UUID])

    def add(self, participant: Participant) -> None:
        """Insert."""
        row = _row(participant)
        row["assistant_id"] = UUID(participant.id) if participant.role == "assistant" else None
        row["joined_datetime"] = participant.status_updated_timestamp
        self._writes.insert(participants, row)

    def change(self, participant: Participant) -> None:
        """Update, over the version that was read."""
        row = _row(participant)
        self._writes.change(
            _CHANGE, {name: row[name] for name in _CHANGEABLE} | self._this_one(participant), must_hit=True
        )

    def remove(self, participant: Participant) -> None:
        """Delete, if it is still what was read."""
        self._writes.change(_REMOVE, self._this_one(participant), must_hit=True)

    def rename(self, participant_id: str, name: str, image: str | None) -> None:
        """Update the copies."""
        self._writes.change(_RENAME, {"of_id": participant_id, "name": name, "image": image})

    def _this_one(self, participant: Participant) -> dict[str, Any]:
        return {
            "in_conversation": participant.conversation_id,
            "of_role": participant.role,
            "of_id": participant.id,
            "read_version": self._versions.get(_key(participant), 0),
        }


def _key(participant: Participant) -> tuple[UUID, str, str]:
    return participant.conversation_id, participant.role, participant.id


def _row(participant: Participant) -> Row:
    row = msgspec.structs.asdict(participant)
    del row["online"]
    return row
