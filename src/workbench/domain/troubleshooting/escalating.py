"""Asking for a colleague who takes a session over, no longer asking, and the queue of those that wait (7.9)."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.errors import ConflictError, InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.playbooks.model import Urgency
from workbench.domain.texts import cleaned_text
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.access import Person
from workbench.domain.troubleshooting.chat_turns import with_talk
from workbench.domain.troubleshooting.cursors import decode_cursor, encode_cursor
from workbench.domain.troubleshooting.events import tell_of_escalation
from workbench.domain.troubleshooting.known import Known, open_escalation, person_of, seen, stored
from workbench.domain.troubleshooting.model import Escalation, Session
from workbench.domain.troubleshooting.packets import packet_of
from workbench.domain.troubleshooting.ports import ChatTx, Queued, QueuePlace, SessionTx
from workbench.domain.troubleshooting.queueing import RANK, require_target, waiting_seconds
from workbench.domain.troubleshooting.ticket_notes import escalation_note, tell_ticket
from workbench.domain.troubleshooting.transitions import escalated, withdrawn
from workbench.domain.troubleshooting.updates import UpdateRequest, status_update
from workbench.domain.troubleshooting.views import Escalated, Queue, QueuedSession

QUEUE = "queue"
MAX_REASON = 2000
MAX_NOTES = 4000
MAX_ESCALATIONS = 50
"""Of one session, which is told with all of them."""


class NewEscalation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a colleague is asked for, and how urgently; whoever works on sessions, unless one of them or a team is named."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_REASON, pattern=r"\S")]
    urgency: Urgency = "normal"
    target_user_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    team_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    notes: Annotated[str, msgspec.Meta(max_length=MAX_NOTES)] | None = None
    push_to_psa: bool = True
    """Whether its ticket is told, if it has one."""


class EscalatingService:
    """Asks for colleagues."""

    def __init__(self, transactions: Transactions[ChatTx], clock: Clock) -> None:
        self._transactions = transactions
        self._clock = clock

    async def escalate(self, principal: Principal, session_id: UUID, new: NewEscalation) -> Escalated:
        """Ask for a colleague.

        Raises InvalidError `invalid_target` or `unknown_team`, ConflictError `illegal_transition` or `escalation_limit`.
        """
        return await retrying(lambda: self._escalate(principal, session_id, new))

    async def _escalate(self, principal: Principal, session_id: UUID, new: NewEscalation) -> Escalated:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found.require_act("escalate", now)
            _require_room(found)
            await _require_addressees(tx, found.session, new)
            files = await tx.files.count(found.session.conversation_id)
            asked = _escalation(found, new, now, attachments=files)
            session = escalated(found.session, asked)
            tx.sessions.change(session)
            tx.escalations.add(session_id, asked)
            tell_of_escalation(tx.events, "requested", session, asked)
            after = stored(session)
            case = await with_talk(tx, msgspec.structs.replace(found.case, session=after))
            note = escalation_note(case, asked)
            pushed = await tell_ticket(tx, case, note, principal.id, now, wanted=new.push_to_psa)
        return Escalated(
            session_id=session_id,
            status=after.status,
            escalation_id=asked.id,
            packet=asked.packet,
            step_count=after.step_count,
            duration_seconds=after.duration_seconds,
            ticket_notes=status_update(case, UpdateRequest(audience="ticket_notes")).content,
            version=after.version,
            psa_push_status=pushed,
        )

    async def withdraw(self, principal: Principal, session_id: UUID) -> None:
        """Go on oneself after all. Raises ConflictError `illegal_transition`."""
        await retrying(lambda: self._withdraw(principal, session_id))

    async def _withdraw(self, principal: Principal, session_id: UUID) -> None:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found.require_act("withdraw-escalation", now)
            session, closed = withdrawn(found.session, open_escalation(found), now)
            tx.sessions.change(session)
            tx.escalations.close(session_id, closed)
            tell_of_escalation(tx.events, "withdrawn", session, closed)

    async def queue(self, principal: Principal, limit: int, cursor: str | None) -> Queue:
        """What the caller may take over, the most urgent first, of the same urgency what waits longest."""
        behind = decode_cursor(cursor, QueuePlace, QUEUE, principal) if cursor else None
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await tx.escalations.queue(person_of(principal), behind, limit + 1)
        now = self._clock.now()
        shown = found[:limit]
        last = shown[-1].escalation if len(found) > limit else None
        return Queue(
            items=[_queued(each, principal.id, now) for each in shown],
            next_cursor=_cursor(last, principal) if last else None,
        )


def _require_room(found: Known) -> None:
    if len(found.case.escalations) >= MAX_ESCALATIONS:
        raise ConflictError(
            f"A session asks for a colleague {MAX_ESCALATIONS} times at most",
            code="escalation_limit",
            extra={"limit_escalations": MAX_ESCALATIONS},
        )


async def _require_addressees(tx: SessionTx, session: Session, new: NewEscalation) -> None:
    """Let those pass whom somebody can be: what they were known to be when they were last here counts."""
    if new.target_user_id is not None:
        found = await tx.users.find(new.target_user_id)
        is_person = found is not None and not found.service_user
        works = found is not None and found.works_on_sessions
        require_target(session, Person(id=new.target_user_id, works=works) if is_person else None)
    if new.team_id is not None and not await tx.users.has_team(new.team_id):
        raise InvalidError("There is no such team", code="unknown_team", field="team_id")


def _escalation(found: Known, new: NewEscalation, now: datetime, *, attachments: int) -> Escalation:
    notes = cleaned_text(new.notes).strip() if new.notes else ""
    return Escalation(
        id=new_id(),
        requested_by=found.person.id,
        reason=cleaned_text(new.reason).strip(),
        requested_at=now,
        urgency=new.urgency,
        notes=notes or None,
        target_user_id=new.target_user_id,
        team_id=new.team_id,
        packet=packet_of(found.case, now, attachments=attachments),
    )


def _queued(each: Queued, person_id: str, now: datetime) -> QueuedSession:
    session, escalation = each.session, each.escalation
    return QueuedSession(
        session_id=session.id,
        escalation_id=escalation.id,
        title=session.title,
        problem_summary=session.problem_summary,
        problem_domain=session.problem_domain,
        step_count=session.step_count,
        reason=escalation.reason,
        urgency=escalation.urgency,
        requested_at=escalation.requested_at,
        waiting_seconds=waiting_seconds(escalation, now),
        is_for_you=escalation.target_user_id == person_id,
        team_id=escalation.team_id,
        packet=escalation.packet,
    )


def _cursor(last: Escalation, principal: Principal) -> str:
    place = QueuePlace(rank=RANK[last.urgency], requested_at=last.requested_at, id=last.id)
    return encode_cursor(place, QUEUE, principal)
