"""The hub: hands each new event of the log to its readers in this process, in the order of the log.

Positions have no gaps, so the hub always knows whether it has missed something (what another replica
committed, or what arrived while it was reading) and then reads the log instead of guessing.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Literal
from uuid import UUID

import msgspec

from workbench.domain.events.model import FEED_TYPES, Event
from workbench.domain.events.ports import EventTx
from workbench.domain.identity.model import Principal
from workbench.domain.transactions import Transactions

CATCH_UP_PAGE = 500
RETRY_SECONDS = 1.0

logger = logging.getLogger(__name__)

EndReason = Literal["behind", "no access", "draining"]


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


class Feed:
    """One user's view over their conversations, shared by all their readers."""

    def __init__(self) -> None:
        self.conversation_ids: set[UUID] = set()
        self.readers: set[FeedReader] = set()
        self.lost_while_loading: set[UUID] = set()
        self.loading: asyncio.Task[None] | None = None


class SeatChange(msgspec.Struct, frozen=True):
    """The part of a participant in an event that decides on sight."""

    role: str
    id: str
    active_participant: bool


class ParticipantData(msgspec.Struct, frozen=True):
    """The data of participant events, as far as the hub reads it."""

    participant: SeatChange


class ConversationSeats(msgspec.Struct, frozen=True):
    """The participants in a conversation event."""

    participants: list[SeatChange]


class ConversationData(msgspec.Struct, frozen=True):
    """The data of conversation events, as far as the hub reads it."""

    conversation: ConversationSeats


class Tail:
    """How far one workspace's log has been handed out."""

    def __init__(self, position: int) -> None:
        """Start behind the position."""
        self.position = position
        self.catching_up: asyncio.Task[None] | None = None
        self.seen_beyond = False


class EventHub:
    """All readers of this process."""

    def __init__(self, transactions: Transactions[EventTx]) -> None:
        self._transactions = transactions
        self._conversations: defaultdict[UUID, set[ConversationReader]] = defaultdict(set)
        self._feeds: dict[tuple[str, str], Feed] = {}
        self._feeds_of: defaultdict[UUID, set[Feed]] = defaultdict(set)
        self._tails: dict[str, Tail] = {}
        self._sights = 0
        self._draining = False
        self._empty = asyncio.Event()

    @property
    def reader_count(self) -> int:
        """How many readers of events there are."""
        in_conversations = sum(map(len, self._conversations.values())) - self._sights
        return in_conversations + sum(len(feed.readers) for feed in self._feeds.values())

    @property
    def is_draining(self) -> bool:
        """Whether no new readers are wanted."""
        return self._draining

    async def drain(self) -> None:
        """End all readers, take no more, and return when all have gone."""
        self._draining = True
        for reader in self._all_readers():
            reader.end("draining")
        if self.reader_count:
            await self._empty.wait()

    async def join(self, reader: ConversationReader) -> None:
        """Hand the conversation's events to the reader from here on."""
        self._conversations[reader.conversation_id].add(reader)
        self._sights += isinstance(reader, Sight)
        await self._follow(reader.principal.workspace_id)

    async def join_feed(self, reader: FeedReader) -> None:
        """Hand the feed events of the user's conversations to the reader from here on."""
        key = (reader.principal.workspace_id, reader.principal.id)
        feed = self._feeds.get(key)
        if feed is None:
            self._feeds[key] = feed = Feed()
            feed.loading = asyncio.create_task(self._load(key, feed))
        feed.readers.add(reader)
        if feed.loading is not None:
            try:
                await asyncio.shield(feed.loading)
            except BaseException:
                self.part(reader)
                raise

    async def _load(self, key: tuple[str, str], feed: Feed) -> None:
        """Learn which conversations the user is in, while changes to that already arrive."""
        await self._follow(key[0])
        async with self._transactions.read(key[0]) as tx:
            conversation_ids = await tx.sight.conversations_of(key[1])
        if self._feeds.get(key) is not feed:
            return  # whoever asked for it has gone meanwhile
        for conversation_id in set(conversation_ids) - feed.lost_while_loading:
            self._link(feed, conversation_id)
        feed.loading = None

    def part(self, reader: Reader) -> None:
        """Forget the reader."""
        if isinstance(reader, ConversationReader):
            readers = self._conversations.get(reader.conversation_id, set())
            if reader in readers:
                readers.discard(reader)
                self._sights -= isinstance(reader, Sight)
            if not readers:
                self._conversations.pop(reader.conversation_id, None)
        else:
            self._part_feed(reader)
        if self._draining and not self.reader_count:
            self._empty.set()

    def _part_feed(self, reader: Reader) -> None:
        key = (reader.principal.workspace_id, reader.principal.id)
        feed = self._feeds.get(key)
        if feed is None:
            return
        feed.readers.discard(reader)  # pyright: ignore[reportArgumentType]
        if not feed.readers:
            del self._feeds[key]
            for conversation_id in list(feed.conversation_ids):
                self._unlink(feed, conversation_id)

    def announce(self, events: Sequence[Event]) -> None:
        """Take what this process just committed: events of one workspace, in their order."""
        tail = self._tails.get(events[0].workspace_id)
        if tail is None:
            self._tails[events[0].workspace_id] = tail = Tail(events[0].feed_position - 1)
        if tail.catching_up is not None or events[0].feed_position != tail.position + 1:
            self._catch_up(events[0].workspace_id, tail)
            return
        for event in events:
            self._publish(event)
        tail.position = events[-1].feed_position

    def notice(self, workspace_id: str | None, position: int | None) -> None:
        """Hear that a log may have grown up to the position; None: any log, by any amount."""
        if workspace_id is None:
            for each, tail in self._tails.items():
                self._catch_up(each, tail)
            return
        tail = self._tails.get(workspace_id)
        if tail is not None and (position is None or position > tail.position):
            self._catch_up(workspace_id, tail)

    async def _follow(self, workspace_id: str) -> None:
        """Know where the log ends, so that what comes is handed out; what came meanwhile is read."""
        if workspace_id in self._tails:
            return
        async with self._transactions.read(workspace_id) as tx:
            head = await tx.events.head()
        self._catch_up(workspace_id, self._tails.setdefault(workspace_id, Tail(head)))

    def _catch_up(self, workspace_id: str, tail: Tail) -> None:
        tail.seen_beyond = True
        if tail.catching_up is None:
            tail.catching_up = asyncio.create_task(self._read_on(workspace_id, tail))

    async def _read_on(self, workspace_id: str, tail: Tail) -> None:
        try:
            while tail.seen_beyond:
                tail.seen_beyond = False
                try:
                    await self._read_page(workspace_id, tail)
                except Exception:
                    # The database is away; what waits in its log is handed out when it is back.
                    logger.exception("reading on in the log failed")
                    tail.seen_beyond = True
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            tail.catching_up = None

    async def _read_page(self, workspace_id: str, tail: Tail) -> None:
        async with self._transactions.read(workspace_id) as tx:
            events = await tx.events.of_workspace(tail.position, CATCH_UP_PAGE)
        for event in events:
            self._publish(event)
        if events:
            tail.position = events[-1].feed_position
        tail.seen_beyond = tail.seen_beyond or len(events) == CATCH_UP_PAGE

    def _publish(self, event: Event) -> None:
        """Give one event to all who may read it; sight gained by it comes before, sight lost by it after."""
        changes = self._seat_changes(event)
        for change in changes:
            if change.active_participant:
                self._gain(event, change)
        self._offer(event)
        for change in changes:
            if not change.active_participant:
                self._lose(event, change)
        if event.type == "conversation.deleted":
            self._close(event)

    def _offer(self, event: Event) -> None:
        for reader in list(self._conversations.get(event.conversation_id, ())):
            reader.offer(event)
        if event.type in FEED_TYPES:
            for feed in self._feeds_of.get(event.conversation_id, ()):
                for feed_reader in list(feed.readers):
                    feed_reader.offer(event)

    def _seat_changes(self, event: Event) -> list[SeatChange]:
        if not self._conversations and not self._feeds:
            return []
        if event.type in ("participant.created", "participant.updated"):
            return [msgspec.json.decode(event.data, type=ParticipantData).participant]
        if event.type == "conversation.created":
            return msgspec.json.decode(event.data, type=ConversationData).conversation.participants
        return []

    def _gain(self, event: Event, change: SeatChange) -> None:
        feed = self._feeds.get((event.workspace_id, change.id)) if change.role == "user" else None
        if feed is not None:
            feed.lost_while_loading.discard(event.conversation_id)
            self._link(feed, event.conversation_id)

    def _lose(self, event: Event, change: SeatChange) -> None:
        for reader in list(self._conversations.get(event.conversation_id, ())):
            same = (reader.principal.role, reader.principal.id) == (change.role, change.id)
            if same and not reader.owns:
                reader.end("no access")
        feed = self._feeds.get((event.workspace_id, change.id)) if change.role == "user" else None
        if feed is not None:
            self._unlink(feed, event.conversation_id)

    def _close(self, event: Event) -> None:
        for reader in list(self._conversations.get(event.conversation_id, ())):
            reader.end("no access")
        for feed in list(self._feeds_of.get(event.conversation_id, ())):
            self._unlink(feed, event.conversation_id)

    def _link(self, feed: Feed, conversation_id: UUID) -> None:
        feed.conversation_ids.add(conversation_id)
        self._feeds_of[conversation_id].add(feed)

    def _unlink(self, feed: Feed, conversation_id: UUID) -> None:
        feed.conversation_ids.discard(conversation_id)
        if feed.loading is not None:
            feed.lost_while_loading.add(conversation_id)
        feeds = self._feeds_of.get(conversation_id, set())
        feeds.discard(feed)
        if not feeds:
            self._feeds_of.pop(conversation_id, None)

    def _all_readers(self) -> list[Reader]:
        readers: list[Reader] = [reader for topic in self._conversations.values() for reader in topic]
        return readers + [reader for feed in self._feeds.values() for reader in feed.readers]
