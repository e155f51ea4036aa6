"""Sessions as tests need them: what is not said is usual, and nothing is left to chance."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from tests.support.playbooks import playbook

from workbench.domain.playbooks.answers import Answer, Reading, read_answer
from workbench.domain.playbooks.steps import Step, manual_step, playbook_step
from workbench.domain.troubleshooting.access import Person
from workbench.domain.troubleshooting.cases import Case
from workbench.domain.troubleshooting.model import Branch, Escalation, Intake, Session, SessionStep

BEGAN = datetime(2026, 3, 2, 9, 0, 0, 1, tzinfo=UTC)
OWNER = Person(id="ann", works=True, team_ids=frozenset({"desk"}))
COLLEAGUE = Person(id="bob", works=True, team_ids=frozenset({"network"}))
THIRD = Person(id="cleo", works=True)
STRANGER = Person(id="dan", works=True)
READER = Person(id="eve", works=False)
NAMES = {"ann": "Ann", "bob": "Bob", "cleo": "Cleo"}
ROOT = UUID(int=7)


def later(minutes: float) -> datetime:
    """So many minutes after the session began."""
    return BEGAN + timedelta(minutes=minutes)


def session(**members: Any) -> Session:
    """A guided session of Ann's about a printer."""
    usual: dict[str, Any] = {
        "id": UUID(int=1),
        "conversation_id": UUID(int=2),
        "owner_id": "ann",
        "handler_id": "ann",
        "session_type": "guided",
        "intake": Intake(
            text="The printer on floor 2 shows offline.\nError 0x80070005 on PRN-02.corp.example",
            fields={"printer_name": "PRN-02", "floor": 2, "empty": None},
        ),
        "title": "Printer offline",
        "problem_summary": "The printer on floor 2 shows offline",
        "problem_domain": "printing",
        "confidence_tier": "guided",
        "created_at": BEGAN,
        "last_activity_at": BEGAN,
        "active_branch_id": ROOT,
    }
    return Session(**{**usual, **members})


def escalation(**members: Any) -> Escalation:
    """Ann asks for anybody."""
    usual: dict[str, Any] = {"id": UUID(int=50), "requested_by": "ann", "reason": "No idea", "requested_at": later(30)}
    return Escalation(**{**usual, **members})


def step(number: int, asked: Step, answer: Answer | None = None, **members: Any) -> SessionStep:
    """The step of a session that was asked after so many minutes, and answered one later, if it was."""
    usual: dict[str, Any] = {
        "id": UUID(int=100 + number),
        "branch_id": ROOT,
        "step_order": number,
        "step": asked,
        "asked_at": later(number),
    }
    if answer is not None:
        reading: Reading = read_answer(asked, answer)
        usual |= {"answered_at": later(number + 1), "answered_by": "ann", "reading": reading, "note": answer.note}
    return SessionStep(**{**usual, **members})


def asked(node_id: str, *, is_client_safe: bool = False) -> Step:
    """The step of a node of the example."""
    return msgspec.structs.replace(
        playbook_step(playbook(), node_id, {"printer_name": "PRN-02"}), is_client_safe=is_client_safe
    )


FIVE_STEPS = (
    step(1, asked("scope", is_client_safe=True), Answer(option_value="one")),
    step(2, asked("queue"), Answer(outcome="failed", note="password: hunter2")),
    step(3, asked("spooler"), Answer(outcome="done")),
    step(4, asked("verify", is_client_safe=True), Answer(option_value="partly")),
    step(5, manual_step(), Answer(free_text="* replaced the *toner*\n# and the drum on PRN-02")),
)


def case(steps: Sequence[SessionStep] = FIVE_STEPS, *, escalations: Sequence[Escalation] = (), **members: Any) -> Case:
    """A session with its steps on one branch."""
    last = max((each.answered_at or each.asked_at for each in steps), default=BEGAN)
    return Case(
        session=session(**{"last_activity_at": last, **members}),
        branches=(Branch(id=ROOT, label="Start", created_at=BEGAN),),
        steps=tuple(steps),
        escalations=tuple(escalations),
        names=NAMES,
    )
