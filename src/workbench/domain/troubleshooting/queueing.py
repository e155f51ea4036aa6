"""The queue of sessions that somebody is to take over: who comes first, and who has waited too long (5, 7.9)."""

from datetime import datetime, timedelta

import msgspec

from workbench.domain.errors import InvalidError
from workbench.domain.playbooks.model import Urgency
from workbench.domain.troubleshooting.access import Person
from workbench.domain.troubleshooting.model import Escalation, Session

RANK: dict[Urgency, int] = {"critical": 0, "high": 1, "normal": 2, "low": 3}
"""Which comes first; of the same urgency it is the one that waits longest."""
PATIENCE: dict[Urgency, timedelta] = {
    "critical": timedelta(minutes=15),
    "high": timedelta(minutes=60),
    "normal": timedelta(minutes=240),
    "low": timedelta(minutes=240),
}
"""After so long somebody is told that nobody has taken it."""


def queue_place(escalation: Escalation) -> tuple[int, datetime, str]:
    """What to sort by; no two are alike."""
    return RANK[escalation.urgency], escalation.requested_at, str(escalation.id)


def waiting_seconds(escalation: Escalation, now: datetime) -> int:
    """How long nobody has taken it."""
    return max(0, int((now - escalation.requested_at).total_seconds()))


def is_overdue(escalation: Escalation, now: datetime) -> bool:
    """Whether it has waited longer than its urgency allows."""
    return escalation.state == "open" and now >= escalation.requested_at + PATIENCE[escalation.urgency]


def alarmed(escalation: Escalation, now: datetime) -> Escalation:
    """It is told that nobody takes it."""
    return msgspec.structs.replace(escalation, alarmed_at=now)


def require_target(session: Session, target: Person | None) -> None:
    """Raise InvalidError `invalid_target` for who is unknown, does not work on sessions, or has this one already."""
    if target is None or not target.works or target.id == session.handler_id:
        raise InvalidError("This person cannot take the session over", code="invalid_target", field="target_user_id")
