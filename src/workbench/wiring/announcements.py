"""Who is told of commits in this process: hubs for readers, and the workers."""

from collections.abc import Callable, Sequence
from uuid import UUID

from workbench.domain.events.model import Event
from workbench.domain.turns.model import TurnEvent

Listener = Callable[[Sequence[Event]], None]
TurnListener = Callable[[UUID, Sequence[TurnEvent]], None]


class Announcements:
    """Lists of listeners, so that those who commit and those who listen need not know each other."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._turn_listeners: list[TurnListener] = []

    def listen(self, listener: Listener) -> None:
        """Call the listener with the events of each commit, in their order, one workspace at a time."""
        self._listeners.append(listener)

    def tell(self, events: Sequence[Event]) -> None:
        """Pass events on."""
        for listener in self._listeners:
            listener(events)

    def listen_to_turns(self, listener: TurnListener) -> None:
        """Call the listener with what each commit adds to a turn."""
        self._turn_listeners.append(listener)

    def tell_of_turn(self, turn_pk: UUID, events: Sequence[TurnEvent]) -> None:
        """Pass on what happened in a turn."""
        for listener in self._turn_listeners:
            listener(turn_pk, events)
