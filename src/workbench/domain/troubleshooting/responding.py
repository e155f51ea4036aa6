"""Answering a step: what it means, what follows, and answering an earlier one anew (5.2, 7.4)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.errors import ConflictError, NotFoundError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.playbooks.answers import MAX_FREE_TEXT, MAX_NOTE, Answer, Reading, read_answer
from workbench.domain.playbooks.confidence import Thresholds
from workbench.domain.playbooks.model import Outcome
from workbench.domain.playbooks.shelf import Shelf, Shelves, shelf_of
from workbench.domain.playbooks.steps import CHOICE_NEEDED, Step
from workbench.domain.texts import cleaned_text
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.branching import forked
from workbench.domain.troubleshooting.cases import steps_of
from workbench.domain.troubleshooting.events import step_answered
from workbench.domain.troubleshooting.guiding import Following, Guidance, answered
from workbench.domain.troubleshooting.known import (
    Known,
    ask,
    follow,
    inputs_of,
    require_whole,
    say,
    seen,
    stored,
    walk_of,
)
from workbench.domain.troubleshooting.likening import LikeningService
from workbench.domain.troubleshooting.model import Branch, Followed, Session, SessionStep
from workbench.domain.troubleshooting.ports import SessionTx
from workbench.domain.troubleshooting.showing import responded, step_view
from workbench.domain.troubleshooting.starting import followed_from
from workbench.domain.troubleshooting.transitions import touched
from workbench.domain.troubleshooting.views import Responded

MAX_CHOSEN = 12

Value = Annotated[str, msgspec.Meta(max_length=200)]


class NewAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer to the open step, or with `fork_from_step_id` to an earlier one, which begins another branch."""

    step_id: UUID
    option_value: Value | None = None
    option_values: Annotated[list[Value], msgspec.Meta(max_length=MAX_CHOSEN)] | None = None
    outcome: Outcome | None = None
    free_text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_FREE_TEXT)] | None = None
    skip: bool = False
    note: Annotated[str, msgspec.Meta(max_length=MAX_NOTE)] | None = None
    fork_from_step_id: UUID | None = None

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


class _Way(msgspec.Struct, frozen=True, kw_only=True):
    """The step that is answered, the session as it is then, and what was answered before it on the same way."""

    session: Session
    step: SessionStep
    before: Sequence[SessionStep]
    branches: Sequence[Branch] = ()
    """Those to be stored, because an earlier step is answered anew."""


class RespondingService:
    """Takes answers."""

    def __init__(
        self,
        transactions: Transactions[SessionTx],
        shelves: Shelves,
        thresholds: Thresholds,
        likening: LikeningService,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._likening = likening
        self._shelves = shelves
        self._thresholds = thresholds
        self._clock = clock

    async def respond(self, principal: Principal, session_id: UUID, new: NewAnswer) -> Responded:
        """Take an answer, and ask what follows upon it. The same answer once more is answered with what came of it.

        Raises InvalidError, NotFoundError, ForbiddenError, and ConflictError where the step is not the open one
        (`stale_step`, with the one that is) or does not take such an answer.
        """
        answer = new.answer()
        done = await retrying(lambda: self._respond(principal, session_id, new, answer))
        if done.next_step is None:
            return done
        following = await self._likening.beside(principal, session_id, done.next_step)
        return msgspec.structs.replace(done, next_step=following)

    async def _respond(self, principal: Principal, session_id: UUID, new: NewAnswer, answer: Answer) -> Responded:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found.require_act("respond", now)
            if (repeated := _repeated(found, new, answer)) is not None:
                await require_whole(tx, found)
                return repeated
            way = _way(found, new, now)
            reading = read_answer(way.step.step, answer)
            followed = await tx.session_steps.followed(session_id)
            # Only a choice between playbooks needs those that are there now.
            chooses = way.step.step.step_type == "choose_playbook"
            shelf = await shelf_of(tx, self._shelves, principal.workspace_id) if chooses else None
            following = _following(self._guidance(found, followed, shelf), found, way, reading, followed)
            return _carry_out(tx, way, _Given(principal.id, reading, answer.note, now), following, shelf, followed)

    def _guidance(self, found: Known, followed: Sequence[Followed], shelf: Shelf | None) -> Guidance:
        offered = {key: each.playbook for key, each in shelf.playbooks.items()} if shelf else {}
        documents = {**offered, **{each.key: each.document for each in followed}}
        return Guidance(playbooks=documents, thresholds=self._thresholds, inputs=inputs_of(found.session.intake))


class _Given(msgspec.Struct, frozen=True):
    """Who answered what, and when."""

    by: str
    reading: Reading
    note: str | None
    at: datetime


def _repeated(found: Known, new: NewAnswer, answer: Answer) -> Responded | None:
    """What came of the same answer before, if it is the one given last."""
    if new.fork_from_step_id is not None:
        return None
    path = found.case.path()
    done = [step for step in path if step.is_answered]
    if not done or done[-1].id != new.step_id:
        return None
    last = done[-1]
    if (last.note, last.reading) != (answer.note, read_answer(last.step, answer)):
        return None
    return responded(found.session, last.id, found.case.open_step)


def _way(found: Known, new: NewAnswer, now: datetime) -> _Way:
    """Raises NotFoundError `step_not_found`, ConflictError `stale_step`."""
    case = found.case
    if new.fork_from_step_id is not None:
        fork = forked(case, new.fork_from_step_id, (new_id(), new_id()), now)
        return _Way(session=fork.session, step=fork.step, before=fork.before, branches=(fork.left, fork.branch))
    waiting = case.open_step
    if waiting is None or waiting.id != new.step_id:
        if new.step_id not in {step.id for step in case.steps}:
            raise NotFoundError("The session has no such step", code="step_not_found")
        current = msgspec.to_builtins(step_view(waiting)) if waiting else None
        raise ConflictError("Another step waits for an answer", code="stale_step", extra={"current_step": current})
    path = steps_of(case.branches, case.steps, waiting.branch_id)
    before = [step for step in path if step.is_answered and step.id != waiting.id]
    return _Way(session=case.session, step=waiting, before=before)


def _following(
    guidance: Guidance, found: Known, way: _Way, reading: Reading, followed: Sequence[Followed]
) -> Following:
    asked = way.step.step
    if asked.step_type == "briefing":
        return Following(step=_waiting_behind(found, way))
    walk = walk_of(guidance, way.before, followed)
    return answered(guidance, walk, way.before, asked, reading)


def _waiting_behind(found: Known, way: _Way) -> Step:
    """What was open when the session was taken over; on a branch of its own the session begins anew."""
    case = found.case
    waiting = next((step for step in case.steps if step.superseded_by == way.step.id), None)
    return (waiting or case.steps[0]).step


def _carry_out(
    tx: SessionTx,
    way: _Way,
    given: _Given,
    following: Following,
    shelf: Shelf | None,
    followed: Sequence[Followed],
) -> Responded:
    """Store the answer and the step that follows; both are said in the conversation."""
    session, step = way.session, way.step
    is_unclear = following.step is not None and following.step.context_message == CHOICE_NEEDED
    done = msgspec.structs.replace(
        step,
        answered_at=given.at,
        answered_by=given.by,
        reading=given.reading,
        note=given.note,
        is_unclear=is_unclear,
    )
    done = msgspec.structs.replace(done, answer_message_id=say(tx, session, given.by, done, given.at))
    for branch in way.branches:
        tx.session_steps.branch(session.id, branch)
    if way.branches:
        tx.session_steps.add(session.id, done)
    else:
        tx.session_steps.change(session.id, done)
    changes: dict[str, Any] = {"step_count": session.step_count + 1}
    if following.playbook_key is not None and shelf is not None:
        taken = followed_from(shelf, following)
        follow(tx, session, taken, followed)
        changes |= {"matched_flow_id": taken.playbook_id, "playbook_version": taken.version, "match_score": taken.match}
        changes |= {"problem_domain": taken.document.domain}
    if following.step is not None and following.step.confidence_score is not None:
        sure = following.step
        changes |= {"confidence_score": sure.confidence_score, "confidence_tier": sure.confidence_tier}
    changed = msgspec.structs.replace(touched(session, given.at), **changes)
    tx.sessions.change(changed)
    tx.events.record(step_answered(changed, done))
    asked = None
    if following.step is not None:
        next_one = SessionStep(
            id=new_id(),
            branch_id=step.branch_id,
            step_order=step.step_order + 1,
            step=following.step,
            asked_at=given.at,
        )
        asked = ask(tx, changed, next_one, given.at)
    return responded(stored(changed), done.id, asked)
