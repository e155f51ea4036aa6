"""What is asked of usage: which rows, summed up by what."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Literal, get_args
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from workbench.domain.errors import InvalidError
from workbench.domain.usage.model import ModelShare, UsageRow

MAX_DAYS = 366
DEFAULT_DAYS = 30
MAX_KEYS = 3
MAX_GROUPS = 5000

GroupKey = Literal["user", "conversation", "workspace", "assistant", "service", "model", "day", "usage_type"]
Keys = Annotated[list[GroupKey], msgspec.Meta(min_length=1, max_length=MAX_KEYS)]


class UsageFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows; days are of UTC, and both are counted in. `model` means rows in which it took part."""

    first_day: date | None = None
    last_day: date | None = None
    user_id: str | None = None
    conversation_id: UUID | None = None
    workspace_id: str | None = None
    assistant_id: UUID | None = None
    model: str | None = None
    usage_type: str | None = None

    @property
    def says_whose(self) -> bool:
        """Whether it goes beyond narrowing the caller's own rows."""
        return any((self.user_id, self.conversation_id, self.workspace_id, self.assistant_id))

    def checked(self) -> "UsageFilter":
        """The same, if its days are in order. Raises InvalidError."""
        if self.first_day and self.last_day and self.first_day > self.last_day:
            raise InvalidError("from is after to", field="from")
        return self

    def bounded(self, now: datetime) -> "UsageFilter":
        """With days on both ends, by default the last DEFAULT_DAYS. Raises InvalidError for more than MAX_DAYS."""
        last = self.last_day or now.date()
        first = self.first_day or last - min(timedelta(days=DEFAULT_DAYS - 1), last - date.min)
        bounded = msgspec.structs.replace(self, first_day=first, last_day=last).checked()
        if (last - first).days >= MAX_DAYS:
            raise InvalidError(f"at most {MAX_DAYS} days can be summed up at once", field="from")
        return bounded


def day_of(text: str | None, field: str) -> date | None:
    """Read a day such as 2026-01-31. Raises InvalidError that names the field."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidError(f"{field} must be a day, such as 2026-01-31", field=field) from None


def group_keys(words: Sequence[str]) -> list[GroupKey]:
    """Read what to sum up by; commas may stand between words. Raises InvalidError."""
    wanted = list(dict.fromkeys(part.strip() for word in words for part in word.split(",")))
    try:
        return msgspec.convert(wanted, Keys)
    except msgspec.ValidationError:
        known = ", ".join(get_args(GroupKey))
        raise InvalidError(f"group_by takes 1 to {MAX_KEYS} of {known}", field="group_by") from None


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums; `cost_micros` is null where no cost is known, and `cost_complete` says whether all are."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int
    cost_micros: int | None
    cost_complete: bool
    turns: int
    calls: int


class GroupTotals(Totals, frozen=True, kw_only=True):
    """The sums of one group, which has those keys that were asked for; null is what has no user, assistant and so on."""

    user: str | UnsetType | None = UNSET
    conversation: UUID | UnsetType | None = UNSET
    workspace: str | UnsetType = UNSET
    assistant: UUID | UnsetType | None = UNSET
    service: str | UnsetType | None = UNSET
    model: str | UnsetType = UNSET
    day: date | UnsetType = UNSET
    usage_type: str | UnsetType = UNSET


class TotalsReport(msgspec.Struct, frozen=True, kw_only=True):
    """Groups in the order of their keys. A turn with two models is in two groups by model, and once in `total`."""

    first_day: date = msgspec.field(name="from")
    last_day: date = msgspec.field(name="to")
    rows: Sequence[GroupTotals]
    total: Totals


class UsagePage(msgspec.Struct, frozen=True, kw_only=True):
    """Rows, newest first; without `next_cursor` there are no more."""

    rows: Sequence[UsageRow]
    next_cursor: str | None


class ConversationUsage(msgspec.Struct, frozen=True, kw_only=True):
    """All that a conversation took, and each model's part."""

    conversation_id: UUID
    total: Totals
    models: Sequence[ModelShare]
