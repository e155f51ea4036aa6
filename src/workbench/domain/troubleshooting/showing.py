"""How sessions and their steps are shown."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from workbench.domain.messages.model import Message
from workbench.domain.playbooks.matching import Candidate
from workbench.domain.playbooks.steps import Step, Suggestion
from workbench.domain.troubleshooting.access import Person, standing
from workbench.domain.troubleshooting.cases import generation_state, named
from workbench.domain.troubleshooting.known import former_handlers
from workbench.domain.troubleshooting.lanes import Lane
from workbench.domain.troubleshooting.model import Session, SessionStep
from workbench.domain.troubleshooting.outlining import Outline
from workbench.domain.troubleshooting.ticket_notes import push_status
from workbench.domain.troubleshooting.transitions import allowed_actions
from workbench.domain.troubleshooting.views import (
    ChatReply,
    Chatted,
    Colleague,
    ListedSession,
    NearCandidate,
    Progress,
    SessionDetail,
    Started,
    StepContent,
    StepView,
    SuggestionDraft,
)
from workbench.domain.usage.model import UsageSummary


def step_view(step: SessionStep) -> StepView:
    """A step as it is shown."""
    asked = step.step
    return StepView(
        step_id=step.id,
        step_order=step.step_order,
        branch_id=step.branch_id,
        step_type=asked.step_type,
        content=StepContent(prompt=asked.prompt, help=asked.help, risk=asked.risk, context=asked.context),
        context_message=asked.context_message,
        options=asked.options,
        allow_free_text=asked.allow_free_text,
        allow_skip=asked.allow_skip,
        confidence_tier=asked.confidence_tier,
        confidence_score=asked.confidence_score,
        source=asked.source,
        citations=asked.citations,
        answer=step.reading,
        answered_at=step.answered_at,
        answered_by=step.answered_by,
        note=step.note,
        missing_inputs=asked.missing_inputs,
        is_superseded=step.superseded_by is not None,
        prompt_message_id=step.prompt_message_id,
        answer_message_id=step.answer_message_id,
    )


def progress(session: Session) -> Progress:
    """How far a session is."""
    return Progress(**{name: getattr(session, name) for name in Progress.__struct_fields__})


def drafted(asked: Step) -> tuple[Suggestion | None, SuggestionDraft | None]:
    """What a step suggests."""
    if asked.suggestion is None:
        return None, None
    if asked.suggestion == "resolve":
        return "resolve", SuggestionDraft(
            resolution_summary=asked.draft or asked.prompt, resolution_action=asked.action
        )
    return "escalate", SuggestionDraft(reason=asked.draft or asked.prompt, urgency=asked.urgency)


def listed(outline: Outline, person: Person, now: datetime) -> ListedSession:
    """A session as one person, who may see it, sees it in a list."""
    return ListedSession(**_outlined(outline, person, now), intake_content=outline.session.intake.head)


def detailed(
    outline: Outline,
    person: Person,
    now: datetime,
    *,
    steps: list[StepView],
    messages: list[Message],
    lane: Lane | None,
) -> SessionDetail:
    """The same with all that belongs to it. The lane is told to those alone whose work it is."""
    session = outline.session
    return SessionDetail(
        **_outlined(outline, person, now),
        intake_content=session.intake,
        steps=steps,
        conversation_messages=messages,
        pending_task_lane=lane if _may_see_lane(session, person) else None,
    )


def _may_see_lane(session: Session, person: Person) -> bool:
    return person.id in {session.owner_id, session.handler_id}


def _outlined(outline: Outline, person: Person, now: datetime) -> dict[str, Any]:
    """What lists and details tell alike. Whoever may see a session and does not handle it only reads it."""
    session, escalations = outline.session, outline.escalations
    latest = escalations[-1] if escalations else None
    stands = standing(session, person, latest, former_handlers(escalations))
    done, ticket = session.resolution, session.ticket
    derived = {
        "intake_type": session.intake.type,
        "owner": _colleague(session.owner_id, outline.names),
        "handler": _colleague(session.handler_id, outline.names),
        "access": "act" if stands.is_handler else "read",
        "allowed_actions": allowed_actions(session, stands, person, now),
        "escalation_reason": latest.reason if latest else None,
        "escalations": escalations,
        "branches": outline.branches,
        "generation": generation_state(session, now, is_waiting=outline.is_waiting),
        "task_lane_rev": outline.lane_rev if _may_see_lane(session, person) else 0,
        "psa_push_status": push_status(session, outline.pushed),
        "session_rating": session.rating if stands.is_owner else None,
        "session_feedback": session.feedback if stands.is_owner else None,
        "resolution_summary": done.summary if done else None,
        "resolution_action": done.action if done else None,
        "root_cause": done.root_cause if done else None,
        "psa_ticket_id": ticket.id if ticket else None,
        "psa_connection_id": ticket.connection_id if ticket else None,
        "ticket_data": ticket.data if ticket else None,
    }
    names = (name for name in ListedSession.__struct_fields__ if name != "intake_content")
    return {name: derived[name] if name in derived else getattr(session, name) for name in names}


def _colleague(person_id: str, names: Mapping[str, str]) -> Colleague:
    return Colleague(id=person_id, name=named(person_id, names))


def started(session: Session, candidates: Sequence[Candidate], first: StepView | None) -> Started:
    """A session as it has begun, with its first step where it has steps."""
    shown = {name: getattr(session, name) for name in Started.__struct_fields__ if hasattr(session, name)}
    near = [NearCandidate(key=each.key, title=each.title, score=each.score) for each in candidates]
    return Started(**shown, session_id=session.id, candidates=near, first_step=first)


def chatted(
    session: Session,
    turn_id: str,
    reply: ChatReply,
    *,
    unread_uploads: Sequence[str] = (),
    usage: UsageSummary | None = None,
) -> Chatted:
    """A reply with the turn that it is of."""
    return Chatted(
        **msgspec.structs.asdict(reply),
        turn_id=turn_id,
        session=progress(session),
        usage=usage if usage is not None else msgspec.UNSET,
        unread_uploads=unread_uploads,
    )
