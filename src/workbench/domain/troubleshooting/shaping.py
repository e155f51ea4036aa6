"""From what a model wrote to a step that a session may have (7.7)."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from workbench.domain.playbooks.confidence import Thresholds, model_confidence
from workbench.domain.playbooks.model import CONTINUE, OUTCOMES, VERDICTS, NodeType
from workbench.domain.playbooks.steps import Step, StepOption, StepType, Suggestion
from workbench.domain.texts import cleaned_text
from workbench.domain.troubleshooting.writers import Source, WrittenStep

CONFIRMED = StepOption(label="Checked: this may be done", value="confirmed")
"""Stands before all else where what is to be done destroys something."""

_GIVEN: dict[NodeType, tuple[StepOption, ...]] = {
    "action": tuple(StepOption(label=label, value=value) for value, label in OUTCOMES.items()),
    "verification": tuple(StepOption(label=label, value=value) for value, label in VERDICTS.items()),
    "info": (StepOption(label="Continue", value=CONTINUE),),
    "resolution": (),
    "escalation": (),
}
"""The options of types whose answers mean the same everywhere."""
_SUGGESTED: dict[NodeType, Suggestion] = {"resolution": "resolve", "escalation": "escalate"}
_NOT_WORDS = re.compile(r"[\W_]+")


def shaped(
    written: WrittenStep, sources: Iterable[Source], thresholds: Thresholds, *, support: float, answered: int
) -> Step:
    """Make a step of it: options once each, citations of what was supplied alone, and no certainty without support."""
    options = _options(written)
    supplied = {(each.kind, each.id) for each in sources}
    score = model_confidence(written.confidence, support=support, answered=answered)
    suggestion = _SUGGESTED.get(written.step_type)
    draft = written.resolution_draft if suggestion == "resolve" else written.escalation_draft
    return Step(
        step_type=_type(written, options),
        prompt=cleaned_text(written.prompt),
        source="model",
        risk=written.risk,
        context=_context(written),
        context_message=_cleaned(written.context_message),
        options=options,
        allow_free_text=written.allow_free_text or not options or suggestion is not None,
        allow_skip=written.allow_skip,
        confidence_score=score,
        confidence_tier=thresholds.tier(score),
        suggestion=suggestion,
        draft=_cleaned(draft) if suggestion else None,
        urgency="normal" if suggestion == "escalate" else None,
        citations=tuple(dict.fromkeys(each for each in written.citations if (each.kind, each.id) in supplied)),
    )


def says_the_same(prompt: str, asked: Sequence[str]) -> bool:
    """Whether a prompt was asked already, however it is written."""
    return _plain(prompt) in {_plain(each) for each in asked}


def _options(written: WrittenStep) -> tuple[StepOption, ...]:
    """Those of the type, or else those that were written, each value once."""
    given = _GIVEN.get(written.step_type)
    if given is None:
        once = {each.value: each for each in reversed(written.options)}
        own = (each for each in written.options if once.get(each.value) is each)
        given = tuple(
            StepOption(label=cleaned_text(each.label), value=each.value, followup_hint=_cleaned(each.followup_hint))
            for each in own
        )
    is_dangerous = written.risk == "destructive" and written.step_type not in _SUGGESTED
    return (CONFIRMED, *(each for each in given if each.value != CONFIRMED.value)) if is_dangerous else given


def _type(written: WrittenStep, options: Sequence[StepOption]) -> StepType:
    """Of several nothing can be chosen where nothing is offered."""
    return "question" if written.step_type == "multi" and not options else written.step_type


def _context(written: WrittenStep) -> dict[str, Any]:
    if not written.hypotheses:
        return {}
    told = [{"label": cleaned_text(each.label), "likelihood": each.likelihood} for each in written.hypotheses]
    return {"hypotheses": told}


def _cleaned(text: str | None) -> str | None:
    return None if text is None else cleaned_text(text)


def _plain(text: str) -> str:
    return _NOT_WORDS.sub(" ", text.casefold()).strip()
