"""The way through a playbook: where an answer leads, and what is asked there (7.4, 7.5).

Nothing is remembered: the way is what was answered so far on a branch, as it is stored. So whoever goes on, on whatever
machine, goes on at the same place.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from workbench.domain.errors import ConflictError
from workbench.domain.playbooks.answers import AnswerKind, Reading
from workbench.domain.playbooks.confidence import Thresholds, playbook_confidence
from workbench.domain.playbooks.model import Node, Playbook
from workbench.domain.playbooks.steps import CHOICE_NEEDED, Step, loop_step, manual_step, playbook_step

MAX_STEPS = 200


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """A step that was answered. `node_id` is None where it was none of the playbook."""

    node_id: str | None
    kind: AnswerKind
    is_unclear: bool = False
    """Whether it was asked once more, because nothing followed from the text."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """Where an answer leads.

    `node`: to a node. `unclear`: to the same one, or to a model, for the text means none of the options. `gave_out`: the
    playbook has nothing more to say. `looped`: it would go round once too often.
    """

    kind: Literal["node", "unclear", "gave_out", "looped"]
    node_id: str | None = None


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """A playbook that is followed. `match` is how well it fitted; `inputs` is what the intake told."""

    playbook: Playbook
    match: float
    inputs: Mapping[str, str] = {}
    thresholds: Thresholds = Thresholds()

    def first(self) -> Step:
        """The step that it begins with."""
        return self._step_at(self.playbook.start, ())

    def after(self, path: Sequence[Passed], node_id: str, reading: Reading) -> Arrival:
        """Where an answer to a node leads, after the steps before it. Raises ConflictError `step_limit`."""
        require_room(len(path) + 1)
        node = self.playbook.nodes[node_id]
        if node.is_terminal:
            return Arrival(kind="gave_out")
        if reading.kind == "free_text" and node.free_text is None:
            return Arrival(kind="unclear", node_id=node_id)
        target = self._target(node_id, node, reading)
        passed = (*path, Passed(node_id=node_id, kind=reading.kind))
        return self._arrival(target, passed) if target else Arrival(kind="gave_out")

    def step(self, arrival: Arrival, path: Sequence[Passed]) -> Step:
        """What is asked where an answer has led, without a model; `path` ends with that answer."""
        if arrival.kind == "looped":
            return loop_step()
        if arrival.node_id is None:
            return manual_step()
        step = self._step_at(arrival.node_id, path)
        return msgspec.structs.replace(step, context_message=CHOICE_NEEDED) if arrival.kind == "unclear" else step

    def _step_at(self, node_id: str, path: Sequence[Passed]) -> Step:
        authored = self.playbook.nodes[node_id].confidence
        mapped = sum(passed.kind == "mapped" for passed in path)
        score = playbook_confidence(self.match, mapped=mapped, detours=len(path) - mapped)
        told = score if authored is None else authored
        step = playbook_step(self.playbook, node_id, self.inputs)
        return msgspec.structs.replace(step, confidence_score=told, confidence_tier=self.thresholds.tier(told))

    def _target(self, node_id: str, node: Node, reading: Reading) -> str | None:
        if reading.kind == "skipped":
            named = node.skip.next if node.skip else None
            return named or self.playbook.node_after(node_id)
        if reading.kind == "free_text":
            return node.free_text.next if node.free_text else None
        return node.next or next(choice.next for choice in node.choices if choice.value == reading.values[0])

    def _arrival(self, target: str, passed: Sequence[Passed]) -> Arrival:
        """The target, or what its author has foreseen for those who come by too often."""
        refused: set[str] = set()
        while visits(passed, target) >= self.playbook.nodes[target].visits_allowed:
            refused.add(target)
            following = self.playbook.nodes[target].on_loop
            if following is None or following in refused:
                return Arrival(kind="looped")
            target = following
        return Arrival(kind="node", node_id=target)


def visits(path: Sequence[Passed], node_id: str) -> int:
    """How often one came to a node. To be asked once more is no coming."""
    return sum(passed.node_id == node_id and not passed.is_unclear for passed in path)


def require_room(steps: int) -> None:
    """Raise ConflictError `step_limit` where a session has as many steps as it may."""
    if steps >= MAX_STEPS:
        raise ConflictError(
            f"A session has at most {MAX_STEPS} steps", code="step_limit", extra={"limit_steps": MAX_STEPS}
        )
