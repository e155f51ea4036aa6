"""Models that write for sessions: what they are shown, what they write, and the ports by which they are asked.

Whatever they write is a proposal. It changes no status, posts nothing and runs nothing; whoever asks puts it into a form
that a session may have. What they are shown is masked, and cut to size, before it gets here.
"""

from collections.abc import AsyncGenerator
from typing import Literal, Protocol

import msgspec

from workbench.domain.playbooks.model import NodeType, Risk
from workbench.domain.playbooks.steps import Citation, SourceKind, StepOption
from workbench.domain.usage.accumulating import Accumulator


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A text that a model is shown, and may name as what it goes by."""

    kind: SourceKind
    id: str
    title: str
    text: str


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A step that was answered."""

    prompt: str
    answer: str
    outcome: str | None = None


class OpenQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a playbook whose options a person has not taken, and what they wrote instead."""

    prompt: str
    options: tuple[StepOption, ...]
    answer: str


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a session when its next step is to be written.

    `asked` is set where a text is to be understood: it may mean one of the options after all. `unwanted` are prompts
    that have been asked already.
    """

    report: str
    path: tuple[Passage, ...] = ()
    sources: tuple[Source, ...] = ()
    additional_context: str | None = None
    asked: OpenQuestion | None = None
    unwanted: tuple[str, ...] = ()


class Hypothesis(msgspec.Struct, frozen=True, kw_only=True):
    """What may be the cause, and how likely that is, from 0 to 1."""

    label: str
    likelihood: float


class WrittenStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step as a model wrote it. `confidence` is what the model claims; `meant_option`, what a text meant after all."""

    step_type: NodeType
    prompt: str
    confidence: float
    context_message: str | None = None
    options: tuple[StepOption, ...] = ()
    allow_free_text: bool = True
    allow_skip: bool = True
    risk: Risk = "none"
    problem_summary: str | None = None
    problem_domain: str | None = None
    hypotheses: tuple[Hypothesis, ...] = ()
    citations: tuple[Citation, ...] = ()
    resolution_draft: str | None = None
    escalation_draft: str | None = None
    meant_option: str | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that was said in a chat; `left` says that it was on a way that is not followed any more."""

    role: Literal["person", "assistant"]
    text: str
    left: bool = False


class Talk(msgspec.Struct, frozen=True, kw_only=True):
    """A chat about a problem, the message to be answered last. `picked` are the options of forks that a person picked."""

    report: str
    lines: tuple[Line, ...]
    sources: tuple[Source, ...] = ()
    picked: tuple[str, ...] = ()


class Suggested(msgspec.Struct, frozen=True, kw_only=True):
    """A question to be asked, or a thing to be done, that a model proposes; `id` tells it from others of the session."""

    id: str
    text: str


class Fork(msgspec.Struct, frozen=True, kw_only=True):
    """Ways that a model proposes to choose between."""

    label: str
    reason: str
    options: tuple[str, ...]


class WrittenReply(msgspec.Struct, frozen=True, kw_only=True):
    """A reply as a model wrote it."""

    content: str
    playbook_keys: tuple[str, ...] = ()
    """Of the playbooks that it was shown, those that would help."""
    actions: tuple[Suggested, ...] = ()
    questions: tuple[Suggested, ...] = ()
    fork: Fork | None = None


class Prose(msgspec.Struct, frozen=True, kw_only=True):
    """A text of the house that a model may put into better words, without losing a fact. `wishes` say how."""

    template: str
    wishes: str


class StepWriter(Protocol):
    """Models that write steps."""

    async def write(self, model: str, situation: Situation, spent: Accumulator) -> WrittenStep:
        """Have a model write the next step; each call, the failed ones too, is noted in `spent`. Raises ProviderError."""
        ...


class ChatResponder(Protocol):
    """Models that reply."""

    async def reply(self, model: str, talk: Talk, spent: Accumulator) -> WrittenReply:
        """Have a model reply; each call, the failed ones too, is noted in `spent`. Raises ProviderError."""
        ...


class ProsePolisher(Protocol):
    """Models that rephrase."""

    def polish(self, model: str, prose: Prose, spent: Accumulator) -> AsyncGenerator[str]:
        """Have a model rephrase, piece by piece; what it took is noted in `spent` at the end. Raises ProviderError."""
        ...
