"""Ticket systems in SQL: the connections of a workspace, and the tickets of its sessions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, select, update

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import RENEW_SECRETS
from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id, Json, Moment
from workbench.adapters.sql.ticket_tables import psa_connections, session_tickets
from workbench.domain.tickets.model import Connection, Health
from workbench.domain.tickets.ports import Connections, SealedSecrets
from workbench.domain.troubleshooting.model import Ticket
from workbench.domain.troubleshooting.ports import SessionTickets

_FIELDS = Connection.__struct_fields__
_HERE = and_(here(psa_connections), psa_connections.c.removed_at.is_(None))
_ID = psa_connections.c.id == bindparam("of_id", type_=Id)
_KEPT = select(*columns_of(psa_connections, *_FIELDS)).where(_HERE)
_ALL = Query(Connection, _KEPT.order_by(psa_connections.c.created_at, psa_connections.c.id))
_ONE = Query(Connection, _KEPT.where(_ID))
_SEALED = select(psa_connections.c.secret_ciphertext).where(_HERE, _ID)
_CHANGE = (
    update(psa_connections)
    .where(_HERE, _ID, psa_connections.c.version == bindparam("read_version"))
    .values(
        name=bindparam("new_name"),
        config=bindparam("new_config", type_=Json),
        enabled=bindparam("new_enabled"),
        health=bindparam("new_health"),
        updated_at=bindparam("at", type_=Moment),
        version=psa_connections.c.version + 1,
    )
)
_RESEAL = update(psa_connections).where(_HERE, _ID).values(secret_ciphertext=bindparam("sealed"))
_HEALTH = (
    update(psa_connections)
    .where(_HERE, _ID)
    .values(health=bindparam("new_health"), checked_at=bindparam("at", type_=Moment))
)
_OFF = (
    update(psa_connections)
    .where(_HERE, _ID)
    .values(enabled=False, updated_at=bindparam("at", type_=Moment), version=psa_connections.c.version + 1)
)
_REMOVE = (
    update(psa_connections)
    .where(_HERE, _ID)
    .values(
        removed_at=bindparam("at", type_=Moment),
        enabled=False,
        name="",
        config=bindparam("nothing", type_=Json),
        secret_ciphertext="",
        version=psa_connections.c.version + 1,
    )
)


class SqlConnections(Repository, Connections):
    """The ticket systems that one workspace has connected."""

    async def all(self) -> Sequence[Connection]:
        """Those that are not removed."""
        return await self._all(_ALL, {})

    async def find(self, connection_id: UUID) -> Connection | None:
        """By the primary key."""
        return await self._maybe(_ONE, {"of_id": connection_id})

    async def sealed(self, connection_id: UUID) -> str | None:
        """The one column."""
        return await self._scalar(_SEALED, {"of_id": connection_id})

    def add(self, connection: Connection, sealed: str) -> None:
        """Insert."""
        row = {name: getattr(connection, name) for name in _FIELDS}
        self._writes.insert(psa_connections, {**row, "secret_ciphertext": sealed, "removed_at": None})

    def change(self, connection: Connection, sealed: str | None = None) -> None:
        """Update where the version is still the one that was read."""
        new = {f"new_{name}": getattr(connection, name) for name in ("name", "config", "enabled", "health")}
        place = {"of_id": connection.id, "read_version": connection.version, "at": connection.updated_at}
        self._writes.change(_CHANGE, {**place, **new}, must_hit=True)
        if sealed is not None:
            self._writes.change(_RESEAL, {"of_id": connection.id, "sealed": sealed})

    def note_health(self, connection_id: UUID, health: Health, at: datetime) -> None:
        """Update, whatever the version is: it is of no concern to who changes a connection."""
        self._writes.change(_HEALTH, {"of_id": connection_id, "new_health": health, "at": at})

    def switch_off(self, connection_id: UUID, at: datetime) -> None:
        """Update."""
        self._writes.change(_OFF, {"of_id": connection_id, "at": at})

    def remove(self, connection_id: UUID, at: datetime) -> None:
        """Empty the row."""
        self._writes.change(_REMOVE, {"of_id": connection_id, "at": at, "nothing": {}}, must_hit=True)


class SqlSessionTickets(Repository, SessionTickets):
    """The tickets of sessions."""

    def put(self, session_id: UUID, ticket: Ticket) -> None:
        """Insert, or take the place of the one before."""
        row: dict[str, Any] = {"session_id": session_id, "connection_id": ticket.connection_id}
        self._writes.upsert(session_tickets, {**row, "psa_ticket_id": ticket.id, "ticket_data": ticket.data})


_EVERY_SECRET = select(psa_connections.c.workspace_id, psa_connections.c.id, psa_connections.c.secret_ciphertext).where(
    psa_connections.c.removed_at.is_(None)
)
_REPLACE = (
    update(psa_connections)
    .where(_HERE, _ID, psa_connections.c.secret_ciphertext == bindparam("old"))
    .values(secret_ciphertext=bindparam("new"))
)


class SqlSealedSecrets(SealedSecrets):
    """The secrets of all workspaces, for operators."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[tuple[str, UUID, str]]:
        """Read them in one go: there are few."""
        rows = await self._database.rows(_EVERY_SECRET, within=RENEW_SECRETS)
        return [(workspace, UUID(str(connection)), sealed) for workspace, connection, sealed in rows]

    async def replace(self, workspace_id: str, connection_id: UUID, old: str, new: str) -> bool:
        """Update where it is still the old one."""
        place = {"ws": workspace_id, "of_id": connection_id, "old": old, "new": new}
        return await self._database.transact(
            lambda connection: connection.execute(_REPLACE, place).rowcount == 1, workspace_id
        )
