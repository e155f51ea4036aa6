"""Word from other processes that a log has grown, or something happened in a turn."""

from collections.abc import Callable
from typing import Protocol
from uuid import UUID

Heard = Callable[[str | None, int | None], None]
TurnHeard = Callable[[UUID | None], None]


class Wakeups(Protocol):
    """Listens for as long as it runs; may miss something, and then says that anything may have happened."""

    def listen(self, heard: Heard) -> None:
        """Call `heard` with a workspace and its feed position, or with None for 'anything'."""
        ...

    def listen_to_turns(self, heard: TurnHeard) -> None:
        """Call `heard` with a turn in which something happened, or with None for 'any'."""
        ...

    async def run(self) -> None:
        """Listen for ever."""
        ...
