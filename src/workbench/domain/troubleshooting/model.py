"""A session as it is kept, its steps, branches and escalations (specification of sessions, 2)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from workbench.domain.playbooks.answers import Reading
from workbench.domain.playbooks.confidence import Tier
from workbench.domain.playbooks.model import Outcome, Playbook, ResolutionAction, Urgency
from workbench.domain.playbooks.steps import Step

SessionType = Literal["guided", "chat"]
SessionStatus = Literal["active", "paused", "requesting_escalation", "escalated", "resolved", "abandoned"]
IntakeType = Literal["free_text", "ticket", "form", "alert", "email"]
BranchStatus = Literal["open", "dead_end", "chosen"]
EscalationState = Literal["open", "picked_up", "withdrawn", "cancelled"]
ResumeMode = Literal["continue", "review", "fresh"]
Scalar = str | int | float | bool | None

WORKING: frozenset[SessionStatus] = frozenset({"active", "escalated"})
TERMINAL: frozenset[SessionStatus] = frozenset({"resolved", "abandoned"})

MAX_SUMMARY = 4000
MAX_MINUTES = 7 * 24 * 60
"""Of work on one problem."""
MAX_CAUSE = 2000


class IntakeHead(msgspec.Struct, frozen=True, kw_only=True):
    """What was reported, but for its text. `fields` is what a form, an alert or a ticket told, the environment mostly."""

    type: IntakeType = "free_text"
    subject: str | None = None
    fields: dict[str, Scalar] = {}


class Intake(IntakeHead, frozen=True, kw_only=True):
    """What was reported."""

    text: str

    @property
    def head(self) -> IntakeHead:
        """All but the text."""
        return IntakeHead(type=self.type, subject=self.subject, fields=self.fields)


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """How the problem was solved."""

    summary: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_SUMMARY)]
    action: ResolutionAction
    root_cause: Annotated[str, msgspec.Meta(max_length=MAX_CAUSE)] | None = None
    time_spent_minutes: int | None = None


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """The ticket of another system that a session belongs to. `data` is what that system says of it, if it was asked."""

    id: str
    connection_id: UUID
    data: dict[str, Any] = {}


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session. `version` counts the changes that were stored; the owner never changes, the handler with a pickup."""

    id: UUID
    conversation_id: UUID
    owner_id: str
    handler_id: str
    session_type: SessionType
    intake: Intake
    created_at: datetime
    last_activity_at: datetime
    status: SessionStatus = "active"
    resume_status: SessionStatus | None = None
    """What it goes back to when it is resumed, or its escalation is withdrawn."""
    title: str | None = None
    problem_summary: str | None = None
    problem_domain: str | None = None
    confidence_score: float | None = None
    confidence_tier: Tier | None = None
    step_count: int = 0
    matched_flow_id: UUID | None = None
    playbook_version: int | None = None
    match_score: float | None = None
    is_branching: bool = False
    active_branch_id: UUID | None = None
    ticket: Ticket | None = None
    resolution: Resolution | None = None
    abandon_reason: str | None = None
    rating: int | None = None
    feedback: str | None = None
    resolved_at: datetime | None = None
    reopenable_until: datetime | None = None
    """So long it can be reopened, by what held when it was resolved."""
    closed_at: datetime | None = None
    deleted_at: datetime | None = None
    lease_key: str | None = None
    lease_until: datetime | None = None
    """Until then whoever has the key is having a model write the next step, and nobody else changes the session."""
    version: int = 0

    @property
    def is_terminal(self) -> bool:
        """Whether it is over."""
        return self.status in TERMINAL

    def is_leased(self, now: datetime) -> bool:
        """Whether a model is at work on what comes next."""
        return self.lease_until is not None and now < self.lease_until

    @property
    def duration_seconds(self) -> int:
        """How long it took until its end, or until now anything last happened in it."""
        return max(0, int(((self.closed_at or self.last_activity_at) - self.created_at).total_seconds()))


class SessionStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step that was asked. It is open until it is answered; what it was asked as, tier included, never changes."""

    id: UUID
    branch_id: UUID
    step_order: int
    step: Step
    asked_at: datetime
    answered_at: datetime | None = None
    answered_by: str | None = None
    reading: Reading | None = None
    is_unclear: bool = False
    note: str | None = None
    prompt_message_id: UUID | None = None
    answer_message_id: UUID | None = None
    superseded_by: UUID | None = None
    """The step that took its place before it was answered, when somebody took the session over."""

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer."""
        return not self.is_answered and self.superseded_by is None

    @property
    def is_answered(self) -> bool:
        """Whether there is an answer."""
        return self.reading is not None

    @property
    def is_work(self) -> bool:
        """Whether something was found out or done in it; a briefing that was read is neither."""
        return self.is_answered and self.step.step_type != "briefing"

    @property
    def answer_text(self) -> str:
        """The answer in words: what was written, or the labels of what was chosen; empty while there is none."""
        if self.reading is None:
            return ""
        if self.reading.text:
            return self.reading.text
        if self.reading.kind == "skipped":
            return "Skipped"
        labels = {option.value: option.label for option in self.step.options}
        return ", ".join(labels.get(value, value) for value in self.reading.values)

    @property
    def outcome(self) -> Outcome | None:
        """What came of an action, as far as this is one."""
        values = self.reading.values if self.reading and self.step.step_type == "action" else ()
        outcomes: dict[str, Outcome] = {"done": "done", "failed": "failed", "not_applicable": "not_applicable"}
        return outcomes.get(values[0]) if values else None


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """One way through the steps. It has those of its parent up to where it was forked, by reference.

    It is a `dead_end` where another way was taken and nothing waits for an answer, and `chosen` once it led to the end. In a
    chat it is a way that a reply proposed, and that somebody picked: `chosen` while it is followed.
    """

    id: UUID
    label: str
    created_at: datetime
    parent_branch_id: UUID | None = None
    forked_at_step_id: UUID | None = None
    """The parent's step that is answered anew."""
    status: BranchStatus = "open"


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """A playbook that a session follows, or followed on one of its branches: as it was when the session took it up.

    So whatever is published, put aside or shipped meanwhile, the session goes on with what it began with. `match` is how
    well it fitted the report.
    """

    playbook_id: UUID
    version: int
    match: float
    document: Playbook

    @property
    def key(self) -> str:
        """What answers name it by."""
        return self.document.key


class Escalation(msgspec.Struct, frozen=True, kw_only=True):
    """A request to take a session over.

    `closed_at` is when it was picked up, withdrawn or cancelled, `alarmed_at` when it was told that nobody takes it.
    """

    id: UUID
    requested_by: str
    reason: str
    requested_at: datetime
    urgency: Urgency = "normal"
    notes: str | None = None
    target_user_id: str | None = None
    team_id: str | None = None
    packet: Mapping[str, Any] = {}
    state: EscalationState = "open"
    picked_up_by: str | None = None
    resume_mode: ResumeMode | None = None
    additional_context: str | None = None
    closed_at: datetime | None = None
    alarmed_at: datetime | None = None
