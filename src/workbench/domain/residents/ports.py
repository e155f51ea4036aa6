"""What the runner of answers needs: somebody who speaks for each of the services that live in this process."""

from collections.abc import AsyncGenerator
from typing import Protocol
from uuid import UUID

import msgspec

from workbench.domain.identity.model import Principal
from workbench.domain.parts.events import ProducerEvent
from workbench.domain.turns.model import Turn

USAGE = "usage.call"
ANEW = ProducerEvent(type="turn.reset", payload={})
"""Said by a speaker that begins anew: what it said before holds no longer, but for what it took."""


class Speech(msgspec.Struct, frozen=True, kw_only=True):
    """A turn, and what is said in it.

    `said` begins when it is read first, gives events of a turn and `ANEW`, and closing it ends the work for it. Reading
    it raises SpeakingFailedError.
    """

    turn: Turn
    said: AsyncGenerator[ProducerEvent]


class Speaker(Protocol):
    """Speaks for the assistants of one service."""

    async def get_ready(self) -> None:
        """Load what takes long to load, before somebody asks."""
        ...

    async def prepare(self, principal: Principal, conversation_id: UUID, turn_id: str) -> Speech:
        """Read what must be known for the answer of a turn. Raises NotFoundError, SpeakingFailedError."""
        ...
