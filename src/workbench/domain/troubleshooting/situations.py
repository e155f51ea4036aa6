"""What a model is shown of a session: cut to size, and without what looks like a secret (7.7)."""

from collections.abc import Sequence

from workbench.domain.troubleshooting.masking import masked
from workbench.domain.troubleshooting.model import Intake, SessionStep
from workbench.domain.troubleshooting.writers import OpenQuestion, Passage, Situation, Source

MAX_REPORT = 5000
MAX_PASSAGES = 20
"""The newest of a long session."""
MAX_PROMPT = 250
MAX_ANSWER = 500
MAX_CONTEXT = 2000


def situation_of(
    intake: Intake,
    path: Sequence[SessionStep],
    sources: tuple[Source, ...],
    *,
    additional_context: str | None = None,
    asked: OpenQuestion | None = None,
) -> Situation:
    """What is known after the answered steps of the way that is followed."""
    return Situation(
        report=masked(report_text(intake))[:MAX_REPORT],
        path=tuple(_passage(step) for step in path if step.is_answered)[-MAX_PASSAGES:],
        sources=sources,
        additional_context=masked(additional_context)[:MAX_CONTEXT] if additional_context else None,
        asked=asked,
    )


def report_text(intake: Intake) -> str:
    """What was reported, with what was told in fields."""
    fields = (f"{name}: {value}" for name, value in intake.fields.items() if value is not None)
    return "\n".join(part for part in (intake.subject, intake.text, *fields) if part)


def question_of(step: SessionStep) -> OpenQuestion:
    """A step whose options were not taken."""
    return OpenQuestion(
        prompt=step.step.prompt[:MAX_PROMPT], options=step.step.options, answer=masked(step.answer_text)[:MAX_ANSWER]
    )


def _passage(step: SessionStep) -> Passage:
    said = step.answer_text if step.note is None else f"{step.answer_text}\n{step.note}"
    return Passage(prompt=masked(step.step.prompt)[:MAX_PROMPT], answer=masked(said)[:MAX_ANSWER], outcome=step.outcome)
