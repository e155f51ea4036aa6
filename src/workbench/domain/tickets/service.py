"""Connecting ticket systems. All but looking is for those who may connect them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from workbench.domain.audit.model import Act, Actor, NewAuditEntry
from workbench.domain.clock import Clock
from workbench.domain.errors import ConflictError, InvalidError, NotFoundError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.texts import cleaned_text
from workbench.domain.tickets.model import (
    Connection,
    ConnectionKind,
    ConnectWiseConfig,
    ConnectWiseSecret,
    FailureCode,
    Health,
    TicketSystemError,
    WebhookConfig,
    WebhookSecret,
)
from workbench.domain.tickets.ports import SecretBox, TicketSystems, TicketSystemTx
from workbench.domain.transactions import Transactions, retrying

MAX_CONNECTIONS = 50

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"\S")]

CONFIGS: dict[ConnectionKind, type[WebhookConfig | ConnectWiseConfig]] = {
    "webhook": WebhookConfig,
    "connectwise": ConnectWiseConfig,
}
SECRETS: dict[ConnectionKind, type[WebhookSecret | ConnectWiseSecret]] = {
    "webhook": WebhookSecret,
    "connectwise": ConnectWiseSecret,
}


class NewConnection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller sends to connect a ticket system. What `config` and `secret` hold depends on the kind."""

    kind: ConnectionKind
    name: Name
    config: dict[str, Any]
    secret: dict[str, Any]
    enabled: bool = True

    def __repr__(self) -> str:
        """Say nothing of the secret."""
        return f"NewConnection(kind={self.kind!r}, name={self.name!r})"


class ConnectionChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller sends to change a connection: what is left out stays as it is; `config` and `secret` are sent whole."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    config: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    secret: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        """Say nothing of the secret."""
        return f"ConnectionChange(name={self.name!r})"


class ConnectionView(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as callers see it: without its secret, and with its `config` for those who may change it."""

    id: UUID
    kind: ConnectionKind
    name: str
    enabled: bool
    health: Health
    checked_at: datetime | None
    config: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


class ConnectionList(msgspec.Struct, frozen=True, kw_only=True):
    """The connections of a workspace, the oldest first."""

    items: list[ConnectionView]


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """How a connection was found."""

    health: Health
    checked_at: datetime
    error_code: FailureCode | None = None
    error_summary: str | None = None


class ConnectionService:
    """Acts about connections."""

    def __init__(
        self, transactions: Transactions[TicketSystemTx], systems: TicketSystems, box: SecretBox, clock: Clock
    ) -> None:
        self._transactions = transactions
        self._systems = systems
        self._box = box
        self._clock = clock

    async def connect(self, principal: Principal, new: NewConnection) -> ConnectionView:
        """Connect a ticket system. Raises InvalidError naming `config` or `secret`, ConflictError where there are too many."""
        now = self._clock.now()
        connection = Connection(
            id=new_id(),
            kind=new.kind,
            name=cleaned_text(new.name).strip(),
            config=_checked(new.config, CONFIGS[new.kind], "config"),
            enabled=new.enabled,
            created_at=now,
            updated_at=now,
        )
        self._systems.require_callable(connection)
        sealed = self._sealed(principal, connection, new.secret)
        async with self._transactions.write(principal.workspace_id) as tx:
            if len(await tx.ticket_systems.all()) >= MAX_CONNECTIONS:
                raise ConflictError(
                    f"A workspace has at most {MAX_CONNECTIONS} connections", code="too_many_connections"
                )
            tx.ticket_systems.add(connection, sealed)
            _note(tx, principal, "ticket_system.connected", connection.id, ("name", "config", "secret"))
        return view(connection, principal)

    async def all(self, principal: Principal) -> ConnectionList:
        """The connections of the workspace."""
        async with self._transactions.read(principal.workspace_id) as tx:
            found: Sequence[Connection] = await tx.ticket_systems.all()
        return ConnectionList(items=[view(each, principal) for each in found])

    async def one(self, principal: Principal, connection_id: UUID) -> ConnectionView:
        """One of them. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            return view(await _required(tx, connection_id), principal)

    async def change(self, principal: Principal, connection_id: UUID, change: ConnectionChange) -> ConnectionView:
        """Change a connection. Raises NotFoundError, InvalidError naming `config` or `secret`."""
        return await retrying(lambda: self._change(principal, connection_id, change))

    async def _change(self, principal: Principal, connection_id: UUID, change: ConnectionChange) -> ConnectionView:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            before = await _required(tx, connection_id)
            after = _changed(before, change, now)
            self._systems.require_callable(after)
            secret = None if isinstance(change.secret, msgspec.UnsetType) else change.secret
            sealed = None if secret is None else self._sealed(principal, after, secret)
            tx.ticket_systems.change(after, sealed)
            named = [name for name in change.__struct_fields__ if getattr(change, name) is not msgspec.UNSET]
            _note(tx, principal, "ticket_system.changed", connection_id, named)
        return view(after, principal)

    async def remove(self, principal: Principal, connection_id: UUID) -> None:
        """Forget a connection and its secret; what waits to be sent there is not sent. Raises NotFoundError."""
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            await _required(tx, connection_id)
            tx.ticket_systems.remove(connection_id, now)
            tx.pushes.cancel_to(connection_id)
            _note(tx, principal, "ticket_system.removed", connection_id, ())

    async def test(self, principal: Principal, connection_id: UUID) -> Tested:
        """Ask the ticket system whether it takes the keys; where it does, what waits for that is sent. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            connection = await _required(tx, connection_id)
            sealed = await tx.ticket_systems.sealed(connection_id)
        failure: FailureCode | None = None
        summary: str | None = None
        try:
            await self._systems.open(principal.workspace_id, connection, sealed or "").verify()
        except TicketSystemError as error:
            failure, summary = error.failure, error.detail
        now = self._clock.now()
        health = _found(connection.health, failure)
        async with self._transactions.write(principal.workspace_id) as tx:
            tx.ticket_systems.note_health(connection_id, health, now)
        return Tested(health=health, checked_at=now, error_code=failure, error_summary=summary)

    def _sealed(self, principal: Principal, connection: Connection, secret: dict[str, Any]) -> str:
        checked = _checked(secret, SECRETS[connection.kind], "secret")
        self._systems.require_secret(connection, checked)
        return self._box.seal(owner_of(principal.workspace_id, connection.id), checked)


def owner_of(workspace_id: str, connection_id: UUID) -> str:
    """Whose a sealed secret is."""
    return f"{workspace_id}/{connection_id}"


def view(connection: Connection, principal: Principal) -> ConnectionView:
    """A connection as the caller may see it."""
    shown: dict[str, Any] = {name: getattr(connection, name) for name in ConnectionView.__struct_fields__}
    if not principal.connects_ticket_systems:
        shown["config"] = None
    return ConnectionView(**shown)


def connection_not_found() -> NotFoundError:
    """There is none, or it is another workspace's."""
    return NotFoundError("There is no such connection", code="connection_not_found")


async def _required(tx: TicketSystemTx, connection_id: UUID) -> Connection:
    found = await tx.ticket_systems.find(connection_id)
    if found is None:
        raise connection_not_found()
    return found


def _changed(before: Connection, change: ConnectionChange, now: datetime) -> Connection:
    """What its notes wait for since its keys were refused is a test that passes, and no less."""
    is_new = change.config is not msgspec.UNSET or change.secret is not msgspec.UNSET
    after = msgspec.structs.replace(before, updated_at=now)
    if is_new and before.health != "auth_failed":
        after = msgspec.structs.replace(after, health="unknown")
    if not isinstance(change.name, msgspec.UnsetType):
        after = msgspec.structs.replace(after, name=cleaned_text(change.name).strip())
    if not isinstance(change.enabled, msgspec.UnsetType):
        after = msgspec.structs.replace(after, enabled=change.enabled)
    if not isinstance(change.config, msgspec.UnsetType):
        after = msgspec.structs.replace(after, config=_checked(change.config, CONFIGS[before.kind], "config"))
    return after


def _found(before: Health, failure: FailureCode | None) -> Health:
    if failure is None:
        return "ok"
    is_refused = failure == "auth_failed" or before == "auth_failed"
    return "auth_failed" if is_refused else "unreachable"


def _checked(value: dict[str, Any], kind: type[Any], field: str) -> dict[str, Any]:
    """The value as its kind has it, with what is usual where it says nothing. Its text is not repeated in errors."""
    try:
        return msgspec.to_builtins(msgspec.convert(value, kind))
    except msgspec.ValidationError as error:
        raise InvalidError(f"{field} does not fit: {error}", code="validation_error", field=field) from None


def _note(tx: TicketSystemTx, principal: Principal, act: Act, connection_id: UUID, fields: Sequence[str]) -> None:
    detail = {"fields": list(fields)} if fields else {}
    tx.audit.record(NewAuditEntry(actor=Actor.of(principal), act=act, subject=str(connection_id), detail=detail))
