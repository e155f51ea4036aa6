"""Who is told of committed events in this process: the hub for readers, and the workers."""

from collections.abc import Callable, Sequence

from workbench.domain.events.model import Event

Listener = Callable[[Sequence[Event]], None]


class Announcements:
    """A list of listeners, so that those who commit and those who listen need not know each other."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call the listener with the events of each commit, in their order, one workspace at a time."""
        self._listeners.append(listener)

    def tell(self, events: Sequence[Event]) -> None:
        """Pass events on."""
        for listener in self._listeners:
            listener(events)
