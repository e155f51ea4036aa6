"""Word from other processes that a log has grown."""

from collections.abc import Callable
from typing import Protocol

Heard = Callable[[str | None, int | None], None]


class Wakeups(Protocol):
    """Listens for as long as it runs; may miss something, and then says that anything may have happened."""

    def listen(self, heard: Heard) -> None:
        """Call `heard` with a workspace and its feed position, or with None for 'anything'."""
        ...

    async def run(self) -> None:
        """Listen for ever."""
        ...
