"""What a colleague gets to know who is asked to take a session over (7.9)."""

from datetime import datetime
from typing import Any

from workbench.domain.troubleshooting.cases import Case
from workbench.domain.troubleshooting.masking import masked
from workbench.domain.troubleshooting.model import SessionStep

MAX_STEPS_TOLD = 50
"""The newest of a long session; who takes it over can read the others in it."""
MAX_CHARACTERS_TOLD = 300
"""Of what was asked and answered in a step: a hundred packets stand on a page of the queue."""
CUT = "…"


def packet_of(case: Case, now: datetime, *, attachments: int) -> dict[str, Any]:
    """What is known so far, and who said it: made once, when the colleague is asked for, and kept as it was then.

    `attachments` is how many files there are in the conversation.
    """
    session, waiting = case.session, case.open_step
    tried = [step for step in case.path() if step.is_work]
    return {
        "problem": masked(session.problem_summary or session.title or session.intake.text[:300]),
        "reported_by": session.owner_id,
        "domain": session.problem_domain,
        "environment": {name: masked(value) for name, value in case.environment.items()},
        "steps_tried": [
            {
                "prompt": _cut(step.step.prompt),
                "answer": _cut(masked(step.answer_text)),
                "outcome": step.outcome,
                "answered_by": step.answered_by,
            }
            for step in tried[-MAX_STEPS_TOLD:]
        ],
        "steps_tried_count": len(tried),
        "hypotheses": _hypotheses(case.path()),
        "ruled_out": [_cut(step.step.prompt) for step in case.ruled_out()][-MAX_STEPS_TOLD:],
        "open_step": _cut(waiting.step.prompt) if waiting else None,
        "attachments_count": attachments,
        "psa_ticket_id": session.ticket.id if session.ticket else None,
        "elapsed_seconds": max(0, int((now - session.created_at).total_seconds())),
    }


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS_TOLD else text[: MAX_CHARACTERS_TOLD - len(CUT)] + CUT


def _hypotheses(path: list[SessionStep]) -> list[dict[str, Any]]:
    """What a model thought of the cause last."""
    for step in reversed(path):
        if "hypotheses" in step.step.context:
            told: list[dict[str, Any]] = step.step.context["hypotheses"]
            return [{**each, "label": masked(each["label"])} for each in told]
    return []
