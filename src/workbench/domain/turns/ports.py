"""What turns need to have stored."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from workbench.domain.assistants.ports import AssistantTx
from workbench.domain.budgets.ports import BudgetTx
from workbench.domain.jobs.ports import Jobs
from workbench.domain.messages.ports import Messages, TurnSlots
from workbench.domain.parts.model import Parts
from workbench.domain.turns.model import Turn, TurnEvent
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


class Turns(TurnSlots, Protocol):
    """The turns of one workspace."""

    async def find(self, conversation_id: UUID, turn_id: str) -> Turn | None:
        """A turn by the id that its client chose."""
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
    def jobs(self) -> Jobs: ...


class TurnWatch(Protocol):
    """The turns of all workspaces that somebody has to look after."""

    async def due(self, now: datetime, limit: int) -> Sequence[DueTurn]:
        """Turns whose producer may be gone, whose time is up, or whose end was asked for, the oldest first."""
        ...

    async def unstarted(self, opened_before: datetime, limit: int) -> Sequence[DueTurn]:
        """Turns of the service's own assistants that wait for somebody to make them, the oldest first."""
        ...

    async def unbilled(self, limit: int) -> Sequence[DueTurn]:
        """Turns that ended before what they took could be settled."""
        ...

    async def forget_events(self, before: datetime, limit: int) -> int:
        """Remove up to `limit` events of turns that ended before that time; says how many."""
        ...
