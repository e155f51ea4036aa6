"""What a person answered to a step: which option is meant, or that it is something else (7.4)."""

from typing import Annotated, Literal

import msgspec

from workbench.domain.errors import ConflictError, InvalidError
from workbench.domain.playbooks.model import Outcome
from workbench.domain.playbooks.steps import Step, StepOption
from workbench.domain.playbooks.wording import negates, significant

AnswerKind = Literal["mapped", "free_text", "skipped"]

MAX_FREE_TEXT = 8000
MAX_NOTE = 2000


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it was sent: exactly one of its kinds, and a note for colleagues."""

    option_value: str | None = None
    option_values: list[str] | None = None
    outcome: Outcome | None = None
    free_text: str | None = None
    skip: bool = False
    note: Annotated[str, msgspec.Meta(max_length=MAX_NOTE)] | None = None

    def require_one_kind(self) -> None:
        """Raise InvalidError `answer_required` for none, and for more than one."""
        kinds = [self.option_value, self.option_values, self.outcome, self.free_text, self.skip or None]
        if sum(kind is not None for kind in kinds) != 1:
            raise InvalidError(
                "Give exactly one of option_value, option_values, outcome, free_text and skip", code="answer_required"
            )


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer was taken for. `values` are of options that the step offers; `text` is what was written."""

    kind: AnswerKind
    values: tuple[str, ...] = ()
    text: str | None = None


def read_answer(step: Step, answer: Answer) -> Reading:
    """Take an answer for what it means.

    Raises InvalidError `answer_required`, `unknown_option` or `validation_error`, ConflictError `skip_not_allowed` or
    `free_text_not_allowed`.
    """
    answer.require_one_kind()
    if answer.skip:
        if not step.allow_skip:
            raise ConflictError("This step cannot be skipped", code="skip_not_allowed")
        return Reading(kind="skipped")
    if answer.free_text is not None:
        return _read_text(step, answer.free_text)
    if answer.option_values is not None:
        return Reading(kind="mapped", values=_chosen(step, answer.option_values))
    field = "option_value" if answer.option_value is not None else "outcome"
    value = answer.option_value if answer.option_value is not None else answer.outcome
    if step.step_type == "multi" and field == "option_value":
        return Reading(kind="mapped", values=_chosen(step, [value or ""]))
    _require_offered(step, value or "", field)
    return Reading(kind="mapped", values=(value or "",))


def _read_text(step: Step, sent: str) -> Reading:
    if not step.allow_free_text:
        raise ConflictError("This step takes one of its options only", code="free_text_not_allowed")
    text = sent.strip()
    if not text or len(text) > MAX_FREE_TEXT:
        raise InvalidError(f"Write 1 to {MAX_FREE_TEXT} characters", code="validation_error", field="free_text")
    meant = meant_option(step.options, text)
    return Reading(kind="mapped", values=(meant.value,), text=text) if meant else Reading(kind="free_text", text=text)


def meant_option(options: tuple[StepOption, ...], text: str) -> StepOption | None:
    """The option that a text means: it is its label or value, or all words that tell of the option occur in it.

    A text with a negation means none but one that it equals, and so does a text that fits two.
    """
    said = text.strip().casefold()
    for option in options:
        if said in {option.label.casefold(), option.value.casefold()}:
            return option
    if negates(text):
        return None
    stems = set(significant(text))
    fitting = [option for option in options if _occurs(option.label, stems) or _occurs(option.value, stems)]
    return fitting[0] if len(fitting) == 1 else None


def _occurs(name: str, stems: set[str]) -> bool:
    wanted = set(significant(name.replace("_", " ")))
    return bool(wanted) and wanted <= stems


def _chosen(step: Step, values: list[str]) -> tuple[str, ...]:
    if step.step_type != "multi" and len(values) != 1:
        raise InvalidError("This step takes one option", code="unknown_option", field="option_values")
    if not values or len(set(values)) != len(values):
        raise InvalidError("Choose one or more, each once", code="validation_error", field="option_values")
    for index, value in enumerate(values):
        _require_offered(step, value, f"option_values[{index}]")
    return tuple(values)


def _require_offered(step: Step, value: str, field: str) -> None:
    offered = [option.value for option in step.options]
    if value not in offered:
        raise InvalidError(
            "The step does not offer this", code="unknown_option", field=field, extra={"offered": offered}
        )
