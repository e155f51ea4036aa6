"""The ends of the hub that streams hold: each a bounded buffer for those events that its reader may see."""

from collections.abc import Callable
from typing import Literal
from uuid import UUID

from workbench.domain.events.addressees import is_meant_for
from workbench.domain.events.model import Event
from workbench.domain.identity.model import Principal

EndReason = Literal["behind", "no access", "draining", "expired"]


class Reader:
    """One stream's end of the hub: a bounded buffer, and a bell that is rung when there is something in it.

    A reader that is too slow for its buffer is ended, rather than let grow: it resumes from its position.
    """

    __slots__ = ("_limit", "_ring", "buffer", "ended", "overflowed", "position", "principal", "replaying")

    def __init__(self, principal: Principal, limit: int, ring: Callable[[], None]) -> None:
        """Make a reader that buffers up to `limit` events and calls `ring` at each new one, and at its end."""
        self.principal = principal
        self.buffer: list[Event] = []
        self.position = 0
        self.ended: EndReason | None = None
        self.replaying = False
        self.overflowed = False
        self._limit = limit
        self._ring = ring

    def offer(self, event: Event) -> None:
        """Buffer the event; while the log is replayed an overflow is no loss, since the replay comes to it."""
        if self.ended:
            return
        if len(self.buffer) >= self._limit:
            if not self.replaying:
                self.end("behind")
                return
            self.buffer.clear()
            self.overflowed = True
        self.buffer.append(event)
        self._ring()

    def end(self, reason: EndReason) -> None:
        """Let the stream end after what is buffered."""
        if self.ended is None:
            self.ended = reason
            self._ring()

    def take(self) -> list[Event]:
        """Everything that is buffered, which is then the caller's."""
        taken, self.buffer = self.buffer, []
        return taken


class ConversationReader(Reader):
    """A reader of one conversation."""

    __slots__ = ("conversation_id", "owns")

    def __init__(
        self, principal: Principal, limit: int, ring: Callable[[], None], *, conversation_id: UUID, owns: bool
    ) -> None:
        """Make a reader; one who owns the conversation keeps sight of it after leaving."""
        super().__init__(principal, limit, ring)
        self.conversation_id = conversation_id
        self.owns = owns

    def place(self, event: Event) -> int:
        """The event's position on this kind of stream."""
        return event.position


class Sight(ConversationReader):
    """One who reads something else of a conversation, and hears from here only that they may no more."""

    __slots__ = ()

    def __init__(self, principal: Principal, ring: Callable[[], None], conversation_id: UUID) -> None:
        """Call `ring` at the end. Owners who have left see no more than anybody else who has."""
        super().__init__(principal, 0, ring, conversation_id=conversation_id, owns=False)

    def offer(self, event: Event) -> None:
        """Events are for others."""


class FeedReader(Reader):
    """A reader of all conversations of one user."""

    __slots__ = ()

    def place(self, event: Event) -> int:
        """The event's position on this kind of stream."""
        return event.feed_position


class WorkspaceReader(Reader):
    """A reader of what happens in a workspace outside its conversations, as far as it may be known to its user."""

    __slots__ = ()

    def offer(self, event: Event) -> None:
        """Buffer it, if it is for this user, and end where that can no longer be told.

        Roles and teams are what the credentials said when the reader was opened. They count for as long as those do.
        """
        if not is_meant_for(event, self.principal):
            return
        if event.audience == "engineers" and self.principal.is_over(event.timestamp):
            self.end("expired")
            return
        super().offer(event)

    def place(self, event: Event) -> int:
        """The event's position on this kind of stream."""
        return event.feed_position
