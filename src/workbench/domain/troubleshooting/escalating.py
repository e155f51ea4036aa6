"""Handing a session on: a colleague is asked for, waits in a queue are told, and somebody takes it over (7.9)."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.errors import InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.participants.events import participant_created
from workbench.domain.participants.model import Participant
from workbench.domain.playbooks.answers import Reading
from workbench.domain.playbooks.model import Urgency
from workbench.domain.playbooks.steps import ACKNOWLEDGED, briefing_step
from workbench.domain.texts import cleaned_text
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.access import Person
from workbench.domain.troubleshooting.events import escalation_changed
from workbench.domain.troubleshooting.known import Known, ask, known, seen, stored
from workbench.domain.troubleshooting.model import Branch, Escalation, ResumeMode, Session, SessionStep
from workbench.domain.troubleshooting.packets import packet_of
from workbench.domain.troubleshooting.ports import Queued, QueuePlace, SessionTx
from workbench.domain.troubleshooting.queueing import RANK, require_target, waiting_seconds
from workbench.domain.troubleshooting.showing import drafted, progress, step_view
from workbench.domain.troubleshooting.ticket_notes import escalation_note, tell_ticket
from workbench.domain.troubleshooting.transitions import escalated, picked_up, require_pickup, withdrawn
from workbench.domain.troubleshooting.views import Escalated, PickedUp, Queue, QueuedSession
from workbench.domain.users.model import User
from workbench.domain.users.service import meet

MAX_REASON = 2000
MAX_NOTES = 4000
ANEW = "From the beginning"


class NewEscalation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a colleague is asked for, and how urgently; whoever works on sessions, unless one of them is named."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_REASON, pattern=r"\S")]
    urgency: Urgency = "normal"
    target_user_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    notes: Annotated[str, msgspec.Meta(max_length=MAX_NOTES)] | None = None
    push_to_psa: bool = True
    """Whether its ticket is told, if it has one."""


class NewPickup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a session is taken over: going on with the open step, after a look at what was found, or from the beginning."""

    resume_mode: ResumeMode = "continue"
    additional_context: Annotated[str, msgspec.Meta(max_length=MAX_NOTES)] | None = None


class EscalatingService:
    """Acts by which sessions change hands."""

    def __init__(self, transactions: Transactions[SessionTx], clock: Clock) -> None:
        self._transactions = transactions
        self._clock = clock

    async def escalate(self, principal: Principal, session_id: UUID, new: NewEscalation) -> Escalated:
        """Ask for a colleague. Raises InvalidError `invalid_target`, ConflictError `illegal_transition`."""
        return await retrying(lambda: self._escalate(principal, session_id, new))

    async def _escalate(self, principal: Principal, session_id: UUID, new: NewEscalation) -> Escalated:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found.require_act("escalate", now)
            if new.target_user_id is not None:
                target = await tx.users.find(new.target_user_id)
                is_person = target is not None and not target.service_user
                require_target(found.session, Person(id=new.target_user_id, works=True) if is_person else None)
            asked = _escalation(found, new, now)
            session = escalated(found.session, asked)
            tx.sessions.change(session)
            tx.escalations.add(session_id, asked)
            tx.events.record(escalation_changed("session.escalation.requested", session, asked))
            after = stored(session)
            case = msgspec.structs.replace(found.case, session=after)
            note = escalation_note(case, asked)
            pushed = await tell_ticket(tx, case, note, principal.id, now, wanted=new.push_to_psa)
        return Escalated(
            session_id=session_id,
            status=after.status,
            escalation_id=asked.id,
            packet=asked.packet,
            step_count=after.step_count,
            duration_seconds=after.duration_seconds,
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
            session, closed = withdrawn(found.session, _open(found), now)
            tx.sessions.change(session)
            tx.escalations.close(session_id, closed)
            tx.events.record(escalation_changed("session.escalation.withdrawn", session, closed))

    async def queue(self, principal: Principal, limit: int, cursor: str | None) -> Queue:
        """What the caller may take over, the most urgent first, of the same urgency what waits longest."""
        behind = _decoded(cursor) if cursor else None
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await tx.escalations.queue(principal.id, behind, limit + 1)
        now = self._clock.now()
        shown = found[:limit]
        last = shown[-1].escalation if len(found) > limit else None
        return Queue(
            items=[_queued(each, principal.id, now) for each in shown], next_cursor=_encoded(last) if last else None
        )

    async def pick_up(self, principal: Principal, session_id: UUID, new: NewPickup) -> PickedUp:
        """Take a session over that somebody is asked for.

        Raises ConflictError `already_picked_up` with who was faster, NotFoundError for whom it is not meant.
        """
        return await retrying(lambda: self._pick_up(principal, session_id, new))

    async def _pick_up(self, principal: Principal, session_id: UUID, new: NewPickup) -> PickedUp:
        now = self._clock.now()
        context = cleaned_text(new.additional_context).strip() if new.additional_context else ""
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await known(tx, principal, session_id)
            # The escalation may have been read after somebody picked it up, and the session before.
            picked_up_by = found.latest.picked_up_by if found.latest else None
            handler = found.case.name(picked_up_by or found.session.handler_id)
            require_pickup(found.session, found.person, found.standing, found.latest, now, handler)
            user = (await meet(tx, principal, now)).public()
            session, closed = picked_up(
                found.session, _open(found), principal.id, new.resume_mode, context or None, now
            )
            _seat(tx, found, user, now)
            tx.escalations.close(session_id, closed)
            session, briefing, following = _brief(tx, found, session, closed, now)
            tx.sessions.change(session)
            tx.events.record(escalation_changed("session.picked_up", session, closed))
        suggestion, draft = drafted(following)
        return PickedUp(
            briefing=step_view(briefing),
            next_step=step_view(following),
            session=progress(stored(session)),
            suggestion=suggestion,
            suggestion_draft=draft,
        )


def _escalation(found: Known, new: NewEscalation, now: datetime) -> Escalation:
    notes = cleaned_text(new.notes).strip() if new.notes else ""
    return Escalation(
        id=new_id(),
        requested_by=found.person.id,
        reason=cleaned_text(new.reason).strip(),
        requested_at=now,
        urgency=new.urgency,
        notes=notes or None,
        target_user_id=new.target_user_id,
        packet=packet_of(found.case, now),
    )


def _open(found: Known) -> Escalation:
    """The open escalation, which a session that waits for a colleague has."""
    return next(each for each in reversed(found.case.escalations) if each.state == "open")


def _seat(tx: SessionTx, found: Known, user: User, now: datetime) -> None:
    """The new handler takes part in the conversation from here on."""
    before = next((each for each in found.everyone if (each.role, each.id) == ("user", user.id)), None)
    if before is not None and before.active_participant:
        return
    seat = Participant.of_user(found.session.conversation_id, user.id, user.name, user.image, now)
    if before is None:
        tx.participants.add(seat)
    else:
        tx.participants.change(seat)
    tx.events.record(participant_created(seat, found.everyone))


def _brief(
    tx: SessionTx, found: Known, session: Session, escalation: Escalation, now: datetime
) -> tuple[Session, SessionStep, SessionStep]:
    """Put the briefing before what was open, and that again behind it where the session goes on at once.

    A briefing on a branch of its own begins the session anew.
    """
    waiting, path = found.case.open_step, found.case.path()
    is_fresh = escalation.resume_mode == "fresh"
    branch_id, order = path[-1].branch_id, path[-1].step_order + 1
    if is_fresh:
        branch = Branch(
            id=new_id(),
            label=ANEW,
            created_at=now,
            parent_branch_id=found.case.branches[0].id,
            forked_at_step_id=found.case.steps[0].id,
        )
        tx.session_steps.branch(session.id, branch)
        session = msgspec.structs.replace(session, is_branching=True, active_branch_id=branch.id)
        branch_id, order = branch.id, 1
    asked = briefing_step(escalation.packet, escalation.additional_context)
    briefing = SessionStep(id=new_id(), branch_id=branch_id, step_order=order, step=asked, asked_at=now)
    if waiting is not None and not is_fresh:
        tx.session_steps.change(session.id, msgspec.structs.replace(waiting, superseded_by=briefing.id))
    if waiting is None or escalation.resume_mode != "continue":
        briefing = ask(tx, session, briefing, now)
        return session, briefing, briefing
    read = Reading(kind="mapped", values=(ACKNOWLEDGED,))
    briefing = ask(
        tx, session, msgspec.structs.replace(briefing, reading=read, answered_at=now, answered_by=found.person.id), now
    )
    again = SessionStep(id=new_id(), branch_id=branch_id, step_order=order + 1, step=waiting.step, asked_at=now)
    return session, briefing, ask(tx, session, again, now)


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
        packet=escalation.packet,
    )


def _encoded(last: Escalation) -> str:
    place = QueuePlace(rank=RANK[last.urgency], requested_at=last.requested_at, id=last.id)
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _decoded(text: str) -> QueuePlace:
    """Raises InvalidError naming `cursor`."""
    try:
        place = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=QueuePlace)
        return msgspec.structs.replace(place, requested_at=place.requested_at.astimezone(UTC))
    except (binascii.Error, msgspec.MsgspecError, ValueError, OverflowError) as error:
        raise InvalidError("cursor is not one that this service gave out", field="cursor") from error
