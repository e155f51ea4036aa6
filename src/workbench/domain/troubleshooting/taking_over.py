"""Taking a session over that a colleague is asked for: with a briefing, and the step that it goes on with (7.9)."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.identity.model import Principal
from workbench.domain.participants.events import participant_created
from workbench.domain.participants.model import Participant
from workbench.domain.playbooks.steps import AtHand
from workbench.domain.texts import cleaned_text
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.briefing import Onward, brief
from workbench.domain.troubleshooting.by_hand import ByHandService, require_at_hand
from workbench.domain.troubleshooting.cases import is_begun_by_model
from workbench.domain.troubleshooting.chat_briefing import brief_in_chat
from workbench.domain.troubleshooting.continuing import ContinuingService
from workbench.domain.troubleshooting.events import tell_of_escalation
from workbench.domain.troubleshooting.generating import is_admitted
from workbench.domain.troubleshooting.generations import Generation, OnUnavailable
from workbench.domain.troubleshooting.known import Known, known, open_escalation, stored
from workbench.domain.troubleshooting.model import ResumeMode, Session, SessionStep
from workbench.domain.troubleshooting.ports import ChatTx, SessionTx
from workbench.domain.troubleshooting.showing import drafted, progress, step_view
from workbench.domain.troubleshooting.transitions import leased, picked_up, require_pickup
from workbench.domain.troubleshooting.views import Chatted, FallbackReason, PickedUp, StepView
from workbench.domain.users.model import User
from workbench.domain.users.service import meet

MAX_CONTEXT = 4000


class NewPickup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a session is taken over: going on with the open step, after a look at what was found, or from the beginning.

    With `on_unavailable` manual one goes on by hand where the model that is to write the next step is not to be had.
    """

    resume_mode: ResumeMode = "continue"
    additional_context: Annotated[str, msgspec.Meta(max_length=MAX_CONTEXT)] | None = None
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


class TakingOverService:
    """Takes sessions over."""

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
                found.session, open_escalation(found), principal.id, new.resume_mode, context or None, now
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
            tell_of_escalation(tx.events, "picked_up", session, closed)
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
