"""What who takes a session over is told first, and how it goes on behind that (7.9)."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from workbench.domain.ids import new_id
from workbench.domain.playbooks.answers import Reading
from workbench.domain.playbooks.steps import ACKNOWLEDGED, AtHand, Step, briefing_step, manual_step
from workbench.domain.troubleshooting.by_hand import equipped
from workbench.domain.troubleshooting.known import Known, ask
from workbench.domain.troubleshooting.model import Branch, Escalation, Session, SessionStep
from workbench.domain.troubleshooting.ports import SessionTx

Onward = Literal["read", "asked_again", "by_hand", "written"]
"""Behind the briefing: nothing until it is read, what was open before, a step by hand, or what a model is to write."""
ANEW = "From the beginning"


def brief(
    tx: SessionTx, found: Known, session: Session, escalation: Escalation, onward: Onward, at_hand: AtHand | None
) -> tuple[Session, SessionStep, SessionStep]:
    """Put the briefing before what was open; with it, answer with what is open then, which may be the briefing itself.

    A briefing on a branch of its own begins the session anew. Raises EmptyHandedError where that is a step by hand for which
    nothing was looked for yet.
    """
    now = escalation.closed_at or session.last_activity_at
    waiting, path = found.case.open_step, found.case.path()
    branch_id, order = path[-1].branch_id, path[-1].step_order + 1
    if escalation.resume_mode == "fresh":
        session, branch_id, order = *_anew(tx, found, session, now), 1
        waiting = None
    asked = briefing_step(escalation.packet, escalation.additional_context)
    briefing = SessionStep(id=new_id(), branch_id=branch_id, step_order=order, step=asked, asked_at=now)
    if waiting is not None:
        tx.session_steps.change(session.id, msgspec.structs.replace(waiting, superseded_by=briefing.id))
    if onward == "read":
        briefing = ask(tx, session, briefing, now)
        return session, briefing, briefing
    read = Reading(kind="mapped", values=(ACKNOWLEDGED,))
    briefing = msgspec.structs.replace(briefing, reading=read, answered_at=now, answered_by=found.person.id)
    briefing = ask(tx, session, briefing, now)
    if onward == "written":
        return session, briefing, briefing
    step: Step = waiting.step if waiting is not None and onward == "asked_again" else manual_step()
    step = equipped(step, session, at_hand)
    again = SessionStep(id=new_id(), branch_id=branch_id, step_order=order + 1, step=step, asked_at=now)
    return session, briefing, ask(tx, session, again, now)


def _anew(tx: SessionTx, found: Known, session: Session, now: datetime) -> tuple[Session, UUID]:
    branch = Branch(
        id=new_id(),
        label=ANEW,
        created_at=now,
        parent_branch_id=found.case.branches[0].id,
        forked_at_step_id=found.case.steps[0].id,
    )
    tx.session_steps.branch(session.id, branch)
    return msgspec.structs.replace(session, is_branching=True, active_branch_id=branch.id), branch.id
