"""Handing a session on: a colleague is asked for, waits in a queue are told, and somebody takes it over (7.9)."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.errors import InvalidError, StaleError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.participants.events import participant_created
from workbench.domain.participants.model import Participant
from workbench.domain.playbooks.model import Urgency
from workbench.domain.playbooks.steps import AtHand
from workbench.domain.texts import cleaned_text
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.access import Person
from workbench.domain.troubleshooting.briefing import Onward, brief
from workbench.domain.troubleshooting.by_hand import ByHandService, require_at_hand
from workbench.domain.troubleshooting.cases import is_begun_by_model
from workbench.domain.troubleshooting.chat_briefing import brief_in_chat
from workbench.domain.troubleshooting.chat_turns import with_talk
from workbench.domain.troubleshooting.continuing import ContinuingService
from workbench.domain.troubleshooting.cursors import decode_cursor, encode_cursor
from workbench.domain.troubleshooting.events import escalation_changed
from workbench.domain.troubleshooting.generating import is_admitted
from workbench.domain.troubleshooting.generations import Generation, OnUnavailable
from workbench.domain.troubleshooting.known import Known, known, person_of, seen, stored
from workbench.domain.troubleshooting.model import Escalation, ResumeMode, Session, SessionStep
from workbench.domain.troubleshooting.packets import packet_of
from workbench.domain.troubleshooting.ports import ChatTx, Queued, QueuePlace, SessionTx
from workbench.domain.troubleshooting.queueing import RANK, require_target, waiting_seconds
from workbench.domain.troubleshooting.showing import drafted, progress, step_view
from workbench.domain.troubleshooting.ticket_notes import escalation_note, tell_ticket
from workbench.domain.troubleshooting.transitions import escalated, leased, picked_up, require_pickup, withdrawn
from workbench.domain.troubleshooting.updates import UpdateRequest, status_update
from workbench.domain.troubleshooting.views import (
    Chatted,
    Escalated,
    FallbackReason,
    PickedUp,
    Queue,
    QueuedSession,
    StepView,
)
from workbench.domain.users.model import User
from workbench.domain.users.service import meet

QUEUE = "queue"
MAX_REASON = 2000
MAX_NOTES = 4000


class NewEscalation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a colleague is asked for, and how urgently; whoever works on sessions, unless one of them or a team is named."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_REASON, pattern=r"\S")]
    urgency: Urgency = "normal"
    target_user_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    team_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    notes: Annotated[str, msgspec.Meta(max_length=MAX_NOTES)] | None = None
    push_to_psa: bool = True
    """Whether its ticket is told, if it has one."""


class NewPickup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a session is taken over: going on with the open step, after a look at what was found, or from the beginning.

    With `on_unavailable` manual one goes on by hand where the model that is to write the next step is not to be had.
    """

    resume_mode: ResumeMode = "continue"
    additional_context: Annotated[str, msgspec.Meta(max_length=MAX_NOTES)] | None = None
    on_unavailable: OnUnavailable = "error"


class _Awaited(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was taken over, and whose next step a model is to write."""

    briefing: SessionStep
    generation: Generation


class _Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was taken over as it is stored then, and the step that is open in it."""

    session: Session
    briefing: SessionStep
    following: SessionStep
    fallback_reason: FallbackReason | None = None


class EscalatingService:
    """Acts by which sessions change hands."""

    def __init__(
        self,
        transactions: Transactions[ChatTx],
        continuing: ContinuingService,
        by_hand: ByHandService,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._continuing = continuing
        self._by_hand = by_hand
        self._clock = clock

    async def escalate(self, principal: Principal, session_id: UUID, new: NewEscalation) -> Escalated:
        """Ask for a colleague. Raises InvalidError `invalid_target` or `unknown_team`, ConflictError `illegal_transition`."""
        return await retrying(lambda: self._escalate(principal, session_id, new))

    async def _escalate(self, principal: Principal, session_id: UUID, new: NewEscalation) -> Escalated:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found.require_act("escalate", now)
            await _require_addressees(tx, found.session, new)
            files = await tx.files.count(found.session.conversation_id)
            asked = _escalation(found, new, now, attachments=files)
            session = escalated(found.session, asked)
            tx.sessions.change(session)
            tx.escalations.add(session_id, asked)
            tx.events.record(escalation_changed("session.escalation.requested", session, asked))
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
            session, closed = withdrawn(found.session, _open(found), now)
            tx.sessions.change(session)
            tx.escalations.close(session_id, closed)
            tx.events.record(escalation_changed("session.escalation.withdrawn", session, closed))

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

    async def pick_up(self, principal: Principal, session_id: UUID, new: NewPickup) -> PickedUp | Chatted:
        """Take a session over that somebody is asked for. In a chat the guide says what was found so far.

        Raises ConflictError `already_picked_up` with who was faster, NotFoundError for whom it is not meant,
        QuotaExceededError, and then it is not taken over; ProviderError, and then it is.
        """

        async def act(at_hand: AtHand | None) -> _Taken | Chatted | _Awaited:
            return await retrying(lambda: self._pick_up(principal, session_id, new, at_hand))

        came = await self._by_hand.prepared(principal, act)
        if isinstance(came, Chatted):
            return came
        if isinstance(came, _Awaited):
            continued = await self._continuing.go_on(principal, session_id, came.generation, new.on_unavailable)
            came = _Taken(
                session=continued.session,
                briefing=came.briefing,
                following=continued.step,
                fallback_reason=continued.fallback_reason,
            )
        return _picked_up(came, await self._by_hand.shown(principal, came.following))

    async def _pick_up(
        self, principal: Principal, session_id: UUID, new: NewPickup, at_hand: AtHand | None
    ) -> _Taken | Chatted | _Awaited:
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
            if session.session_type == "chat":
                return await brief_in_chat(tx, session, closed, now)
            way = self._way(found, principal, new.resume_mode)
            generation = None
            if way == "written":
                if new.on_unavailable == "manual":
                    # Before it is refused: each refusal is counted.
                    require_at_hand(session, at_hand)
                generation = self._continuing.wished(principal, "flowpilot_pickup", session)
                if not await is_admitted(tx, self._continuing.generating, generation, new.on_unavailable):
                    generation, way = None, "by_hand"
            session, briefing, following = brief(tx, found, session, closed, way, at_hand)
            session = session if generation is None else leased(session, generation.key, now)
            tx.sessions.change(session)
            tx.events.record(escalation_changed("session.picked_up", session, closed))
        if generation is not None:
            return _Awaited(briefing=briefing, generation=generation)
        reason = "quota" if way == "by_hand" else None
        return _Taken(session=stored(session), briefing=briefing, following=following, fallback_reason=reason)

    def _way(self, found: Known, principal: Principal, mode: ResumeMode) -> Onward:
        """How it goes on behind the briefing, which is read first unless there is something to go on with."""
        has_model = self._continuing.serves(principal.workspace_id)
        if mode == "fresh":
            return "written" if has_model and is_begun_by_model(found.case) else "read"
        if mode == "review":
            return "read"
        if found.case.open_step is not None:
            return "asked_again"
        return "written" if has_model else "read"


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


def _open(found: Known) -> Escalation:
    """The open escalation, which a session that waits for a colleague has.

    Raises StaleError where somebody has ended it between the reading of the two.
    """
    opened = next((each for each in reversed(found.case.escalations) if each.state == "open"), None)
    if opened is None:
        raise StaleError
    return opened


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


def _picked_up(taken: _Taken, following: StepView) -> PickedUp:
    suggestion, draft = drafted(taken.following.step)
    return PickedUp(
        briefing=step_view(taken.briefing),
        next_step=following,
        session=progress(taken.session),
        suggestion=suggestion,
        suggestion_draft=draft,
        fallback_reason=taken.fallback_reason,
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
