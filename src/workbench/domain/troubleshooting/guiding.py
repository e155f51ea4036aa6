"""What comes next in a guided session: a step, or the word that a model has to find one (5.1, 7.3 to 7.5)."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from workbench.domain.errors import InvalidError, UnavailableError
from workbench.domain.playbooks.answers import Reading
from workbench.domain.playbooks.confidence import CHOSEN, Thresholds
from workbench.domain.playbooks.deciding import Decision
from workbench.domain.playbooks.matching import Candidate
from workbench.domain.playbooks.model import Playbook
from workbench.domain.playbooks.steps import NONE_OF_THESE, Step, choosing_step, manual_step, told
from workbench.domain.playbooks.walking import Passed, Walk, require_room
from workbench.domain.troubleshooting.model import SessionStep

StartMode = Literal["auto", "manual"]


class Guidance(msgspec.Struct, frozen=True, kw_only=True):
    """What a session has to go by: the playbooks that may be chosen, by their keys, and whether there is a model."""

    playbooks: Mapping[str, Playbook]
    thresholds: Thresholds = Thresholds()
    inputs: Mapping[str, str] = {}
    has_model: bool = False

    def walk(self, key: str, match: float) -> Walk:
        """A playbook that is followed."""
        return Walk(playbook=self.playbooks[key], match=match, inputs=self.inputs, thresholds=self.thresholds)


class Following(msgspec.Struct, frozen=True, kw_only=True):
    """What comes next. Without a step a model is to find one, with the candidates to go by.

    `otherwise` is what is asked where the model cannot be, as far as there is anything.
    `playbook_key` and `match` are of the playbook that is followed from here on, if it is another one than before.
    """

    step: Step | None
    otherwise: Step | None = None
    playbook_key: str | None = None
    match: float | None = None
    candidates: Sequence[Candidate] = ()


def opened(guidance: Guidance, decision: Decision, mode: StartMode) -> Following:
    """What a session begins with. Raises UnavailableError `no_guidance_available` where there is nothing to go by."""
    if mode == "manual":
        return Following(step=manual_step(), candidates=decision.candidates)
    if decision.kind == "run":
        best = decision.candidates[0]
        step = guidance.walk(best.key, best.score).first()
        return Following(step=step, playbook_key=best.key, match=best.score, candidates=decision.candidates)
    offer = offering(guidance, decision.candidates) if decision.kind == "offer" else None
    if guidance.has_model:
        return Following(step=None, otherwise=offer, candidates=decision.candidates)
    if offer is not None:
        return Following(step=offer, candidates=decision.candidates)
    raise no_guidance(guidance, decision.candidates)


def opened_with(guidance: Guidance, key: str) -> Following:
    """What a session begins with whose playbook a person chose."""
    return Following(step=guidance.walk(key, CHOSEN).first(), playbook_key=key, match=CHOSEN)


def offering(guidance: Guidance, candidates: Sequence[Candidate]) -> Step:
    """Ask which of the playbooks is meant; also what is left to do where a model has failed."""
    step = choosing_step(candidates)
    tier = guidance.thresholds.tier(step.confidence_score)
    return msgspec.structs.replace(step, confidence_tier=tier)


def no_guidance(guidance: Guidance, nearest: Sequence[Candidate]) -> UnavailableError:
    """No playbook fits, and there is no model."""
    return UnavailableError(
        "No playbook matches, and no model is configured",
        code="no_guidance_available",
        extra={
            "model_configured": False,
            "playbooks_published": len(guidance.playbooks),
            "nearest": told(nearest),
            "hint": "import or publish a playbook, configure a model, or start with start_mode=manual",
        },
    )


def answered(
    guidance: Guidance, walk: Walk | None, before: Sequence[SessionStep], step: Step, reading: Reading
) -> Following:
    """What follows upon an answer. `before` are the steps of the branch that were answered earlier, in their order.

    There is always something: by hand one can go on anywhere (7.5). Raises ConflictError `step_limit`, and InvalidError
    `unknown_option` for a playbook that is gone meanwhile.
    """
    require_room(len(before) + 1)
    if step.step_type == "choose_playbook":
        return _chosen(guidance, reading)
    if walk is None or step.node_id is None:
        return _by_hand(guidance)
    path = passed(before)
    arrival = walk.after(path, step.node_id, reading)
    here = Passed(node_id=step.node_id, kind=reading.kind, is_unclear=arrival.kind == "unclear")
    if arrival.kind == "gave_out" and guidance.has_model:
        return Following(step=None)
    found = walk.step(arrival, [*path, here])
    if arrival.kind == "unclear" and guidance.has_model:
        return Following(step=None, otherwise=found)
    return Following(step=found)


def understood(walk: Walk, before: Sequence[SessionStep], step: SessionStep, value: str | None) -> Step | None:
    """What follows upon a text to a step of a playbook that means one of its options after all, as a model says."""
    node_id, reading = step.step.node_id, step.reading
    if node_id is None or reading is None or value is None or value not in {each.value for each in step.step.options}:
        return None
    path = passed(before)
    meant = Reading(kind="mapped", values=(value,), text=reading.text)
    return walk.step(walk.after(path, node_id, meant), [*path, Passed(node_id=node_id, kind="mapped")])


def passed(before: Sequence[SessionStep]) -> list[Passed]:
    """The way within the playbook that is followed now: another one was chosen, and nothing of it counts any more."""
    begun = max((at + 1 for at, each in enumerate(before) if each.step.step_type == "choose_playbook"), default=0)
    return [
        Passed(node_id=each.step.node_id, kind=each.reading.kind, is_unclear=each.is_unclear)
        for each in before[begun:]
        if each.reading is not None and each.step.node_id is not None
    ]


def _chosen(guidance: Guidance, reading: Reading) -> Following:
    if reading.kind != "mapped" or reading.values[0] == NONE_OF_THESE:
        return _by_hand(guidance)
    key = reading.values[0]
    if key not in guidance.playbooks:
        raise InvalidError("This playbook is no longer there", code="unknown_option", field="option_value")
    return opened_with(guidance, key)


def _by_hand(guidance: Guidance) -> Following:
    return Following(step=None if guidance.has_model else manual_step())
