"""Who may do what with a session: one predicate, three levels (3).

Another workspace's sessions are not even read: whoever asks is bound to one workspace, and so is all that is read for them.
"""

from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from workbench.domain.errors import ForbiddenError, NotFoundError
from workbench.domain.events.addressees import Addressees
from workbench.domain.troubleshooting.model import Escalation, Session

Level = Literal["none", "read", "act"]

LATE_CLICK = timedelta(minutes=5)
"""So long after an escalation was closed those who could have picked it up are told that somebody else was faster."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. `works` says that they may work on sessions at all, which takes the permission `sessions.work`."""

    id: str
    works: bool
    team_ids: frozenset[str] = frozenset()


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is to a session. `level` is what they may see and do; the rest says why."""

    level: Level
    is_owner: bool = False
    is_handler: bool = False
    is_target: bool = False
    may_pick_up: bool = False
    """Whether they may take it over now; they may know of it then, though not see it."""

    def require_seen(self) -> None:
        """Raise NotFoundError, the same as for a session that is not there."""
        if self.level == "none":
            raise session_not_found()

    def require_act(self) -> None:
        """Let the handler pass. Raises NotFoundError, or ForbiddenError where they may see it."""
        self.require_seen()
        if self.level != "act":
            raise _refused(
                "pickup_required" if self.is_target else "not_handler", "Only who handles the session may do this"
            )

    def require_owner(self) -> None:
        """Let the owner pass. Raises NotFoundError, or ForbiddenError where they may see it."""
        self.require_seen()
        if not self.is_owner:
            raise _refused(
                "pickup_required" if self.is_target else "not_owner", "Only who opened the session may do this"
            )

    def require_documentation(self, *, for_handler: bool) -> None:
        """Let the owner pass, and the handler where a setting says so. To all others there is nothing: NotFoundError."""
        if not (self.is_owner or (for_handler and self.is_handler)):
            raise session_not_found()

    def require_reporting(self, session: Session) -> None:
        """Let those pass who may write a status update: the handler, and the owner once the session is over."""
        if not (self.is_owner and session.is_terminal):
            self.require_act()


def session_not_found() -> NotFoundError:
    """There is no such session, or it is not theirs to know."""
    return NotFoundError("There is no such session", code="session_not_found")


def require_work(person: Person) -> None:
    """Raise ForbiddenError `role_required` for those who do not work on sessions; decided before anything is looked up."""
    if not person.works:
        raise _refused("role_required", "This takes the permission sessions.work")


def standing(
    session: Session, person: Person, latest: Escalation | None, former_handlers: AbstractSet[str]
) -> Standing:
    """What a person is to a session, its latest escalation and those who handled it before."""
    if session.deleted_at is not None:
        return Standing(level="none")
    is_owner, is_handler = session.owner_id == person.id, session.handler_id == person.id
    is_open = latest is not None and latest.state == "open"
    is_target = is_open and latest is not None and latest.target_user_id == person.id
    level: Level = "read" if is_owner or is_target or person.id in former_handlers else "none"
    return Standing(
        level="act" if is_handler else level,
        is_owner=is_owner,
        is_handler=is_handler,
        is_target=is_target,
        may_pick_up=is_open and latest is not None and is_eligible(session, person, latest),
    )


def is_eligible(session: Session, person: Person, escalation: Escalation) -> bool:
    """Whether an escalation is meant for them: for its target alone, for a team, or for everyone who works on sessions."""
    has_it_already = person.id == session.handler_id and escalation.picked_up_by != person.id
    if not person.works or has_it_already:
        return False
    return addressees_of(escalation).include(person.id, person.team_ids)


def addressees_of(escalation: Escalation) -> Addressees:
    """For whom an escalation is."""
    return Addressees(
        requested_by=escalation.requested_by,
        target_user_id=escalation.target_user_id,
        team_id=escalation.team_id,
    )


def was_eligible(session: Session, person: Person, latest: Escalation, now: datetime) -> bool:
    """Whether they clicked on an escalation that was open a moment ago, and was meant for them too."""
    recent = latest.closed_at is not None and now <= latest.closed_at + LATE_CLICK
    return recent and is_eligible(session, person, latest)


def _refused(code: str, detail: str) -> ForbiddenError:
    return ForbiddenError(detail, code=code)
