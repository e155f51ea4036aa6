"""What turns need to have stored."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from workbench.domain.assistants.ports import AssistantTx
from workbench.domain.budgets.ports import BudgetTx
from workbench.domain.jobs.ports import Jobs
from workbench.domain.messages.ports import Messages, Overheard, TurnSlots
from workbench.domain.parts.model import Parts
from workbench.domain.turns.model import GoneTurn, LogSnapshot, Turn, TurnEvent
from workbench.domain.usage.ports import UsageTx


class TurnQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which turns of a conversation: newest first, and those that were opened before the turn `before`."""

    only_active: bool = False
    assistant_id: UUID | None = None
    before: str | None = None
    limit: int = 50


class DueTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that somebody has to look after."""

    workspace_id: str
    conversation_id: UUID
    turn_id: str
    assistant_id: UUID
    assistant_service_id: str | None = None


class Turns(TurnSlots, Protocol):
    """The turns of one workspace."""

    async def now(self) -> datetime:
        """The time by the clock that all processes share."""
        ...

    async def find(self, conversation_id: UUID, turn_id: str) -> Turn | None:
        """A turn by the id that its client chose."""
        ...

    async def gone(self, conversation_id: UUID, turn_id: str) -> GoneTurn | None:
        """What is left of a turn that went with its conversation."""
        ...

    def gone_is_billed(self, pk: UUID) -> None:
        """Note that what it took is settled."""
        ...

    def recall(self, conversation_id: UUID, turn_id: str) -> Turn | None:
        """The turn as this process stored it last, if it has it in mind; others may have changed it since.

        What is decided on it holds only once the turn is stored, which is refused where it was not true any more.
        """
        ...

    async def active(self, conversation_id: UUID, assistant_id: UUID | None = None) -> Sequence[Turn]:
        """The turns that are not over, of one assistant or of all."""
        ...

    async def page(self, conversation_id: UUID, query: TurnQuery) -> Sequence[Turn]:
        """The turns that are asked for."""
        ...

    async def events(self, pk: UUID, after: int, limit: int) -> Sequence[TurnEvent]:
        """What happened behind a place, in order, without endings that were replaced."""
        ...

    async def snapshot(self, pk: UUID) -> LogSnapshot | None:
        """What the beginning of its log was folded into, if it was."""
        ...

    def shorten(self, turn: Turn, snapshot: LogSnapshot, folded_bytes: int) -> None:
        """Put the snapshot in the place of what it is made of; stale where the turn is over, or somebody else did."""
        ...

    def add(self, turn: Turn) -> None:
        """Open a turn; stale where its id is taken, or its assistant has another one under way."""
        ...

    def change(self, turn: Turn) -> None:
        """Store the turn as changed; stale where another change was stored since this block read it."""
        ...

    def advance(self, turn: Turn, events: Sequence[TurnEvent]) -> None:
        """Store where the turn stands after a batch, its lease and what happened, as `change` and `log` would do.

        Nothing else of the turn is stored: so many batches can go in one statement.
        """
        ...

    def log(self, turn: Turn, events: Sequence[TurnEvent]) -> None:
        """Append to what happened, and let watchers know at the commit."""
        ...

    def supersede_ending(self, turn: Turn) -> None:
        """Have replays leave out how it ended, since it goes on."""
        ...

    def attach_parts(self, message_id: UUID, parts: Parts, at: datetime) -> None:
        """Give parts to a message of this block."""
        ...

    def rewrite(self, message_id: UUID, content: str, metadata: dict[str, Any], parts: Parts, at: datetime) -> None:
        """Replace what a published message says; stale where it is gone."""
        ...

    def mark_producer(self, assistant_service_id: str) -> None:
        """Note that a service makes turns itself."""
        ...

    async def makes_turns(self, assistant_id: UUID) -> bool:
        """Whether an assistant's service has made a turn itself before."""
        ...


class TurnTx(AssistantTx, BudgetTx, UsageTx, Protocol):
    """The slice of a transaction that turns may touch."""

    @property
    def turns(self) -> Turns: ...
    @property
    def messages(self) -> Messages: ...
    @property
    def overheard(self) -> Overheard: ...
    @property
    def jobs(self) -> Jobs: ...


class TurnWatch(Protocol):
    """The turns of all workspaces that somebody has to look after."""

    async def due(self, now: datetime, limit: int) -> Sequence[DueTurn]:
        """Turns whose producer may be gone, whose time is up, or whose end was asked for, the oldest first."""
        ...

    async def now(self) -> datetime:
        """The time by the clock that all processes share."""
        ...

    async def watched(self, pks: Sequence[UUID], until: datetime) -> None:
        """Note that somebody watches these turns, and until when that holds."""
        ...

    async def abandoned(self, now: datetime, limit: int) -> Sequence[DueTurn]:
        """Turns under way that were to be watched, and no longer are."""
        ...

    async def long(self, limit: int) -> Sequence[DueTurn]:
        """Turns under way whose log is to be shortened."""
        ...

    async def forget_up_to(self, pk: UUID, seq: int) -> None:
        """Remove the events up to a place, which its snapshot stands for."""
        ...

    async def unstarted(self, opened_before: datetime, limit: int) -> Sequence[DueTurn]:
        """Turns of the service's own assistants that wait for somebody to make them, the oldest first."""
        ...

    async def unbilled(self, limit: int) -> Sequence[DueTurn]:
        """Turns that ended before what they took could be settled."""
        ...

    async def gone_unbilled(self, limit: int) -> Sequence[GoneTurn]:
        """Turns that went with their conversations, of which nobody has settled what they took."""
        ...

    async def forget_gone(self, before: datetime) -> None:
        """Forget those that went before that time, and are settled."""
        ...

    async def forget_events(self, before: datetime, limit: int) -> int:
        """Remove up to `limit` events of turns that ended before that time; says of how many, 0 where none are left."""
        ...
