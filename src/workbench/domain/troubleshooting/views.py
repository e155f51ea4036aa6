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
from workbench.domain.playbooks.steps import Source, StepOption, StepType, Suggestion
from workbench.domain.troubleshooting.lanes import Lane
from workbench.domain.troubleshooting.model import (
    Branch,
    Escalation,
    Intake,
    IntakeType,
    SessionStatus,
    SessionType,
)
from workbench.domain.troubleshooting.transitions import Action


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
    citations: Sequence[Mapping[str, Any]] = ()
    answer: Reading | None = None
    answered_at: datetime | None = None
    answered_by: str | None = None
    note: str | None = None
    is_superseded: bool = False
    prompt_message_id: UUID | None = None
    answer_message_id: UUID | None = None


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


class NearCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """A playbook that may fit."""

    key: str
    title: str
    score: float


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A session that has begun."""

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
    first_step: StepView
    version: int


class ListedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session in a list. The rating is its owner's alone."""

    id: UUID
    session_type: SessionType
    title: str | None
    status: SessionStatus
    intake_type: IntakeType
    problem_summary: str | None
    problem_domain: str | None
    confidence_tier: Tier | None
    step_count: int
    owner_id: str
    handler_id: str
    conversation_id: UUID
    session_rating: int | None
    matched_flow_id: UUID | None
    match_score: float | None
    resolution_summary: str | None
    resolution_action: ResolutionAction | None
    is_branching: bool
    created_at: datetime
    last_activity_at: datetime
    resolved_at: datetime | None
    version: int


class SessionList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of sessions, the newest first; `total` is there for who asked for it."""

    items: list[ListedSession]
    next_cursor: str | None = None
    total: int | msgspec.UnsetType = msgspec.UNSET


class Colleague(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody, by id and display name."""

    id: str
    name: str


class SessionDetail(ListedSession, frozen=True, kw_only=True):
    """A session with all that belongs to it, as one person may see it."""

    intake_content: Intake
    owner: Colleague
    handler: Colleague
    access: Literal["read", "act"]
    allowed_actions: list[Action]
    escalation_reason: str | None
    abandon_reason: str | None
    session_feedback: str | None
    root_cause: str | None
    active_branch_id: UUID | None
    branches: Sequence[Branch]
    steps: list[StepView]
    escalations: Sequence[Escalation]
    conversation_messages: list[Message]
    pending_task_lane: Lane | None
    task_lane_rev: int


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is resolved, with the notes for its ticket."""

    session_id: UUID
    status: SessionStatus
    resolved_at: datetime | None
    step_count: int
    duration_seconds: int
    ticket_notes: str
    version: int
    psa_push_status: Literal["not_linked"] = "not_linked"


class Escalated(msgspec.Struct, frozen=True, kw_only=True):
    """A session that waits for a colleague, and what the colleague is told."""

    session_id: UUID
    status: SessionStatus
    escalation_id: UUID
    packet: Mapping[str, Any]
    step_count: int
    duration_seconds: int
    version: int


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
