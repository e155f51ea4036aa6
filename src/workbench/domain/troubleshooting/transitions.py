"""What may become of a session, as a table, and every change that it allows (4).

A change makes new values; storing them is refused where somebody else stored a change since these were read.
"""

from datetime import datetime, timedelta
from typing import Literal, get_args

import msgspec

from workbench.domain.errors import ConflictError, ForbiddenError, InvalidError, StaleError
from workbench.domain.troubleshooting.access import Person, Standing, was_eligible
from workbench.domain.troubleshooting.model import (
    TERMINAL,
    WORKING,
    Escalation,
    Resolution,
    ResumeMode,
    Session,
    SessionStatus,
    Ticket,
)

Action = Literal[
    "respond",
    "chat",
    "pause",
    "resume",
    "resolve",
    "escalate",
    "pickup",
    "withdraw-escalation",
    "abandon",
    "reopen",
    "delete",
    "link-ticket",
    "task-lane",
    "rate",
]
Who = Literal["handler", "owner", "eligible"]

ACTIONS: tuple[Action, ...] = get_args(Action)
STATUSES: tuple[SessionStatus, ...] = get_args(SessionStatus)
REOPENABLE = timedelta(days=7)
"""Unless settings say otherwise, and for what was resolved before they could."""
IDLE = timedelta(days=30)
LEASED_FOR = timedelta(seconds=120)
"""Longer than all models together may take."""
IDLE_REASON = "idle_timeout"
RATINGS = range(1, 6)


class Rule(msgspec.Struct, frozen=True):
    """From which statuses, and by whom."""

    sources: frozenset[SessionStatus]
    who: Who = "handler"


_UNFINISHED: frozenset[SessionStatus] = frozenset(STATUSES) - TERMINAL
_IN_HAND: frozenset[SessionStatus] = frozenset({"active", "escalated", "paused"})
IDLING = _IN_HAND
"""An escalation that nobody picks up is told of, and never dropped."""

TABLE: dict[Action, Rule] = {
    "respond": Rule(WORKING),
    "chat": Rule(WORKING),
    "pause": Rule(WORKING),
    "resume": Rule(frozenset({"paused"})),
    "resolve": Rule(_IN_HAND),
    "escalate": Rule(_IN_HAND),
    "pickup": Rule(frozenset({"requesting_escalation"}), "eligible"),
    "withdraw-escalation": Rule(frozenset({"requesting_escalation"})),
    "abandon": Rule(_UNFINISHED),
    "reopen": Rule(frozenset({"resolved"})),
    "delete": Rule(frozenset(STATUSES), "owner"),
    "link-ticket": Rule(_UNFINISHED),
    "task-lane": Rule(_UNFINISHED),
    "rate": Rule(TERMINAL, "owner"),
}


def is_legal(session: Session, action: Action, now: datetime) -> bool:
    """Whether the session's state allows an action, whoever acts."""
    if session.status not in TABLE[action].sources or not fits_type(session, action):
        return False
    if action == "reopen":
        until = session.reopenable_until or (session.resolved_at and session.resolved_at + REOPENABLE)
        return until is not None and now <= until
    if action == "delete":
        is_own = session.handler_id == session.owner_id and session.status != "requesting_escalation"
        return session.is_terminal or is_own
    return True


def fits_type(session: Session, action: Action) -> bool:
    """Whether such a session has this action at all: one is answered, in the other one writes."""
    return action not in {"respond", "chat"} or (action == "chat") == (session.session_type == "chat")


def allowed_actions(session: Session, standing: Standing, person: Person, now: datetime) -> list[Action]:
    """What a person may do now."""
    by_whom = {
        "handler": standing.is_handler and person.works,
        "owner": standing.is_owner,
        "eligible": standing.may_pick_up,
    }
    return [action for action in ACTIONS if by_whom[_who(action)] and is_legal(session, action, now)]


def require_allowed(session: Session, action: Action, standing: Standing, person: Person, now: datetime) -> None:
    """Raise ConflictError for what the state does not allow, with what it allows this person instead.

    That they may act at all is for the caller to have asked: `escalation_open` keeps somebody else's work from being
    deleted, `wrong_session_type` tells an answer from a chat, and all else is `illegal_transition`.
    """
    if is_legal(session, action, now):
        return
    extra = {
        "status": session.status,
        "action": action,
        "allowed_actions": allowed_actions(session, standing, person, now),
    }
    if not fits_type(session, action):
        raise ConflictError(f"This is a {session.session_type} session", code="wrong_session_type", extra=extra)
    if action == "delete":
        raise ConflictError("A colleague works on this session or is to", code="escalation_open", extra=extra)
    raise ConflictError(
        f"A session that is {session.status} does not allow this", code="illegal_transition", extra=extra
    )


def _who(action: Action) -> Who:
    return TABLE[action].who


def touched(session: Session, now: datetime) -> Session:
    """Something happened in it."""
    return msgspec.structs.replace(session, last_activity_at=now)


def leased(session: Session, key: str, now: datetime) -> Session:
    """A model is at work on what comes next, for whoever has the key."""
    return msgspec.structs.replace(session, lease_key=key, lease_until=now + LEASED_FOR)


def freed(session: Session) -> Session:
    """None is any more, or what it writes is not waited for."""
    return msgspec.structs.replace(session, lease_key=None, lease_until=None)


def paused(session: Session, now: datetime) -> Session:
    """Put it aside; the step that is open stays open."""
    return msgspec.structs.replace(touched(session, now), status="paused", resume_status=session.status)


def resumed(session: Session, now: datetime) -> Session:
    """Go on where it was put aside, in a colleague's hands too."""
    return msgspec.structs.replace(touched(session, now), status=session.resume_status or "active", resume_status=None)


def resolved(session: Session, resolution: Resolution, now: datetime, reopenable: timedelta = REOPENABLE) -> Session:
    """The problem is solved; for some time to come it can be said that it is not."""
    return msgspec.structs.replace(
        touched(session, now),
        status="resolved",
        resume_status=None,
        resolution=resolution,
        resolved_at=now,
        reopenable_until=now + reopenable,
        closed_at=now,
    )


def escalated(session: Session, escalation: Escalation) -> Session:
    """Ask for a colleague; it stays with its handler until one takes it."""
    working = session.status if session.status in WORKING else session.resume_status or "active"
    return msgspec.structs.replace(
        touched(session, escalation.requested_at), status="requesting_escalation", resume_status=working
    )


def require_pickup(
    session: Session, person: Person, standing: Standing, latest: Escalation | None, now: datetime, handler: str
) -> None:
    """Let those pass whom the open escalation is meant for.

    Those who come a moment too late are told by ConflictError `already_picked_up`, with the display name of the handler.
    For all others who may not see the session there is none: NotFoundError; who may see it gets ForbiddenError
    `not_eligible`, or ConflictError `illegal_transition` where nobody is asked for. Stale where somebody acted meanwhile.
    """
    is_late = latest is not None and was_eligible(session, person, latest, now)
    if standing.may_pick_up:
        return
    if is_late and latest is not None and latest.state == "picked_up":
        raise ConflictError(
            f"{handler} has taken this session over", code="already_picked_up", extra={"handler": handler}
        )
    if is_late and latest is not None and latest.state != "open" and session.status == "requesting_escalation":
        # The session was read before somebody's commit, the escalation after it.
        raise StaleError
    if not is_late:
        standing.require_seen()
    require_allowed(session, "pickup", standing, person, now)
    raise ForbiddenError("This session is not for you to take over", code="not_eligible")


def picked_up(
    session: Session, escalation: Escalation, by: str, mode: ResumeMode, context: str | None, now: datetime
) -> tuple[Session, Escalation]:
    """A colleague takes it over."""
    taken = msgspec.structs.replace(touched(session, now), status="escalated", resume_status=None, handler_id=by)
    closed = msgspec.structs.replace(
        escalation,
        state="picked_up",
        picked_up_by=by,
        resume_mode=mode,
        additional_context=context,
        closed_at=now,
    )
    return taken, closed


def withdrawn(session: Session, escalation: Escalation, now: datetime) -> tuple[Session, Escalation]:
    """Its handler goes on after all."""
    closed = msgspec.structs.replace(escalation, state="withdrawn", closed_at=now)
    return resumed(session, now), closed


def abandoned(
    session: Session, escalation: Escalation | None, reason: str | None, now: datetime
) -> tuple[Session, Escalation | None]:
    """Give it up. An escalation that is open is cancelled."""
    ended = msgspec.structs.replace(
        touched(session, now), status="abandoned", resume_status=None, abandon_reason=reason, closed_at=now
    )
    if escalation is not None and escalation.state == "open":
        return ended, msgspec.structs.replace(escalation, state="cancelled", closed_at=now)
    return ended, escalation


def idled(session: Session, now: datetime) -> Session:
    """Give it up because nothing happens in it."""
    return abandoned(session, None, IDLE_REASON, now)[0]


def is_idle(session: Session, now: datetime, after: timedelta = IDLE) -> bool:
    """Whether it is to be given up because nothing has happened in it for so long."""
    return session.status in IDLING and session.deleted_at is None and now >= session.last_activity_at + after


def reopened(session: Session, now: datetime) -> Session:
    """It was not solved after all, and is its last handler's again."""
    status: SessionStatus = "active" if session.handler_id == session.owner_id else "escalated"
    return msgspec.structs.replace(
        touched(session, now),
        status=status,
        resolution=None,
        resolved_at=None,
        reopenable_until=None,
        closed_at=None,
    )


def deleted(session: Session, now: datetime) -> Session:
    """Hide it from everyone at once; a job takes it away later."""
    return msgspec.structs.replace(session, deleted_at=now)


def linked(session: Session, ticket: Ticket, now: datetime) -> Session:
    """It belongs to a ticket."""
    return msgspec.structs.replace(touched(session, now), ticket=ticket)


def rated(session: Session, rating: int, feedback: str | None) -> Session:
    """Its owner says how good it was; said once more, the new word counts. Raises InvalidError."""
    if type(rating) is not int or rating not in RATINGS:
        raise InvalidError("rating must be a whole number from 1 to 5", code="validation_error", field="rating")
    return msgspec.structs.replace(session, rating=rating, feedback=feedback)
