"""How sessions and their steps are shown."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.participants.model import Participant
from workbench.domain.playbooks.matching import Candidate
from workbench.domain.playbooks.steps import Suggestion
from workbench.domain.troubleshooting.cases import named
from workbench.domain.troubleshooting.model import Session, SessionStep
from workbench.domain.troubleshooting.views import (
    ChatReply,
    Chatted,
    Colleague,
    ListedSession,
    NearCandidate,
    Progress,
    Responded,
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


def drafted(step: SessionStep | None) -> tuple[Suggestion | None, SuggestionDraft | None]:
    """What a step suggests."""
    asked = step.step if step else None
    if asked is None or asked.suggestion is None:
        return None, None
    if asked.suggestion == "resolve":
        return "resolve", SuggestionDraft(
            resolution_summary=asked.draft or asked.prompt, resolution_action=asked.action
        )
    return "escalate", SuggestionDraft(reason=asked.draft or asked.prompt, urgency=asked.urgency)


def responded(session: Session, answered_step_id: UUID, following: SessionStep | None) -> Responded:
    """What came of an answer."""
    suggestion, draft = drafted(following)
    return Responded(
        answered_step_id=answered_step_id,
        next_step=step_view(following) if following else None,
        session=progress(session),
        suggestion=suggestion,
        suggestion_draft=draft,
    )


def listed(session: Session, person_id: str, everyone: Sequence[Participant]) -> ListedSession:
    """A session as one person sees it in a list; `everyone` is in its conversation."""
    return ListedSession(**listed_fields(session, person_id, {each.id: each.name for each in everyone}))


def listed_fields(session: Session, person_id: str, names: Mapping[str, str]) -> dict[str, Any]:
    """The part of a detail that lists have too. Whoever may see a session and does not handle it only reads it."""
    done, ticket, is_owner = session.resolution, session.ticket, session.owner_id == person_id
    derived = {
        "intake_type": session.intake.type,
        "owner": _colleague(session.owner_id, names),
        "handler": _colleague(session.handler_id, names),
        "access": "act" if session.handler_id == person_id else "read",
        "session_rating": session.rating if is_owner else None,
        "session_feedback": session.feedback if is_owner else None,
        "resolution_summary": done.summary if done else None,
        "resolution_action": done.action if done else None,
        "root_cause": done.root_cause if done else None,
        "psa_ticket_id": ticket.id if ticket else None,
        "psa_connection_id": ticket.connection_id if ticket else None,
        "ticket_data": ticket.data if ticket else None,
    }
    return {name: derived.get(name, getattr(session, name, None)) for name in ListedSession.__struct_fields__}


def _colleague(person_id: str, names: Mapping[str, str]) -> Colleague:
    return Colleague(id=person_id, name=named(person_id, names))


def started(session: Session, candidates: Sequence[Candidate], first: SessionStep | None) -> Started:
    """A session as it has begun, with its first step where it has steps."""
    shown = {name: getattr(session, name) for name in Started.__struct_fields__ if hasattr(session, name)}
    near = [NearCandidate(key=each.key, title=each.title, score=each.score) for each in candidates]
    return Started(**shown, session_id=session.id, candidates=near, first_step=step_view(first) if first else None)


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
