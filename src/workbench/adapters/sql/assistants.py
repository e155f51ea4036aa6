"""Assistants in SQL, as their owners, delivery and the gate see them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, delete, exists, select, update

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import FIND_WORKSPACE, NOTICE_SILENCE
from workbench.adapters.sql.registrations import IS_ONLINE, NOW
from workbench.adapters.sql.remembered import Remembered
from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.tables import (
    assistant_services,
    assistants,
    conversations,
    dead_letters,
    deliveries,
    participants,
)
from workbench.domain.assistant_services.model import AssistantAddress, ServiceAddress
from workbench.domain.assistants.model import Assistant, StoredAssistant
from workbench.domain.assistants.ports import Assistants, GoneService, PresenceWatch
from workbench.domain.clock import Clock
from workbench.domain.delivery.ports import Recipient, Recipients
from workbench.domain.identity.model import Principal
from workbench.domain.identity.ports import AssistantDirectory

_ASSISTANT_FIELDS = (
    "id",
    "name",
    "image",
    "assistant_service_id",
    "template_id",
    "metadata",
    "created_datetime",
)


def _stored(row: Sequence[Any]) -> dict[str, Any]:
    assistant = dict(zip(_ASSISTANT_FIELDS, row, strict=False))
    return {"assistant": {**assistant, "assistant_service_online": row[-2]}, "owner_id": row[-1]}


def _shown(row: Sequence[Any]) -> dict[str, Any]:
    return _stored(row)["assistant"]


_WITH_SERVICE = (
    select(*columns_of(assistants, *_ASSISTANT_FIELDS), IS_ONLINE.label("online"), assistants.c.owner_id)
    .join(assistant_services, assistant_services.c.assistant_service_id == assistants.c.assistant_service_id)
    .where(here(assistants))
)
_ASSISTANT = Query(StoredAssistant, _WITH_SERVICE.where(assistants.c.id == bindparam("id")), _stored)
_OWNED = Query(
    Assistant,
    _WITH_SERVICE.where(assistants.c.owner_id == bindparam("user_id")).order_by(
        assistants.c.created_datetime.desc(), assistants.c.name
    ),
    _shown,
)
_ACTIVE_IN = Query(
    Assistant,
    _WITH_SERVICE.join(participants, participants.c.assistant_id == assistants.c.id)
    .where(
        here(participants),
        participants.c.conversation_id == bindparam("conversation_id"),
        participants.c.active_participant,
    )
    .order_by(participants.c.joined_datetime, assistants.c.id),
    _shown,
)
_OF_SERVICE = select(assistants.c.id).where(
    here(assistants), assistants.c.assistant_service_id == bindparam("service_id")
)
_its_seat = participants.alias("its_seat")
_my_seat = participants.alias("my_seat")
_SHARED = select(
    exists()
    .where(_its_seat.c.workspace_id == bindparam("ws"), _its_seat.c.assistant_id == bindparam("id"))
    .where(_its_seat.c.active_participant, _my_seat.c.conversation_id == _its_seat.c.conversation_id)
    .where(_my_seat.c.role == "user", _my_seat.c.id == bindparam("user_id"), _my_seat.c.active_participant)
)
_OWNER = select(assistants.c.owner_id).where(here(assistants), assistants.c.id == bindparam("id"))
_CHANGE = (
    update(assistants)
    .where(here(assistants), assistants.c.id == bindparam("of_id"))
    .values(name=bindparam("name"), image=bindparam("image"), metadata=bindparam("metadata"))
)
_REMOVE = delete(assistants).where(here(assistants), assistants.c.id == bindparam("of_id"))
_REMOVE_DELIVERIES = delete(deliveries).where(here(deliveries), deliveries.c.assistant_id == bindparam("of_id"))
_REMOVE_LETTERS = delete(dead_letters).where(here(dead_letters), dead_letters.c.assistant_id == bindparam("of_id"))

_RECIPIENT = (
    select(
        assistants.c.name,
        assistants.c.template_id,
        assistants.c.assistant_service_id,
        assistant_services.c.url,
        assistant_services.c.key_last_used,
        select(conversations.c.title)
        .where(here(conversations), conversations.c.id == bindparam("conversation_id"))
        .scalar_subquery(),
        select(deliveries.c.state)
        .where(
            here(deliveries),
            deliveries.c.assistant_id == bindparam("id"),
            deliveries.c.conversation_id == bindparam("conversation_id"),
        )
        .scalar_subquery(),
    )
    .join(assistant_services, assistant_services.c.assistant_service_id == assistants.c.assistant_service_id)
    .where(here(assistants), assistants.c.id == bindparam("id"), assistant_services.c.url != "")
)

_GONE = Query(
    GoneService,
    select(*columns_of(assistant_services, "workspace_id", "assistant_service_id"))
    .where(assistant_services.c.told_online, assistant_services.c.online_expires <= NOW)
    .order_by(assistant_services.c.online_expires)
    .limit(bindparam("limit")),
)
_SERVICE_WORKSPACE = select(assistant_services.c.workspace_id).where(
    assistant_services.c.assistant_service_id == bindparam("id")
)
_ASSISTANT_WORKSPACE = select(assistants.c.workspace_id).where(
    assistants.c.id == bindparam("id"), assistants.c.assistant_service_id == bindparam("service_id")
)


class SqlAssistants(Repository, Assistants):
    """The assistants of one workspace."""

    async def find(self, assistant_id: UUID) -> StoredAssistant | None:
        """One assistant."""
        return await self._maybe(_ASSISTANT, {"id": assistant_id, "now": self._context.clock.now()})

    async def owned_by(self, user_id: str) -> Sequence[Assistant]:
        """The user's."""
        return await self._all(_OWNED, {"user_id": user_id, "now": self._context.clock.now()})

    async def active_in(self, conversation_id: UUID) -> Sequence[Assistant]:
        """The conversation's."""
        return await self._all(_ACTIVE_IN, {"conversation_id": conversation_id, "now": self._context.clock.now()})

    async def of_service(self, assistant_service_id: str) -> Sequence[UUID]:
        """The service's."""
        rows = await self._rows(_OF_SERVICE, {"service_id": assistant_service_id})
        return msgspec.convert([row[0] for row in rows], list[UUID])

    async def is_visible_to(self, assistant_id: UUID, principal: Principal) -> bool:
        """Owned, or met in a conversation."""
        if await self._scalar(_OWNER, {"id": assistant_id}) == principal.id:
            return True
        return bool(await self._scalar(_SHARED, {"id": assistant_id, "user_id": principal.id}))

    def add(self, stored: StoredAssistant) -> None:
        """Insert."""
        row = msgspec.structs.asdict(stored.assistant)
        del row["assistant_service_online"]
        own = {"owner_id": stored.owner_id, "default_key": stored.default_key}
        self._writes.insert(assistants, {**row, **own})

    def change(self, assistant: Assistant) -> None:
        """Update."""
        values = {"name": assistant.name, "image": assistant.image, "metadata": assistant.metadata}
        self._writes.change(_CHANGE, {"of_id": assistant.id, **values})

    def remove(self, assistant_id: UUID) -> None:
        """Delete."""
        self._context.remembered.assistants.forget(assistant_id)
        for statement in (_REMOVE_DELIVERIES, _REMOVE_LETTERS, _REMOVE):
            self._writes.remove(statement, {"of_id": assistant_id})


class SqlRecipients(Repository, Recipients):
    """The assistants of one workspace, as delivery sees them."""

    async def recipient(self, assistant_id: UUID, conversation_id: UUID) -> Recipient | None:
        """How it is reached, in one statement."""
        rows = await self._rows(_RECIPIENT, {"id": assistant_id, "conversation_id": conversation_id})
        if not rows:
            return None
        name, template_id, service_id, url, key_last_used, title, state = rows[0]
        service = ServiceAddress(assistant_service_id=service_id, url=url, knows_its_key=key_last_used is not None)
        return Recipient(
            address=AssistantAddress(assistant_id=assistant_id, service=service),
            assistant_name=name,
            template_id=template_id,
            conversation_title=title or "",
            state=state,
        )


class SqlPresenceWatch(PresenceWatch):
    """Services that have gone silent, across workspaces."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def gone(self, limit: int) -> Sequence[GoneService]:
        """Those that users still think are there."""
        rows = await self._database.rows(_GONE.statement, {"now": self._clock.now(), "limit": limit}, NOTICE_SILENCE)
        return _GONE.convert(rows)


class SqlDirectory(AssistantDirectory):
    """Where services and assistants belong, before a workspace is known.

    An assistant that was found is believed for a moment longer, since one that streams calls many times a second.
    """

    def __init__(self, database: Database, remembered: Remembered) -> None:
        self._database = database
        self._assistants = remembered.assistants

    async def workspace_of_service(self, assistant_service_id: str) -> str | None:
        """Where the service is registered."""
        rows = await self._database.rows(_SERVICE_WORKSPACE, {"id": assistant_service_id}, FIND_WORKSPACE)
        return rows[0][0] if rows else None

    async def workspace_of_assistant(self, assistant_id: UUID, assistant_service_id: str) -> str | None:
        """Where the service's assistant lives."""
        kept = self._assistants.find(assistant_id)
        if kept is not None and kept[0] == assistant_service_id:
            return kept[1]
        place = {"id": assistant_id, "service_id": assistant_service_id}
        rows = await self._database.rows(_ASSISTANT_WORKSPACE, place, FIND_WORKSPACE)
        if not rows:
            return None
        self._assistants.keep(assistant_id, (assistant_service_id, rows[0][0]))
        return rows[0][0]
