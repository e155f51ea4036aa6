"""What one block wants stored: set down in the block, carried out at the commit."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Executable, Table

from workbench.adapters.sql.prepared import Prepared
from workbench.adapters.sql.walls import Duty
from workbench.domain.events.model import NewEvent, NewWorkspaceEvent
from workbench.domain.turns.model import Turn, TurnEvent

Row = dict[str, Any]


class Change(msgspec.Struct, frozen=True):
    """A statement to run; where `must_hit` is set, hitting no row means that the block read something stale.

    One that is prepared answers with the rows that it hit.
    """

    statement: Executable | Prepared
    parameters: Row
    must_hit: bool = False


class RecordedEvent(msgspec.Struct, frozen=True):
    """An event with all that is known of it before the commit."""

    new: NewEvent | NewWorkspaceEvent
    id: str
    correlation_id: str
    timestamp: datetime
    data: str
    trace_parent: str | None = None


class Step(msgspec.Struct, frozen=True):
    """What a batch brings to a turn: the turn as it stands now, with the version that was read, and what happened."""

    workspace_id: str
    turn: Turn
    events: Sequence[TurnEvent]


class Writer(msgspec.Struct, frozen=True):
    """Somebody whose seat in a conversation allows them to write there."""

    conversation_id: UUID
    role: str
    id: str


class Writes:
    """The writes of one block, carried out by kind: inserts, upserts, changes, steps, messages, events, removals.

    Rows get the block's workspace, and statements get it as the parameter `ws`: none can name another.
    """

    def __init__(self, workspace_id: str, duty: Duty | None = None) -> None:
        """`duty`: the one that writes rows which belong to all workspaces."""
        self.workspace_id = workspace_id
        self.within: str | Duty = duty or workspace_id
        self.inserts: list[tuple[Table, Row]] = []
        self.upserts: list[tuple[Table, Row]] = []
        self.changes: list[Change] = []
        self.messages: list[Row] = []
        self.attachments: list[tuple[Table, Row]] = []
        self.events: list[RecordedEvent] = []
        self.removals: list[Change] = []
        self.turn_events: list[tuple[UUID, Sequence[TurnEvent]]] = []
        self.steps: list[Step] = []
        self.writers: list[Writer] = []

    def __bool__(self) -> bool:
        return bool(self.steps or self.messages or self.events) or self.does_more

    @property
    def does_more(self) -> bool:
        """Whether there is anything but steps, messages and events."""
        rest = (self.inserts, self.upserts, self.changes, self.attachments, self.removals, self.turn_events)
        return any(rest)

    @property
    def is_post(self) -> bool:
        """Whether somebody posts a message, which is told of, and nothing else is done: the most frequent of all."""
        if not len(self.messages) == len(self.events) == len(self.writers) == 1 or self.steps or self.does_more:
            return False
        new, conversation_id = self.events[0].new, self.messages[0]["conversation_id"]
        return not new.farewell and conversation_id == new.conversation_id == self.writers[0].conversation_id

    @property
    def only_steps(self) -> bool:
        """Whether turns are advanced, and nothing else is done."""
        return bool(self.steps) and not (self.messages or self.events or self.writers or self.does_more)

    @property
    def happened_in_turns(self) -> list[tuple[UUID, Sequence[TurnEvent]]]:
        """What watchers of turns are told, by turn."""
        return [*((step.turn.pk, step.events) for step in self.steps if step.events), *self.turn_events]

    def require_writer(self, writer: Writer) -> None:
        """Store this block only if the writer's seat allows them to write when it is stored; it is stale otherwise."""
        self.writers.append(writer)

    def insert(self, table: Table, row: Row) -> None:
        """Add a row."""
        self.inserts.append((table, {**row, "workspace_id": self.workspace_id}))

    def upsert(self, table: Table, row: Row) -> None:
        """Add a row, or write over the one with its primary key."""
        self.upserts.append((table, {**row, "workspace_id": self.workspace_id}))

    def change(self, statement: Executable | Prepared, parameters: Row, *, must_hit: bool = False) -> None:
        """Run a statement."""
        self.changes.append(Change(statement, {**parameters, "ws": self.workspace_id}, must_hit))

    def append_message(self, row: Row) -> None:
        """Add a message, which gets its place in its conversation at the commit."""
        self.messages.append({**row, "workspace_id": self.workspace_id})

    def attach(self, table: Table, row: Row) -> None:
        """Add a row that hangs on a message of this block."""
        self.attachments.append((table, {**row, "workspace_id": self.workspace_id}))

    def remove(self, statement: Executable, parameters: Row) -> None:
        """Run a statement after everything else of the block, events included."""
        self.removals.append(Change(statement, {**parameters, "ws": self.workspace_id}))

    def advance(self, step: Step) -> None:
        """Take a step, if its turn is still as it was read; its watchers are told after the commit."""
        self.steps.append(step)

    def log_turn(self, turn_pk: UUID, events: Sequence[TurnEvent]) -> None:
        """Append to what happened in a turn; its watchers are told after the commit."""
        self.turn_events.append((turn_pk, events))
