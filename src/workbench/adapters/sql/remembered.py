"""What this process keeps in mind of what is stored, so that it need not be read for every batch of an answer."""

import time
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from workbench.adapters.memory import Memory
from workbench.adapters.sql.vector_memory import VectorMemory
from workbench.adapters.sql.writes import Writer
from workbench.domain.turns.model import Turn

MAX_TURNS = 1000
MAX_ASSISTANTS = 1000
MAX_TALKS = 10_000
MAX_WRITERS = 10_000
ASSISTANT_SECONDS = 5.0
"""How long an assistant is still believed that another process has removed; by then it has no seat any more."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Place = tuple[str, UUID, str]
Talk = tuple[str, UUID]
"""A workspace, and a conversation in it."""
Whose = tuple[str, str]
"""The service that an assistant belongs to, and the workspace that it lives in."""


class TurnMemory:
    """Turns as this process stored them last. Others may have changed them since: no more than a guess."""

    def __init__(self) -> None:
        self._turns = Memory[Place, Turn](MAX_TURNS)
        self._places = Memory[UUID, Place](MAX_TURNS)

    def find(self, workspace_id: str, conversation_id: UUID, turn_id: str) -> Turn | None:
        """Answer with the turn as it was."""
        return self._turns.find((workspace_id, conversation_id, turn_id))

    def keep(self, workspace_id: str, turn: Turn) -> None:
        """Keep a turn as it was just stored."""
        place = (workspace_id, turn.conversation_id, turn.turn_id)
        self._turns.keep(place, turn)
        self._places.keep(turn.pk, place)

    def forget(self, pk: UUID | None) -> None:
        """Forget what was changed; None, which says that any turn may have been, is no reason to forget them all."""
        place = None if pk is None else self._places.find(pk)
        if place is not None:
            self._turns.forget(place)


class SharedClock:
    """The database's clock, as this process saw it last; from there on it goes by what nobody sets."""

    def __init__(self) -> None:
        self._offset: timedelta | None = None

    def seen(self, now: datetime) -> None:
        """Note what time it was just now."""
        self._offset = now - _running()

    def now(self) -> datetime | None:
        """What time it is; None where it was never seen."""
        return None if self._offset is None else _running() + self._offset


def _running() -> datetime:
    return EPOCH + timedelta(seconds=time.monotonic())


class Remembered(msgspec.Struct):
    """Everything that is kept in mind."""

    clock: SharedClock = msgspec.field(default_factory=SharedClock)
    turns: TurnMemory = msgspec.field(default_factory=TurnMemory)
    assistants: Memory[UUID, Whose] = msgspec.field(
        default_factory=lambda: Memory[UUID, Whose](MAX_ASSISTANTS, ASSISTANT_SECONDS)
    )
    talks: Memory[Talk, UUID | Literal[False]] = msgspec.field(
        default_factory=lambda: Memory[Talk, UUID | Literal[False]](MAX_TALKS)
    )
    """The session that a conversation is the chat of, or that it is of none; which never changes."""
    writers: Memory[tuple[str, Writer], bool] = msgspec.field(
        default_factory=lambda: Memory[tuple[str, Writer], bool](MAX_WRITERS)
    )
    """Who wrote last where, by workspace. They may have lost their seats since, which the next commit finds out."""
    vectors: VectorMemory = msgspec.field(default_factory=VectorMemory)
