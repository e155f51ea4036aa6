"""Where calls and bills are kept."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from workbench.domain.identity.model import Principal
from workbench.domain.paging import Cursor
from workbench.domain.usage.model import ModelCall, ModelShare, UsageRow
from workbench.domain.usage.totals import GroupKey, GroupTotals, Totals, UsageFilter

After = Sequence[str]
"""The keys of the last group of a page, as text."""


class UsageLedger(Protocol):
    """The calls and bills of one workspace."""

    @property
    def workspace_id(self) -> str:
        """Whose they are."""
        ...

    def record_calls(self, calls: Sequence[ModelCall]) -> None:
        """Write calls of turns down; one that is there already, by turn and call id, stays as it is.

        A call is marked as late where the turn has a bill that does not change any more.
        """
        ...

    async def calls_of_turn(self, turn_pk: UUID) -> Sequence[ModelCall]:
        """All calls of a turn, those included that this block has written down."""
        ...

    async def billed(self, turn_pk: UUID | None, message_id: UUID | None) -> Sequence[UsageRow]:
        """The row of the turn, and that of the message, which may be the same; the turn's comes first."""
        ...

    def add(self, row: UsageRow, calls: Sequence[ModelCall]) -> None:
        """Store a bill; stale where the turn or message got one, or the turn another call, since this block read."""
        ...

    def upgrade(self, row: UsageRow, calls: Sequence[ModelCall]) -> None:
        """Put it in the place of the provisional row of the same id; stale where that is none any more."""
        ...

    async def rows(self, wanted: UsageFilter, after: Cursor | None, limit: int) -> Sequence[UsageRow]:
        """Rows, newest first."""
        ...

    async def total(self, wanted: UsageFilter) -> Totals:
        """The sum of the same rows, all of them."""
        ...

    async def groups(
        self, wanted: UsageFilter, keys: Sequence[GroupKey], after: After | None, limit: int
    ) -> Sequence[GroupTotals]:
        """Sums by group, in the order of their keys; by model they are sums of each model's part."""
        ...

    async def models_of(self, conversation_id: UUID) -> Sequence[ModelShare]:
        """Each model's part in a conversation, by name."""
        ...


class UsageTx(Protocol):
    """The slice of a transaction that writing a bill touches."""

    @property
    def usage(self) -> UsageLedger: ...


class Seen(Protocol):
    """Who may look at a conversation."""

    async def is_owner(self, conversation_id: UUID, principal: Principal) -> bool:
        """Whether the caller owns what they may see. Raises NotFoundError where they may not see it."""
        ...


class Known(Protocol):
    """Which conversations there are."""

    async def require(self, conversation_id: UUID) -> object:
        """Do nothing, where it is there. Raises NotFoundError."""
        ...


class UsageReadTx(UsageTx, Protocol):
    """The slice of a transaction that reading touches."""

    @property
    def sight(self) -> Seen: ...
    @property
    def conversations(self) -> Known: ...


class UsageMeter(Protocol):
    """Counts what should not happen."""

    def usage_refused(self, source: str) -> None:
        """Count a bill that came when another one held."""
        ...
