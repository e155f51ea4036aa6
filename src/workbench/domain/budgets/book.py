"""What a process remembers of budgets, so that asking them costs little: who has no limits, and what was billed before.

Bills never change once their turn is settled, but for those of producers that were lost and come back, and what these
take besides is seen some minutes later.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

import msgspec

from workbench.domain.budgets.model import Limit, Scope
from workbench.domain.budgets.ports import Amounts, Counted, Part
from workbench.domain.clock import Clock

LOOK = timedelta(seconds=10)
"""How long a workspace without limits is believed to have none: so long another process's first limit may be unknown."""
RECENT = timedelta(minutes=15)
"""Bills are younger than this when they are stored, even where clocks differ."""
KNOWN_FOR = timedelta(minutes=5)
"""How long the sum of what is older is believed."""
MAX_REMEMBERED = 10_000

Place = tuple[str, Scope, str, datetime]
"""A workspace, a scope and a subject in it, and the beginning of a window."""


class BudgetPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What holds where nobody stored anything else, and where workspaces are.

    `workspace_defaults` are those of single workspaces, in the place of `defaults`.
    """

    defaults: Sequence[Limit] = ()
    workspace_defaults: Mapping[str, Sequence[Limit]] = {}
    zone: tzinfo = UTC
    zones: Mapping[str, tzinfo] = {}

    def defaults_of(self, workspace_id: str) -> Sequence[Limit]:
        """What holds in a workspace where nobody stored anything else."""
        return self.workspace_defaults.get(workspace_id, self.defaults)

    def zone_of(self, workspace_id: str) -> tzinfo:
        """Where the days of a workspace begin."""
        return self.zones.get(workspace_id, self.zone)


class Asked(msgspec.Struct, frozen=True):
    """What is to be summed up now, and what is known to have been billed before that in the same window."""

    place: Place
    part: Part
    earlier: Amounts = Amounts()


class LimitBook:
    """The policy, and what is remembered."""

    def __init__(self, policy: BudgetPolicy, clock: Clock) -> None:
        self.policy = policy
        self.clock = clock
        self._unlimited: dict[str, datetime] = {}
        self._sums: dict[Place, tuple[datetime, Amounts]] = {}

    def is_known_unlimited(self, workspace_id: str) -> bool:
        """Whether it was seen lately that nothing is stored."""
        seen = self._unlimited.get(workspace_id)
        return seen is not None and abs(self.clock.now() - seen) < LOOK

    def remember_unlimited(self, workspace_id: str) -> None:
        """Note that nothing is stored."""
        _make_room(self._unlimited)
        self._unlimited[workspace_id] = self.clock.now()

    def forget(self, workspace_id: str) -> None:
        """Look again next time."""
        self._unlimited.pop(workspace_id, None)

    def ask(self, place: Place, now: datetime) -> Asked:
        """Say what is to be summed up: all of the window, or what came behind that which is known."""
        _, scope, subject, since = place
        until, earlier = self._sums.get(place, (since, Amounts()))
        if until > since and until <= now - RECENT < until + KNOWN_FOR:
            return Asked(place, Part(scope=scope, subject=subject, since=until, until=until), earlier)
        return Asked(place, Part(scope=scope, subject=subject, since=since, until=max(since, now - RECENT)))

    def learn(self, asked: Asked, found: Counted) -> Counted:
        """Remember what was billed a while ago; answer with the sums over the whole window."""
        if asked.part.since < asked.part.until:
            _make_room(self._sums)
            self._sums[asked.place] = (asked.part.until, found.before)
        return Counted(
            used=found.used.plus(asked.earlier), before=found.before.plus(asked.earlier), reserved=found.reserved
        )


def _make_room(remembered: dict[Place, tuple[datetime, Amounts]] | dict[str, datetime]) -> None:
    if len(remembered) >= MAX_REMEMBERED:
        remembered.clear()
