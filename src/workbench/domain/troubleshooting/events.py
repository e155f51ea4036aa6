"""The events that sessions cause, in the log of their conversations: ids, statuses and numbers, never what was said.

What becomes of an escalation is told beside that to those who could take it over, who see nothing of the session yet.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from workbench.domain.events.model import NewEvent, NewWorkspaceEvent
from workbench.domain.events.ports import EventRecorder
from workbench.domain.tickets.model import Push
from workbench.domain.troubleshooting.access import addressees_of
from workbench.domain.troubleshooting.model import Escalation, Session, SessionStep
from workbench.domain.troubleshooting.queueing import waiting_seconds

EscalationNews = Literal["requested", "withdrawn", "cancelled", "picked_up", "overdue"]

_TOLD_IN_SESSION: dict[EscalationNews, str] = {
    "requested": "session.escalation.requested",
    "withdrawn": "session.escalation.withdrawn",
    "cancelled": "session.escalation.cancelled",
    "picked_up": "session.picked_up",
    "overdue": "session.escalation.overdue",
}


def session_changed(kind: str, session: Session, **data: Any) -> NewEvent:
    """Something became of a session; `kind` says what, such as `session.paused`. An end says how long and how far it was."""
    told: dict[str, Any] = {"id": str(session.id), "status": session.status, "handler_id": session.handler_id}
    if session.is_terminal:
        told |= {"step_count": session.step_count, "duration_seconds": session.duration_seconds}
    return NewEvent(conversation_id=session.conversation_id, type=kind, data={"session": told, **data})


def step_presented(session: Session, step: SessionStep) -> NewEvent:
    """Something is asked."""
    return session_changed("session.step.presented", session, step=_told(step))


def step_answered(session: Session, step: SessionStep) -> NewEvent:
    """It is answered."""
    return session_changed("session.step.answered", session, step=_told(step))


def tell_of_escalation(log: EventRecorder, news: EscalationNews, session: Session, escalation: Escalation) -> None:
    """A colleague was asked for, came, does not come, or is not needed any more: tell the session and the queue."""
    log.record(escalation_changed(_TOLD_IN_SESSION[news], session, escalation))
    log.record(queue_changed(news, session, escalation))


def queue_changed(news: EscalationNews, session: Session, escalation: Escalation) -> NewWorkspaceEvent:
    """The same for those in whose queue it stood: who, whom, how urgently and when, in ids."""
    told = {
        "id": str(escalation.id),
        "session_id": str(session.id),
        "state": escalation.state,
        "urgency": escalation.urgency,
        "requested_at": escalation.requested_at,
        **msgspec.structs.asdict(addressees_of(escalation)),
        "picked_up_by": escalation.picked_up_by,
        "alarmed_at": escalation.alarmed_at,
        "closed_at": escalation.closed_at,
    }
    return NewWorkspaceEvent(type=f"escalation.{news}", data={"escalation": told}, audience="engineers")


def escalation_changed(kind: str, session: Session, escalation: Escalation) -> NewEvent:
    """What the session is told of an escalation of it."""
    until = escalation.closed_at or escalation.alarmed_at or escalation.requested_at
    told = {
        "id": str(escalation.id),
        "state": escalation.state,
        "urgency": escalation.urgency,
        "waiting_seconds": waiting_seconds(escalation, until),
    }
    return session_changed(kind, session, escalation=told)


def push_changed(kind: str, session: Session, push: Push) -> NewEvent:
    """A note came to its ticket, or will not come there."""
    told = {"id": str(push.id), "kind": push.kind, "status": push.status, "error_code": push.error_code}
    return session_changed(kind, session, push=told)


def outputs_ready(session: Session, session_version: int, kinds: Sequence[str]) -> NewEvent:
    """What a resolved session leaves is made, as far as it could be."""
    return session_changed("session.outputs_ready", session, outputs={"version": session_version, "kinds": list(kinds)})


def _told(step: SessionStep) -> dict[str, Any]:
    place = {"id": str(step.id), "branch_id": str(step.branch_id), "step_order": step.step_order}
    return {
        **place,
        "step_type": step.step.step_type,
        "source": step.step.source,
        "confidence_tier": step.step.confidence_tier,
    }
