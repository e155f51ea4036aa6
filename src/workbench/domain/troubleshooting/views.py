"""Sessions as callers see them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from workbench.domain.messages.model import Message
from workbench.domain.playbooks.answers import Reading
from workbench.domain.playbooks.confidence import Tier
from workbench.domain.playbooks.model import ResolutionAction, Risk, Urgency
from workbench.domain.playbooks.steps import Citation, Source, StepOption, StepType, Suggestion
from workbench.domain.tickets.model import PushStatus
from workbench.domain.troubleshooting.cases import GenerationState
from workbench.domain.troubleshooting.lanes import Lane, Question, Task
from workbench.domain.troubleshooting.model import (
    Branch,
    Escalation,
    Intake,
    IntakeHead,
    IntakeType,
    SessionStatus,
    SessionType,
)
from workbench.domain.troubleshooting.outcomes import NotPushed, OutputInProgress
from workbench.domain.troubleshooting.transitions import Action
from workbench.domain.usage.model import UsageSummary


class StepContent(msgspec.Struct, frozen=True, kw_only=True):
    """What a step says. `context` is what a step of the house shows besides, such as the candidates to choose from."""

    prompt: str
    help: str | None
    risk: Risk
    context: Mapping[str, Any]


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """A step. Without an answer it is open, unless another took its place (`is_superseded`)."""

    step_id: UUID
    step_order: int
    branch_id: UUID
    step_type: StepType
    content: StepContent
    context_message: str | None
    options: Sequence[StepOption]
    allow_free_text: bool
    allow_skip: bool
    confidence_tier: Tier | None
    confidence_score: float | None
    source: Source
    citations: Sequence[Citation] = ()
    answer: Reading | None = None
    answered_at: datetime | None = None
    answered_by: str | None = None
    note: str | None = None
    missing_inputs: Sequence[str] = ()
    """What the playbook would have shown of the intake, and nobody told."""
    is_superseded: bool = False
    prompt_message_id: UUID | None = None
    answer_message_id: UUID | None = None


FallbackReason = Literal["quota", "provider"]
"""Why there is a step of the house where a model was to write one: its allowance is used up, or it failed."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a session is."""

    status: SessionStatus
    confidence_tier: Tier | None
    confidence_score: float | None
    step_count: int
    active_branch_id: UUID | None
    is_branching: bool
    version: int


class SuggestionDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What a step suggests to resolve the session with, or to escalate it for; it is for a person to do so."""

    resolution_summary: str | None = None
    resolution_action: ResolutionAction | None = None
    reason: str | None = None
    urgency: Urgency | None = None


class Responded(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an answer."""

    answered_step_id: UUID
    next_step: StepView | None
    session: Progress
    suggestion: Suggestion | None = None
    suggestion_draft: SuggestionDraft | None = None
    fallback_reason: FallbackReason | None = None
    unread_uploads: Sequence[str] = ()
    """The uploads that came with the answer, and that the model which wrote the next step could not be shown."""


class SuggestedFlow(msgspec.Struct, frozen=True, kw_only=True):
    """A playbook that may help; a guided session can be begun with its id."""

    playbook_id: UUID
    title: str
    score: float


class Fork(msgspec.Struct, frozen=True, kw_only=True):
    """Several ways that a chat could go on, and why. A person picks one with `fork` of what they write next."""

    label: str
    reason: str
    options: Sequence[str]


class ChatReply(msgspec.Struct, frozen=True, kw_only=True):
    """What is replied in a chat. Tasks and questions come into the task lane only where a client stores it with them."""

    content: str
    suggested_flows: Sequence[SuggestedFlow] = ()
    fork: Fork | msgspec.UnsetType = msgspec.UNSET
    actions: Sequence[Task] = ()
    questions: Sequence[Question] = ()


class SolvedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is like what was said, and how it was solved."""

    session_id: UUID
    title: str | None
    resolution: str


class Chatted(ChatReply, frozen=True, kw_only=True):
    """A reply and the turn that it is of, with what a model took for it, where one was asked."""

    turn_id: str
    session: Progress
    usage: UsageSummary | msgspec.UnsetType = msgspec.UNSET
    similar: Sequence[SolvedSession] = ()
    """What the caller may know of and is like it, where no model replies; the conversation does not tell of it."""
    unread_uploads: Sequence[str] = ()
    """The uploads that came with what was said, and that nobody but people has read."""


class NearCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """A playbook that may fit."""

    key: str
    title: str
    score: float


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A session that has begun. A chat has no steps."""

    session_id: UUID
    session_type: SessionType
    status: SessionStatus
    title: str | None
    conversation_id: UUID
    problem_summary: str | None
    problem_domain: str | None
    confidence_tier: Tier | None
    confidence_score: float | None
    matched_flow_id: UUID | None
    match_score: float | None
    candidates: Sequence[NearCandidate]
    first_step: StepView | None
    version: int
    fallback_reason: FallbackReason | None = None


class Colleague(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody, by id and display name."""

    id: str
    name: str


class ListedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session in a list, as one person may see it. Rating and feedback are its owner's alone.

    It is what the session itself shows, but for the text of the intake, the steps, what was said, and the task lane.
    """

    id: UUID
    session_type: SessionType
    title: str | None
    status: SessionStatus
    intake_type: IntakeType
    intake_content: IntakeHead
    problem_summary: str | None
    problem_domain: str | None
    confidence_tier: Tier | None
    confidence_score: float | None
    step_count: int
    owner_id: str
    handler_id: str
    owner: Colleague
    handler: Colleague
    access: Literal["read", "act"]
    allowed_actions: list[Action]
    """What the reader may do with it now."""
    conversation_id: UUID
    session_rating: int | None
    session_feedback: str | None
    matched_flow_id: UUID | None
    match_score: float | None
    resolution_summary: str | None
    resolution_action: ResolutionAction | None
    root_cause: str | None
    abandon_reason: str | None
    escalation_reason: str | None
    """Of the newest escalation."""
    escalations: Sequence[Escalation]
    is_branching: bool
    active_branch_id: UUID | None
    branches: Sequence[Branch]
    psa_ticket_id: str | None
    psa_connection_id: UUID | None
    ticket_data: Mapping[str, Any] | None
    """What the ticket system says of the ticket; `verified` says whether it could be asked."""
    psa_push_status: PushStatus | NotPushed
    """How far the newest note to the ticket is."""
    task_lane_rev: int
    generation: GenerationState
    """Whether a model is at work on the next step, or failed to write one: then the last answer, sent again, asks again."""
    created_at: datetime
    last_activity_at: datetime
    resolved_at: datetime | None
    reopenable_until: datetime | None
    """So long a resolved session can be reopened."""
    version: int


class SessionList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of sessions, the newest first; `total` is there for who asked for it."""

    items: list[ListedSession]
    next_cursor: str | None = None
    total: int | msgspec.UnsetType = msgspec.UNSET


class SessionDetail(ListedSession, frozen=True, kw_only=True):
    """A session with all that belongs to it, as one person may see it."""

    intake_content: Intake
    steps: list[StepView]
    conversation_messages: list[Message]
    pending_task_lane: Lane | None


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is resolved, with the notes for its ticket."""

    session_id: UUID
    status: SessionStatus
    resolved_at: datetime | None
    step_count: int
    duration_seconds: int
    ticket_notes: str
    version: int
    psa_push_status: Literal["pending"] | NotPushed
    outputs: Sequence[OutputInProgress]


class Escalated(msgspec.Struct, frozen=True, kw_only=True):
    """A session that waits for a colleague, with what the colleague is told, and notes for its ticket."""

    session_id: UUID
    status: SessionStatus
    escalation_id: UUID
    packet: Mapping[str, Any]
    step_count: int
    duration_seconds: int
    ticket_notes: str
    version: int
    psa_push_status: Literal["pending"] | NotPushed


class QueuedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session that somebody is to take over."""

    session_id: UUID
    escalation_id: UUID
    title: str | None
    problem_summary: str | None
    problem_domain: str | None
    step_count: int
    reason: str
    urgency: Urgency
    requested_at: datetime
    waiting_seconds: int
    is_for_you: bool
    team_id: str | None
    packet: Mapping[str, Any]


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for a colleague: the most urgent first, of the same urgency what waits longest."""

    items: list[QueuedSession]
    next_cursor: str | None = None


class PickedUp(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was taken over: the briefing, and the step to go on with, which may be the briefing itself."""

    briefing: StepView
    next_step: StepView
    session: Progress
    suggestion: Suggestion | None = None
    suggestion_draft: SuggestionDraft | None = None
    fallback_reason: FallbackReason | None = None
