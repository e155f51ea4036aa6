"""The ticket that a session belongs to: looked up where it is, and kept with the session (5.1, 9)."""

from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.errors import ConflictError, InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.tickets.model import Connection, TicketId, TicketSystemError
from workbench.domain.tickets.ports import TicketSystems
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.events import session_changed
from workbench.domain.troubleshooting.known import seen
from workbench.domain.troubleshooting.model import Ticket
from workbench.domain.troubleshooting.ports import SessionTx
from workbench.domain.troubleshooting.telling import TellingService
from workbench.domain.troubleshooting.transitions import linked
from workbench.domain.troubleshooting.views import SessionDetail

IS_NO_TICKET = frozenset({"ticket_not_found", "refused"})


class NewLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ticket of a session, and where it is."""

    psa_ticket_id: TicketId
    psa_connection_id: UUID


class TicketLookup:
    """Looks tickets up."""

    def __init__(self, transactions: Transactions[SessionTx], systems: TicketSystems, clock: Clock) -> None:
        self._transactions = transactions
        self._systems = systems
        self._clock = clock

    async def named(self, principal: Principal, ticket_id: str | None, connection_id: UUID | None) -> Ticket | None:
        """The ticket that somebody names, if they name one.

        Raises InvalidError `unknown_connection` or `ticket_not_found`, ConflictError `connection_disabled`. A system that
        cannot be asked does not keep anybody from working: then the ticket is not verified.
        """
        if ticket_id is None:
            if connection_id is not None:
                raise InvalidError("Name the ticket too", code="validation_error", field="psa_ticket_id")
            return None
        async with self._transactions.read(principal.workspace_id) as tx:
            connection = await _usable(tx, connection_id)
            sealed = await tx.ticket_systems.sealed(connection.id)
        data = await self._asked(principal, connection, sealed or "", ticket_id)
        return Ticket(id=ticket_id, connection_id=connection.id, data=data)

    async def _asked(self, principal: Principal, connection: Connection, sealed: str, ticket_id: str) -> dict[str, Any]:
        try:
            found = await self._systems.open(principal.workspace_id, connection, sealed).get_ticket(ticket_id)
        except TicketSystemError as error:
            if error.failure in IS_NO_TICKET:
                raise InvalidError(error.detail, code="ticket_not_found", field="psa_ticket_id") from error
            if error.failure == "auth_failed":
                async with self._transactions.write(principal.workspace_id) as tx:
                    tx.ticket_systems.note_health(connection.id, "auth_failed", self._clock.now())
            found = None
        return {"verified": found is not None, **(found or {})}


class TicketingService:
    """Gives sessions their tickets."""

    def __init__(
        self, transactions: Transactions[SessionTx], lookup: TicketLookup, telling: TellingService, clock: Clock
    ) -> None:
        self._transactions = transactions
        self._lookup = lookup
        self._telling = telling
        self._clock = clock

    async def link(self, principal: Principal, session_id: UUID, new: NewLink) -> SessionDetail:
        """Say which ticket a session belongs to, in the place of the one before.

        Raises NotFoundError, ForbiddenError, ConflictError, and what TicketLookup does.
        """
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found.require_act("link-ticket", self._clock.now())
        ticket = await self._lookup.named(principal, new.psa_ticket_id, new.psa_connection_id)
        if ticket is not None:
            await retrying(lambda: self._link(principal, session_id, ticket))
        return await self._telling.detail(principal, session_id)

    async def _link(self, principal: Principal, session_id: UUID, ticket: Ticket) -> None:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found.require_act("link-ticket", now)
            session = linked(found.session, ticket, now)
            tx.sessions.change(session)
            tx.tickets.put(session_id, ticket)
            tx.events.record(session_changed("session.ticket.linked", session))


async def _usable(tx: SessionTx, connection_id: UUID | None) -> Connection:
    """The connection that is named, or the only one there is."""
    if connection_id is None:
        enabled = [each for each in await tx.ticket_systems.all() if each.enabled]
        if len(enabled) != 1:
            raise InvalidError(
                "Name the connection of the ticket: there is not exactly one that is enabled",
                code="unknown_connection",
                field="psa_connection_id",
            )
        return enabled[0]
    found = await tx.ticket_systems.find(connection_id)
    if found is None:
        raise InvalidError("There is no such connection", code="unknown_connection", field="psa_connection_id")
    if not found.enabled:
        raise ConflictError("The connection is switched off", code="connection_disabled")
    return found
