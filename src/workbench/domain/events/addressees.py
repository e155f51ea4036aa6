"""For whom an event is that only some of those who work on sessions may know of; it says so itself.

So nothing has to be looked up when it is handed out, and what it says is as old as the event, on every replica.
"""

from collections.abc import Set as AbstractSet
from functools import lru_cache

import msgspec

from workbench.domain.events.model import Event
from workbench.domain.identity.model import Principal

REMEMBERED = 64


class Addressees(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked to take something over: one colleague, a team, or whoever works on sessions; never who asks."""

    requested_by: str
    target_user_id: str | None = None
    team_id: str | None = None

    def include(self, user_id: str, team_ids: AbstractSet[str]) -> bool:
        """Whether somebody who works on sessions is one of them."""
        if user_id == self.requested_by:
            return False
        if self.target_user_id is not None:
            return user_id == self.target_user_id
        return self.team_id is None or self.team_id in team_ids


class EscalationData(msgspec.Struct, frozen=True):
    """The data of events for engineers, as far as it says for whom they are."""

    escalation: Addressees


def is_meant_for(event: Event, principal: Principal) -> bool:
    """Whether a user may know of what happened outside conversations."""
    if event.audience != "engineers":
        return True
    return principal.works_on_sessions and _addressees(event).include(principal.id, principal.team_ids)


@lru_cache(REMEMBERED)
def _addressees(event: Event) -> Addressees:
    return msgspec.json.decode(event.data, type=EscalationData).escalation
