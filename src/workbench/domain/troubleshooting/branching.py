"""Answering an earlier step anew: another way, with the old one left as it was (7.4)."""

from datetime import datetime
from uuid import UUID

import msgspec

from workbench.domain.errors import ConflictError, NotFoundError
from workbench.domain.troubleshooting.cases import Case, steps_of
from workbench.domain.troubleshooting.model import Branch, BranchStatus, Session, SessionStep


class Fork(msgspec.Struct, frozen=True, kw_only=True):
    """A new branch and what is changed by it. `step` is the one that is answered anew, open again and on the new branch."""

    session: Session
    branch: Branch
    left: Branch
    step: SessionStep
    before: tuple[SessionStep, ...]


def _origin(case: Case, step_id: UUID) -> tuple[Branch, list[SessionStep], int] | None:
    """On which branch a step may be answered anew: on the one that is followed any, on another the last with an answer."""
    active = case.session.active_branch_id or case.branches[0].id
    for branch in sorted(case.branches, key=lambda branch: branch.id != active):
        path = steps_of(case.branches, case.steps, branch.id)
        answered = [step.id for step in path if step.is_answered]
        if step_id in ([step.id for step in path] if branch.id == active else answered[-1:]):
            return branch, path, [step.id for step in path].index(step_id)
    return None


def marked(case: Case, status: BranchStatus) -> list[Branch]:
    """The branch that is followed, where there are several, with what became of it."""
    active = case.session.active_branch_id if case.session.is_branching else None
    return [msgspec.structs.replace(branch, status=status) for branch in case.branches if branch.id == active]


def forked(case: Case, step_id: UUID, new_ids: tuple[UUID, UUID], now: datetime) -> Fork:
    """Fork at an answered step of the way that is followed, or go back to another branch at its last answered step.

    `new_ids` are of the branch and of the step on it. Raises NotFoundError `step_not_found` for any other step, and
    ConflictError `step_is_open` for one that has no answer yet. The branch that is left is a dead end, unless it has a step
    open.
    """
    found = _origin(case, step_id)
    if found is None:
        raise NotFoundError("There is no such step on the way that is followed", code="step_not_found")
    parent, path, at = found
    origin = path[at]
    if not origin.is_answered:
        raise ConflictError("This step has no answer yet", code="step_is_open")
    active = case.session.active_branch_id or case.branches[0].id
    left = next(branch for branch in case.branches if branch.id == active)
    branch = Branch(
        id=new_ids[0],
        label=origin.step.prompt[:120],
        created_at=now,
        parent_branch_id=parent.id,
        forked_at_step_id=origin.id,
    )
    step = SessionStep(id=new_ids[1], branch_id=branch.id, step_order=at + 1, step=origin.step, asked_at=now)
    is_open = case.open_step is not None
    return Fork(
        session=msgspec.structs.replace(
            case.session, is_branching=True, active_branch_id=branch.id, last_activity_at=now
        ),
        branch=branch,
        left=left if is_open else msgspec.structs.replace(left, status="dead_end"),
        step=step,
        before=tuple(path[:at]),
    )
