"""What the ticket of a session is told: set down with what it tells of, and brought there later (9)."""

import hashlib
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from workbench.domain.errors import ConflictError, InvalidError
from workbench.domain.ids import new_id
from workbench.domain.tickets.model import Connection, Push, PushKind, PushStatus, Visibility, marked
from workbench.domain.troubleshooting.cases import Case
from workbench.domain.troubleshooting.events import session_changed
from workbench.domain.troubleshooting.masking import masked
from workbench.domain.troubleshooting.model import Escalation, Session, Ticket
from workbench.domain.troubleshooting.outcomes import NotPushed
from workbench.domain.troubleshooting.ports import SessionTx
from workbench.domain.troubleshooting.updates import Audience, StatusUpdate, UpdateRequest, client_text, status_update

MARKER_DIGITS = 16
"""Of the random end of an id: no other note of the ticket has the same."""


class TicketNote(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be told. `client_text` is what is told instead where resolutions are for the customer to read."""

    kind: PushKind
    text: str
    visibility: Visibility = "internal"
    client_text: str | None = None

    def at(self, connection: Connection) -> "TicketNote":
        """What is told there."""
        if self.client_text is None or not connection.shows_resolutions:
            return self
        return msgspec.structs.replace(self, text=self.client_text, visibility="external")


def resolution_note(case: Case) -> TicketNote:
    """How it was solved."""
    text = status_update(case, UpdateRequest(audience="ticket_notes")).content
    return TicketNote(kind="resolution", text=text, client_text=client_text(case, UpdateRequest(audience="client")))


def escalation_note(case: Case, escalation: Escalation) -> TicketNote:
    """What a colleague is asked for. Each line ends as a sentence, for some systems lose the breaks between them."""
    asked = f"Escalated ({escalation.urgency}): {' '.join(escalation.reason.split())}."
    notes = f"Notes: {' '.join(escalation.notes.split())}." if escalation.notes else ""
    told = status_update(case, UpdateRequest(audience="ticket_notes")).content
    return TicketNote(kind="escalation", text=masked("\n".join(line for line in (asked, notes, told) if line)))


async def tell_ticket(
    tx: SessionTx, case: Case, note: TicketNote, author_id: str, now: datetime, *, wanted: bool
) -> Literal["pending"] | NotPushed:
    """Set a note to the ticket down, if there is a ticket and it is wanted; the case is as it will be stored."""
    ticket = case.session.ticket
    connection = await tx.ticket_systems.find(ticket.connection_id) if ticket else None
    if ticket is None or connection is None:
        return "not_linked"
    if not wanted:
        return "not_requested"
    told = note.at(connection)
    key = f"{case.session.id}:{told.kind}:{case.session.version}"
    tx.pushes.add(_push(case.session, ticket, told, author_id, key, now), people_of(case, author_id))
    return "pending"


async def post_update(tx: SessionTx, case: Case, told: StatusUpdate, author_id: str, now: datetime) -> UUID:
    """Set a status update down for the ticket; the same once more is the same note. Raises ConflictError, InvalidError."""
    session = case.session
    ticket = require_postable(session, told.audience)
    if await tx.ticket_systems.find(ticket.connection_id) is None:
        raise _no_ticket()
    visibility: Visibility = "internal" if told.audience == "ticket_notes" else "external"
    digest = hashlib.sha256(f"{visibility}\n{told.content}".encode()).hexdigest()
    key = f"{session.id}:status_update:{session.version}:{digest}"
    before = await tx.pushes.with_key(key)
    if before is not None:
        return before.id
    note = TicketNote(kind="status_update", text=told.content, visibility=visibility)
    push = _push(session, ticket, note, author_id, key, now)
    tx.pushes.add(push, people_of(case, author_id))
    tx.events.record(session_changed("session.status_update.created", session, push={"id": str(push.id)}))
    return push.id


def require_postable(session: Session, audience: Audience) -> Ticket:
    """Let those updates pass that a ticket can take. Raises ConflictError `no_ticket`, InvalidError."""
    if audience == "email":
        raise InvalidError("A mail is not put down at a ticket", code="email_not_posted", field="post_to_ticket")
    if session.ticket is None:
        raise _no_ticket()
    return session.ticket


def _no_ticket() -> ConflictError:
    return ConflictError("The session has no ticket", code="no_ticket")


def push_status(session: Session, newest: PushStatus | None) -> PushStatus | NotPushed:
    """How far the newest note is, or why there is none."""
    return newest or ("not_linked" if session.ticket is None else "not_requested")


def people_of(case: Case, *others: str) -> list[str]:
    """Those whose words a text about the session may hold."""
    session = case.session
    people = {session.owner_id, session.handler_id, *others}
    people |= {step.answered_by for step in case.steps if step.answered_by}
    people |= {each.by for each in case.said}
    for each in case.escalations:
        people |= {each.requested_by, each.picked_up_by or each.requested_by}
    return sorted(people)


def _push(session: Session, ticket: Ticket, note: TicketNote, author_id: str, key: str, now: datetime) -> Push:
    push_id = new_id()
    marker = push_id.hex[-MARKER_DIGITS:]
    return Push(
        id=push_id,
        session_id=session.id,
        connection_id=ticket.connection_id,
        psa_ticket_id=ticket.id,
        kind=note.kind,
        visibility=note.visibility,
        author_id=author_id,
        marker=marker,
        dedupe_key=key,
        created_at=now,
        next_attempt_at=now,
        body=marked(note.text, marker),
    )
