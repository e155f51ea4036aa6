"""Storing an answer, and the step that follows upon it; both are said in the conversation (5.2)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.errors import ConflictError, NotFoundError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.playbooks.answers import Reading
from workbench.domain.playbooks.steps import CHOICE_NEEDED, AtHand, Step
from workbench.domain.troubleshooting.branching import forked
from workbench.domain.troubleshooting.by_hand import equipped
from workbench.domain.troubleshooting.cases import Case, steps_of
from workbench.domain.troubleshooting.events import step_answered
from workbench.domain.troubleshooting.known import ask, say, stored
from workbench.domain.troubleshooting.model import Branch, Session, SessionStep
from workbench.domain.troubleshooting.ports import SessionTx
from workbench.domain.troubleshooting.transitions import freed, touched
from workbench.domain.troubleshooting.views import FallbackReason, StepView


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """The step that is answered, the session as it is then, and what was answered before it on the same way."""

    session: Session
    step: SessionStep
    before: Sequence[SessionStep]
    branches: Sequence[Branch] = ()
    """Those to be stored, because an earlier step is answered anew."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """Who answered what, and when; `at_hand` is what a step by hand has beside it, once it was looked for."""

    by: Principal
    reading: Reading
    note: str | None
    at: datetime
    filenames: tuple[str, ...] = ()
    """Files that go with it."""
    at_hand: AtHand | None = None


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an answer: the session as it is stored then, and the step that is open now."""

    session: Session
    answered_step_id: UUID
    following: SessionStep
    fallback_reason: FallbackReason | None = None
    unread_uploads: Sequence[str] = ()


class StaleStepError(ConflictError):
    """Another step waits for an answer, or none; who asked is told which."""

    def __init__(self, waiting: SessionStep | None) -> None:
        super().__init__("Another step waits for an answer", code="stale_step")
        self.waiting = waiting

    def showing(self, current: StepView | None) -> ConflictError:
        """The same with what is to be answered, as who asked sees it."""
        extra = {"current_step": msgspec.to_builtins(current)}
        return ConflictError(self.detail, code=self.error_code, extra=extra)


def way_on(case: Case, step_id: UUID) -> Way:
    """Answer the open step. Raises NotFoundError `step_not_found`, StaleStepError for any other one."""
    waiting = case.open_step
    if waiting is None or waiting.id != step_id:
        if step_id not in {step.id for step in case.steps}:
            raise NotFoundError("The session has no such step", code="step_not_found")
        raise StaleStepError(waiting)
    path = steps_of(case.branches, case.steps, waiting.branch_id)
    before = [step for step in path if step.is_answered and step.id != waiting.id]
    return Way(session=case.session, step=waiting, before=before)


def way_anew(case: Case, step_id: UUID, now: datetime) -> Way:
    """Answer an earlier step anew, on a branch of its own. Raises NotFoundError, ConflictError."""
    fork = forked(case, step_id, (new_id(), new_id()), now)
    return Way(session=fork.session, step=fork.step, before=fork.before, branches=(fork.left, fork.branch))


def take_down(tx: SessionTx, way: Way, given: Given, changed: Session, *, is_unclear: bool) -> Session:
    """Store the answer, and the session as it is changed by it. Answers with the session as it is set down."""
    session, step = way.session, way.step
    done = msgspec.structs.replace(
        step,
        answered_at=given.at,
        answered_by=given.by.id,
        reading=given.reading,
        note=given.note,
        is_unclear=is_unclear,
    )
    done = msgspec.structs.replace(done, answer_message_id=say(tx, session, done, given.filenames, given.at))
    for branch in way.branches:
        tx.session_steps.branch(session.id, branch)
    if way.branches:
        tx.session_steps.add(session.id, done)
    else:
        tx.session_steps.change(session.id, done)
    changed = msgspec.structs.replace(touched(changed, given.at), step_count=session.step_count + 1)
    tx.sessions.change(changed)
    tx.events.record(step_answered(changed, done))
    return changed


def answered_with(tx: SessionTx, way: Way, given: Given, step: Step, changes: Mapping[str, Any]) -> Answered:
    """Store the answer and the step that follows, and what else changes of the session by it.

    Raises EmptyHandedError where that is one by hand for which nothing was looked for yet.
    """
    step = equipped(step, way.session, given.at_hand)
    sure: dict[str, Any] = {}
    if step.confidence_score is not None:
        sure = {"confidence_score": step.confidence_score, "confidence_tier": step.confidence_tier}
    changed = msgspec.structs.replace(freed(way.session), **changes, **sure)
    changed = take_down(tx, way, given, changed, is_unclear=step.context_message == CHOICE_NEEDED)
    next_one = SessionStep(
        id=new_id(), branch_id=way.step.branch_id, step_order=way.step.step_order + 1, step=step, asked_at=given.at
    )
    following = ask(tx, changed, next_one, given.at)
    return Answered(session=stored(changed), answered_step_id=way.step.id, following=following)
