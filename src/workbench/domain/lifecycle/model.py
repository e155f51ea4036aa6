"""For how long messages, files and events are kept: by default, in a workspace, in a conversation."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from workbench.domain.errors import InvalidError

MAX_DAYS = 36_500.0

Kind = Literal["messages", "files", "events"]
Days = Annotated[float, msgspec.Meta(gt=0, le=MAX_DAYS)]


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Days for which each kind is kept; null is for ever."""

    messages_days: Days | None = None
    files_days: Days | None = None
    events_days: Days | None = None

    def within(self, outer: "Terms") -> "Terms":
        """Keep nothing for longer than the outer terms allow, nor events for longer than the messages they repeat."""
        messages_days = _least(self.messages_days, outer.messages_days)
        return Terms(
            messages_days=messages_days,
            files_days=_least(self.files_days, outer.files_days),
            events_days=_least(self.events_days, outer.events_days, messages_days),
        )

    def cutoffs(self, now: datetime) -> "Cutoffs":
        """The times before which things go."""
        return Cutoffs(
            messages=_before(now, self.messages_days),
            files=_before(now, self.files_days),
            events=_before(now, self.events_days),
        )


class Cutoffs(msgspec.Struct, frozen=True, kw_only=True):
    """What is older than this goes; null: nothing does."""

    messages: datetime | None = None
    files: datetime | None = None
    events: datetime | None = None


class WorkspaceRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace has of its own. Absent: as the settings have it; null: for ever."""

    messages_days: Days | UnsetType | None = UNSET
    files_days: Days | UnsetType | None = UNSET
    events_days: Days | UnsetType | None = UNSET

    def over(self, defaults: Terms) -> Terms:
        """The workspace's terms."""
        own = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not UNSET}
        return msgspec.structs.replace(defaults, **own).within(Terms())

    def changed(self, change: "WorkspaceRules", to_default: frozenset[str]) -> "WorkspaceRules":
        """Lay a change over these rules, and take those away that are to follow the settings again."""
        given = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET}
        return msgspec.structs.replace(self, **given, **dict.fromkeys(to_default, UNSET))


class ConversationRetention(msgspec.Struct, frozen=True, kw_only=True):
    """What a conversation has of its own (null: as its workspace has it), and what holds in the end."""

    messages_days: float | None
    files_days: float | None
    events_days: float | None
    effective: Terms


class WorkspaceRetention(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace has of its own, and what holds in the end."""

    workspace_id: str
    own: WorkspaceRules
    effective: Terms


class OwnTerms(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation with terms of its own."""

    conversation_id: UUID
    terms: Terms


class RetentionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What settings say: the default terms, how long the audit record is kept, and how long events must stay.

    `least_days` is how long delivery may take: events, and so messages, cannot go before.
    """

    defaults: Terms
    audit_days: float | None = None
    least_days: float = 0.0

    def check(self, terms: Terms | WorkspaceRules) -> None:
        """Raise InvalidError, which names the field, where something is to go before it is delivered."""
        for field in ("messages_days", "events_days"):
            days = getattr(terms, field)
            if isinstance(days, float | int) and days < self.least_days:
                raise InvalidError(
                    f"{field} is less than {self.least_days:g}, for which delivery to assistants may take", field=field
                )


class Expired(msgspec.Struct, frozen=True, kw_only=True):
    """How much went, or would go, by age; files are counted by their versions."""

    messages: int = 0
    files: int = 0
    events: int = 0
    dead_letters: int = 0

    def plus(self, other: "Expired") -> "Expired":
        """Both together."""
        theirs = other.counts()
        return Expired(**{name: number + theirs[name] for name, number in self.counts().items()})

    def counts(self) -> dict[str, int]:
        """By kind."""
        return msgspec.structs.asdict(self)


class ExpiryStep(msgspec.Struct, frozen=True, kw_only=True):
    """What one step of a run removed; entries of the audit record belong to no workspace in particular."""

    workspace_id: str | None = None
    expired: Expired = Expired()
    audit_entries: int = 0


class RetentionReport(msgspec.Struct, kw_only=True):
    """What a run removed, or with `dry_run` would remove, by workspace; the audit record is counted over all."""

    dry_run: bool
    workspaces: dict[str, Expired] = {}
    audit_entries: int = 0

    def take(self, step: ExpiryStep) -> None:
        """Count a step."""
        self.audit_entries += step.audit_entries
        if step.workspace_id is not None:
            before = self.workspaces.get(step.workspace_id, Expired())
            self.workspaces[step.workspace_id] = before.plus(step.expired)


def _least(*days: float | None) -> float | None:
    return min((each for each in days if each is not None), default=None)


def _before(now: datetime, days: float | None) -> datetime | None:
    return None if days is None else now - timedelta(days=days)
