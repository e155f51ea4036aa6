"""Assistants and their services in SQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, delete, exists, func, select, update

from workbench.adapters.keys.cipher import KeyCipher
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Moment
from workbench.adapters.sql.tables import assistant_services, assistants, conversations, deliveries, participants
from workbench.domain.assistant_services.model import AssistantAddress, Registration, ServiceAddress
from workbench.domain.assistant_services.ports import Registrations
from workbench.domain.assistants.model import StoredAssistant
from workbench.domain.assistants.ports import Assistants
from workbench.domain.delivery.ports import Recipient, Recipients
from workbench.domain.identity.model import Principal
from workbench.domain.identity.ports import ApiKeyStore, AssistantDirectory

_IS_ONLINE = func.coalesce(assistant_services.c.online_expires > bindparam("now", type_=Moment), False)

_REGISTRATION = Query(
    Registration,
    select(
        *columns_of(
            assistant_services,
            "assistant_service_id",
            "created_by_user_id",
            "created_by_user_name",
            "created_datetime",
            "name",
            "description",
            "include_in_listing",
            "api_key_name",
        ),
        assistant_services.c.url.label("assistant_service_url"),
        _IS_ONLINE.label("assistant_service_online"),
        assistant_services.c.online_expires.label("assistant_service_online_expiration_datetime"),
    ).where(here(assistant_services), assistant_services.c.assistant_service_id == bindparam("id")),
)
_ADDRESS = select(assistant_services.c.url, assistant_services.c.api_key_encrypted).where(
    here(assistant_services), assistant_services.c.assistant_service_id == bindparam("id")
)
_HEARD = (
    update(assistant_services)
    .where(here(assistant_services), assistant_services.c.assistant_service_id == bindparam("of_id"))
    .values(url=bindparam("url"), online_expires=bindparam("expires", type_=Moment))
)
# What failed while the service was away is worth a try now.
_TRY_NOW = (
    update(deliveries)
    .where(
        here(deliveries),
        deliveries.c.retry_at.is_not(None),
        deliveries.c.assistant_id.in_(
            select(assistants.c.id).where(here(assistants), assistants.c.assistant_service_id == bindparam("of_id"))
        ),
    )
    .values(retry_at=None)
)

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


_ASSISTANT = Query(
    StoredAssistant,
    select(*columns_of(assistants, *_ASSISTANT_FIELDS), _IS_ONLINE.label("online"), assistants.c.owner_id)
    .join(assistant_services, assistant_services.c.assistant_service_id == assistants.c.assistant_service_id)
    .where(here(assistants), assistants.c.id == bindparam("id")),
    _stored,
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
_REMOVE = delete(assistants).where(here(assistants), assistants.c.id == bindparam("of_id"))

_RECIPIENT = (
    select(
        assistants.c.name,
        assistants.c.template_id,
        assistants.c.assistant_service_id,
        assistant_services.c.url,
        assistant_services.c.api_key_encrypted,
        select(conversations.c.title)
        .where(here(conversations), conversations.c.id == bindparam("conversation_id"))
        .scalar_subquery(),
    )
    .join(assistant_services, assistant_services.c.assistant_service_id == assistants.c.assistant_service_id)
    .where(here(assistants), assistants.c.id == bindparam("id"), assistant_services.c.url != "")
)

_SERVICE_WORKSPACE = select(assistant_services.c.workspace_id).where(
    assistant_services.c.assistant_service_id == bindparam("id")
)
_ASSISTANT_WORKSPACE = select(assistants.c.workspace_id).where(
    assistants.c.id == bindparam("id"), assistants.c.assistant_service_id == bindparam("service_id")
)
_KEY = select(assistant_services.c.api_key_encrypted).where(
    assistant_services.c.assistant_service_id == bindparam("id")
)


class SqlRegistrations(Repository, Registrations):
    """The registered services of one workspace."""

    async def find(self, assistant_service_id: str) -> Registration | None:
        """One registration."""
        return await self._maybe(_REGISTRATION, {"id": assistant_service_id, "now": self._context.clock.now()})

    async def address(self, assistant_service_id: str) -> ServiceAddress | None:
        """Where it is."""
        rows = await self._rows(_ADDRESS, {"id": assistant_service_id})
        if not rows or not rows[0][0]:
            return None
        url, key = rows[0]
        return ServiceAddress(
            assistant_service_id=assistant_service_id, url=url, api_key=self._context.cipher.open(key)
        )

    def add(self, registration: Registration) -> None:
        """Insert, the key encrypted."""
        row = msgspec.structs.asdict(registration)
        for derived in ("assistant_service_online", "assistant_service_online_expiration_datetime"):
            del row[derived]
        row["url"] = row.pop("assistant_service_url")
        row["api_key_encrypted"] = self._context.cipher.seal(row.pop("api_key"))
        self._writes.insert(assistant_services, row)

    def heard(self, assistant_service_id: str, url: str, expires: datetime) -> None:
        """Update URL and expiry."""
        self._writes.change(_HEARD, {"of_id": assistant_service_id, "url": url, "expires": expires})
        self._writes.change(_TRY_NOW, {"of_id": assistant_service_id})


class SqlAssistants(Repository, Assistants):
    """The assistants of one workspace."""

    async def find(self, assistant_id: UUID) -> StoredAssistant | None:
        """One assistant."""
        return await self._maybe(_ASSISTANT, {"id": assistant_id, "now": self._context.clock.now()})

    async def is_visible_to(self, assistant_id: UUID, principal: Principal) -> bool:
        """Owned, or met in a conversation."""
        if await self._scalar(_OWNER, {"id": assistant_id}) == principal.id:
            return True
        return bool(await self._scalar(_SHARED, {"id": assistant_id, "user_id": principal.id}))

    def add(self, stored: StoredAssistant) -> None:
        """Insert."""
        row = msgspec.structs.asdict(stored.assistant)
        del row["assistant_service_online"]
        self._writes.insert(assistants, {**row, "owner_id": stored.owner_id})

    def remove(self, assistant_id: UUID) -> None:
        """Delete."""
        self._writes.change(_REMOVE, {"of_id": assistant_id})


class SqlRecipients(Repository, Recipients):
    """The assistants of one workspace, as delivery sees them."""

    async def recipient(self, assistant_id: UUID, conversation_id: UUID) -> Recipient | None:
        """How it is reached, in one statement."""
        rows = await self._rows(_RECIPIENT, {"id": assistant_id, "conversation_id": conversation_id})
        if not rows:
            return None
        name, template_id, service_id, url, key, title = rows[0]
        service = ServiceAddress(assistant_service_id=service_id, url=url, api_key=self._context.cipher.open(key))
        return Recipient(
            address=AssistantAddress(assistant_id=assistant_id, service=service),
            assistant_name=name,
            template_id=template_id,
            conversation_title=title or "",
        )


class SqlDirectory(AssistantDirectory, ApiKeyStore):
    """Where services and assistants belong, and the services' keys, before a workspace is known."""

    def __init__(self, database: Database, cipher: KeyCipher) -> None:
        self._database = database
        self._cipher = cipher

    async def find(self, assistant_service_id: str) -> str | None:
        """The service's key."""
        rows = await self._database.rows(_KEY, {"id": assistant_service_id})
        return self._cipher.open(rows[0][0]) if rows and rows[0][0] else None

    async def workspace_of_service(self, assistant_service_id: str) -> str | None:
        """Where the service is registered."""
        rows = await self._database.rows(_SERVICE_WORKSPACE, {"id": assistant_service_id})
        return rows[0][0] if rows else None

    async def workspace_of_assistant(self, assistant_id: UUID, assistant_service_id: str) -> str | None:
        """Where the service's assistant lives."""
        place = {"id": assistant_id, "service_id": assistant_service_id}
        rows = await self._database.rows(_ASSISTANT_WORKSPACE, place)
        return rows[0][0] if rows else None
