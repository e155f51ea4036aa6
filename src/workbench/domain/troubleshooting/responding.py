"""Answering a step: what it means, what follows, and answering an earlier one anew (5.2, 7.4)."""

from collections.abc import Sequence
from datetime import datetime
from itertools import takewhile
from typing import Annotated, Any
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.identity.model import Principal
from workbench.domain.playbooks.answers import MAX_FREE_TEXT, MAX_NOTE, Answer, Reading, read_answer
from workbench.domain.playbooks.model import Outcome
from workbench.domain.playbooks.shelf import Shelf, shelf_of
from workbench.domain.playbooks.steps import AtHand, Step, manual_step
from workbench.domain.playbooks.walking import require_room
from workbench.domain.texts import cleaned_text
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.answering import (
    Answered,
    Given,
    StaleStepError,
    Way,
    answered_with,
    take_down,
    way_anew,
    way_on,
)
from workbench.domain.troubleshooting.by_hand import ByHandService, equipped, require_at_hand
from workbench.domain.troubleshooting.cases import Case, is_begun_by_model
from workbench.domain.troubleshooting.continuing import ContinuingService, ask_next
from workbench.domain.troubleshooting.generating import is_admitted
from workbench.domain.troubleshooting.generations import Generation, OnUnavailable
from workbench.domain.troubleshooting.guides import Guides
from workbench.domain.troubleshooting.guiding import Following, Guidance, answered
from workbench.domain.troubleshooting.known import Known, follow, require_whole, seen, walk_of
from workbench.domain.troubleshooting.model import Followed, Session, SessionStep
from workbench.domain.troubleshooting.ports import ChatTx, SessionTx
from workbench.domain.troubleshooting.showing import drafted, progress
from workbench.domain.troubleshooting.starting import followed_from
from workbench.domain.troubleshooting.transitions import freed, leased, touched
from workbench.domain.troubleshooting.uploads import UploadIds, uploaded
from workbench.domain.troubleshooting.views import FallbackReason, Responded, StepView

MAX_CHOSEN = 12

Value = Annotated[str, msgspec.Meta(max_length=200)]


class NewAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer to the open step, or with `fork_from_step_id` to an earlier one, which begins another branch.

    With `on_unavailable` manual one goes on by hand where the model that is to write the next step is not to be had.
    """

    step_id: UUID
    option_value: Value | None = None
    option_values: Annotated[list[Value], msgspec.Meta(max_length=MAX_CHOSEN)] | None = None
    outcome: Outcome | None = None
    free_text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_FREE_TEXT, pattern=r"\S")] | None = None
    skip: bool = False
    note: Annotated[str, msgspec.Meta(max_length=MAX_NOTE)] | None = None
    upload_ids: UploadIds = ()
    fork_from_step_id: UUID | None = None
    on_unavailable: OnUnavailable = "error"

    def answer(self) -> Answer:
        """The answer itself. Raises InvalidError `answer_required`."""
        given = Answer(
            option_value=self.option_value,
            option_values=self.option_values,
            outcome=self.outcome,
            free_text=None if self.free_text is None else cleaned_text(self.free_text),
            skip=self.skip,
            note=cleaned_text(self.note) if self.note else None,
        )
        given.require_one_kind()
        return given


class _Awaited(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is stored, and whose next step a model is to write, for a use of it that is reserved."""

    answered_step_id: UUID
    generation: Generation


class RespondingService:
    """Takes answers."""

    def __init__(
        self,
        transactions: Transactions[ChatTx],
        guides: Guides,
        continuing: ContinuingService,
        by_hand: ByHandService,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._guides = guides
        self._continuing = continuing
        self._by_hand = by_hand
        self._clock = clock

    async def respond(self, principal: Principal, session_id: UUID, new: NewAnswer) -> Responded:
        """Take an answer, and ask what follows upon it. The same answer once more is answered with what came of it.

        Raises InvalidError, also `unknown_upload`, NotFoundError, ForbiddenError, ConflictError where the step is not the open one
        (`stale_step`, with the one that is), does not take such an answer, or a model is at work; QuotaExceededError, and
        then the answer is not stored; ProviderError, and then it is: sent once more, it has the model asked again.
        """
        answer = new.answer()

        async def act(at_hand: AtHand | None) -> Answered | _Awaited:
            return await retrying(lambda: self._respond(principal, session_id, new, answer, at_hand))

        try:
            came = await self._by_hand.prepared(principal, act)
        except StaleStepError as stale:
            current = await self._by_hand.shown(principal, stale.waiting) if stale.waiting else None
            raise stale.showing(current) from None
        if isinstance(came, _Awaited):
            came = await self._continued(principal, session_id, came, new.on_unavailable)
        return responded(came, await self._by_hand.shown(principal, came.following))

    async def _continued(
        self, principal: Principal, session_id: UUID, awaited: _Awaited, on_unavailable: OnUnavailable
    ) -> Answered:
        continued = await self._continuing.go_on(principal, session_id, awaited.generation, on_unavailable)
        return Answered(
            session=continued.session,
            answered_step_id=awaited.answered_step_id,
            following=continued.step,
            fallback_reason=continued.fallback_reason,
            unread_uploads=continued.unread_uploads,
        )

    async def _respond(
        self, principal: Principal, session_id: UUID, new: NewAnswer, answer: Answer, at_hand: AtHand | None
    ) -> Answered | _Awaited:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found.require_act("respond", now)
            if (last := _repeated(found, new, answer)) is not None:
                given = Given(
                    by=principal, reading=read_answer(last.step, answer), note=answer.note, at=now, at_hand=at_hand
                )
                if (waiting := found.case.open_step) is None:
                    return await _again(tx, self._continuing, found, given, new.on_unavailable)
                await require_whole(tx, found)
                return Answered(session=found.session, answered_step_id=last.id, following=waiting)
            way = _way(found, new, now)
            require_room(len(found.case.steps) + len(way.branches[1:]))
            files = await uploaded(tx, found, new.upload_ids)
            given = Given(
                by=principal,
                reading=read_answer(way.step.step, answer),
                note=answer.note,
                at=now,
                filenames=tuple(each.file.filename for each in files),
                at_hand=at_hand,
            )
            followed = await tx.session_steps.followed(session_id)
            # Only a choice between playbooks needs those that are there now.
            chooses = way.step.step.step_type == "choose_playbook"
            shelf = await shelf_of(tx, self._guides.shelves, principal.workspace_id) if chooses else None
            has_model = self._continuing.serves(principal.workspace_id)
            guidance = self._guides.guidance(found.session, followed, shelf, has_model=has_model)
            following = _following(guidance, found, way, given.reading, followed)
            if following.step is None:
                return await _await(tx, self._continuing, way, given, following, new.on_unavailable)
            taken = _take_up(tx, way.session, following, shelf, followed)
            return answered_with(tx, way, given, following.step, taken)


async def _await(
    tx: SessionTx,
    continuing: ContinuingService,
    way: Way,
    given: Given,
    following: Following,
    on_unavailable: OnUnavailable,
) -> Answered | _Awaited:
    """Store the answer, and lease the session to a model; where it is not to be had, to nobody."""
    generation = continuing.wished(given.by, "flowpilot_respond", way.session)
    is_left = following.otherwise is not None
    if not is_left and on_unavailable == "manual":
        # Before it is refused: each refusal is counted.
        require_at_hand(way.session, given.at_hand)
    if await is_admitted(tx, continuing.generating, generation, "manual" if is_left else on_unavailable):
        take_down(tx, way, given, leased(way.session, generation.key, given.at), is_unclear=is_left)
        return _Awaited(answered_step_id=way.step.id, generation=generation)
    told = answered_with(tx, way, given, following.otherwise or manual_step(), {})
    return msgspec.structs.replace(told, fallback_reason="quota")


async def _again(
    tx: SessionTx, continuing: ContinuingService, found: Known, given: Given, on_unavailable: OnUnavailable
) -> Answered | _Awaited:
    """The answer is there, and what was to follow is not."""
    last = [step for step in found.case.path() if step.is_answered][-1]
    session = touched(found.session, given.at)
    reason: FallbackReason | None = None
    serves = continuing.serves(given.by.workspace_id)
    if not serves or on_unavailable == "manual":
        require_at_hand(session, given.at_hand)
    if serves:
        generation = continuing.wished(given.by, "flowpilot_respond", session)
        if await is_admitted(tx, continuing.generating, generation, on_unavailable):
            tx.sessions.change(leased(session, generation.key, given.at))
            return _Awaited(answered_step_id=last.id, generation=generation)
        reason = "quota"
    changed, asked = ask_next(tx, found, freed(session), equipped(manual_step(), session, given.at_hand), given.at)
    return Answered(session=changed, answered_step_id=last.id, following=asked, fallback_reason=reason)


def responded(came: Answered, following: StepView) -> Responded:
    """What came of an answer, as who gave it sees it."""
    suggestion, draft = drafted(came.following.step)
    return Responded(
        answered_step_id=came.answered_step_id,
        next_step=following,
        session=progress(came.session),
        suggestion=suggestion,
        suggestion_draft=draft,
        fallback_reason=came.fallback_reason,
        unread_uploads=came.unread_uploads,
    )


def _repeated(found: Known, new: NewAnswer, answer: Answer) -> SessionStep | None:
    """The step that was answered last, if it was answered the same."""
    done = [step for step in found.case.path() if step.is_answered]
    if not done or not _is_to_the_last(found.case, new, done):
        return None
    last = done[-1]
    if (last.note, last.reading) != (answer.note, read_answer(last.step, answer)):
        return None
    return last


def _is_to_the_last(case: Case, new: NewAnswer, done: Sequence[SessionStep]) -> bool:
    """Whether an answer is to the step that was answered last; to be answered anew, that one was put on a branch of its own."""
    last = done[-1]
    if new.fork_from_step_id is None:
        return last.id == new.step_id
    origin = next((step for step in case.steps if step.id == new.fork_from_step_id), None)
    branch = next(each for each in case.branches if each.id == last.branch_id)
    begins = sum(step.branch_id == branch.id for step in done) == 1
    return begins and origin is not None and branch.forked_at_step_id == origin.id and last.step == origin.step


def _following(guidance: Guidance, found: Known, way: Way, reading: Reading, followed: Sequence[Followed]) -> Following:
    asked = way.step.step
    if asked.step_type == "briefing":
        return Following(step=_waiting_behind(found, way, has_model=guidance.has_model))
    walk = walk_of(guidance, way.before, followed)
    return answered(guidance, walk, way.before, asked, reading)


def _waiting_behind(found: Known, way: Way, *, has_model: bool) -> Step | None:
    """What was open when the session was taken over; where nothing was, a model goes on, or the person by hand.

    At the beginning of a branch of its own the session begins anew: what a model began, a model begins anew.
    """
    case, here = found.case, {way.step.id, *(each.forked_at_step_id for each in way.branches)}
    before = takewhile(lambda step: step.id not in here, case.path())
    # Of several who took it over one after the other each has a briefing.
    others = [step for step in before if step.step.step_type != "briefing"]
    if others and others[-1].superseded_by is not None:
        return others[-1].step
    if not others and not (has_model and is_begun_by_model(case)):
        return case.steps[0].step
    return None if has_model else manual_step()


def _way(found: Known, new: NewAnswer, now: datetime) -> Way:
    return (
        way_anew(found.case, new.fork_from_step_id, now) if new.fork_from_step_id else way_on(found.case, new.step_id)
    )


def _take_up(
    tx: SessionTx, session: Session, following: Following, shelf: Shelf | None, followed: Sequence[Followed]
) -> dict[str, Any]:
    """Keep the playbook with the session that is followed from here on; what changes of the session by that."""
    if following.playbook_key is None or shelf is None:
        return {}
    taken = followed_from(shelf, following)
    follow(tx, session, taken, followed)
    return {
        "matched_flow_id": taken.playbook_id,
        "playbook_version": taken.version,
        "match_score": taken.match,
        "problem_domain": taken.document.domain,
    }
