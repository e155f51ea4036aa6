"""What a person is asked or told next: a step, whether a playbook, a model or the house has it to say (7.1)."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

import msgspec

from workbench.domain.playbooks.confidence import Tier
from workbench.domain.playbooks.matching import Candidate
from workbench.domain.playbooks.model import PLACEHOLDER, Node, NodeType, Playbook, ResolutionAction, Risk, Urgency

StepType = NodeType | Literal["choose_playbook", "briefing", "manual"]
Source = Literal["playbook", "model", "system"]
Suggestion = Literal["resolve", "escalate"]
SourceKind = Literal["playbook", "session", "turn", "upload"]

NONE_OF_THESE = "none_of_these"
"""No playbook can have this key, which has an underscore."""
ACKNOWLEDGED = "acknowledged"

CHOOSING = "Several playbooks may fit. Which one describes the problem?"
MANUAL = (
    "No playbook goes on from here. Write down what you do and what comes of it. "
    "Resolve the session when the problem is solved, or escalate it."
)
BRIEFING = "Read what was found so far, then go on."
CHOICE_NEEDED = "This could not be matched to one of the options. Please choose one."
GOES_ROUND = "The steps of the playbook repeat themselves without success"

_FREE_TEXT_TYPES: frozenset[StepType] = frozenset({"question", "multi", "resolution", "escalation"})
"""Here a text is taken even where the playbook does not foresee one: it may name an option, or lead out of the playbook."""


class StepOption(msgspec.Struct, frozen=True, kw_only=True):
    """One of the answers that a step offers."""

    label: str
    value: str
    followup_hint: str | None = None


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """What the step of a model goes by: a playbook by its key, all else by its id."""

    kind: SourceKind
    id: str


class NearPlaybook(msgspec.Struct, frozen=True, kw_only=True):
    """A playbook that came near, by its key, and how near from 0 to 1."""

    key: str
    score: float


class LikeSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was found to be like another one, and why. The score orders those that were found together."""

    session_id: UUID
    score: float
    why: tuple[str, ...] = ()


class AtHand(msgspec.Struct, frozen=True, kw_only=True):
    """What was found for a step by hand, the best first: only what it is known by.

    Titles and texts are looked up for who reads the step, which may be somebody who must not see what another one found.
    """

    playbooks: tuple[NearPlaybook, ...] = ()
    sessions: tuple[LikeSession, ...] = ()


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step, before it has a place in a session. `node_id` is where in the playbook it stands."""

    step_type: StepType
    prompt: str
    source: Source
    node_id: str | None = None
    help: str | None = None
    risk: Risk = "none"
    is_client_safe: bool = False
    context: Mapping[str, Any] = {}
    context_message: str | None = None
    options: tuple[StepOption, ...] = ()
    allow_free_text: bool = False
    allow_skip: bool = False
    confidence_score: float | None = None
    confidence_tier: Tier | None = None
    suggestion: Suggestion | None = None
    draft: str | None = None
    """What a model would resolve or escalate the session with; what an author wrote is the prompt itself."""
    action: ResolutionAction | None = None
    urgency: Urgency | None = None
    citations: tuple[Citation, ...] = ()
    missing_inputs: tuple[str, ...] = ()
    """The inputs that the text would have shown, but that nobody gave."""
    at_hand: AtHand | None = None
    """Of a step by hand; those that were asked before it was kept have none. Never shown as it is."""


def playbook_step(playbook: Playbook, node_id: str, inputs: Mapping[str, str]) -> Step:
    """The step of a node, with what the intake told in the place of `{names}`; its confidence is told by others."""
    node = playbook.nodes[node_id]
    texts = [node.prompt, node.help or "", *(choice.hint or "" for choice in node.choices)]
    named = dict.fromkeys(name for text in texts for name in PLACEHOLDER.findall(text))
    hints = [filled(choice.hint, inputs) for choice in node.choices]
    return Step(
        step_type=node.type,
        prompt=filled(node.prompt, inputs) or "",
        source="playbook",
        node_id=node_id,
        help=filled(node.help, inputs),
        risk=node.risk,
        is_client_safe=node.client_safe,
        options=tuple(
            StepOption(label=choice.label, value=choice.value, followup_hint=hint)
            for choice, hint in zip(node.choices, hints, strict=True)
        ),
        allow_free_text=node.type in _FREE_TEXT_TYPES or node.free_text is not None,
        allow_skip=node.skip is not None,
        suggestion=_suggestion(node),
        action=node.action,
        urgency=node.urgency,
        missing_inputs=tuple(name for name in named if not inputs.get(name)),
    )


def choosing_step(candidates: Sequence[Candidate]) -> Step:
    """Ask which playbook is meant; none of them is an answer too."""
    offered = (StepOption(label=each.title, value=each.key) for each in candidates)
    return Step(
        step_type="choose_playbook",
        prompt=CHOOSING,
        source="system",
        context={"candidates": told(candidates)},
        options=(*offered, StepOption(label="None of these", value=NONE_OF_THESE)),
        allow_free_text=True,
        confidence_score=candidates[0].score if candidates else None,
    )


def manual_step() -> Step:
    """Let the person go on by hand. It is sure of nothing; what may be of use is put to it before it is asked."""
    return Step(
        step_type="manual",
        prompt=MANUAL,
        source="system",
        allow_free_text=True,
    )


def briefing_step(packet: Mapping[str, Any], additional_context: str | None) -> Step:
    """Tell who takes over what was found so far."""
    return Step(
        step_type="briefing",
        prompt=BRIEFING,
        source="system",
        context={"packet": packet, "additional_context": additional_context},
        options=(StepOption(label="Continue", value=ACKNOWLEDGED),),
    )


def loop_step() -> Step:
    """Suggest to hand the problem on, since the playbook goes round in circles."""
    return Step(
        step_type="escalation",
        prompt=GOES_ROUND,
        source="system",
        allow_free_text=True,
        suggestion="escalate",
        urgency="normal",
    )


def told(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Candidates as people see them."""
    return [{"key": each.key, "title": each.title, "score": each.score} for each in candidates]


def filled(text: str | None, inputs: Mapping[str, str]) -> str | None:
    """A text with inputs in the place of their names; a missing one is left out, with the blank before it."""
    if text is None:
        return None
    whole = PLACEHOLDER.sub(lambda found: inputs.get(found[1], "\0"), text)
    return whole.replace(" \0", "").replace("\0 ", "").replace("\0", "")


def _suggestion(node: Node) -> Suggestion | None:
    if node.type == "resolution":
        return "resolve"
    return "escalate" if node.type == "escalation" else None
