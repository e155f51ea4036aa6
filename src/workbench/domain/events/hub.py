"""The hub: hands each new event of the log to its readers in this process, in the order of the log.

Positions have no gaps, so the hub always knows whether it has missed something (what another replica
committed, or what arrived while it was reading) and then reads the log instead of guessing.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import msgspec

from workbench.domain.events.model import FEED_TYPES, Event
from workbench.domain.events.ports import EventTx
from workbench.domain.events.readers import ConversationReader, FeedReader, Reader, Sight, WorkspaceReader
from workbench.domain.transactions import Transactions

CATCH_UP_PAGE = 500
RETRY_SECONDS = 1.0

logger = logging.getLogger(__name__)


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
        self._workspaces: defaultdict[str, set[WorkspaceReader]] = defaultdict(set)
        self._tails: dict[str, Tail] = {}
        self._sights = 0
        self._draining = False
        self._empty = asyncio.Event()

    @property
    def reader_count(self) -> int:
        """How many readers of events there are."""
        in_conversations = sum(map(len, self._conversations.values())) - self._sights
        in_feeds = sum(len(feed.readers) for feed in self._feeds.values())
        return in_conversations + in_feeds + sum(map(len, self._workspaces.values()))

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

    async def close(self) -> None:
        """Read on in no log, and return when nothing of the database is in use any more."""
        tasks = [tail.catching_up for tail in self._tails.values()] + [feed.loading for feed in self._feeds.values()]
        reading = [task for task in tasks if task is not None]
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    async def join(self, reader: ConversationReader) -> None:
        """Hand the conversation's events to the reader from here on."""
        self._conversations[reader.conversation_id].add(reader)
        self._sights += isinstance(reader, Sight)
        await self._follow(reader.principal.workspace_id)

    async def join_workspace(self, reader: WorkspaceReader) -> None:
        """Hand what happens in the reader's workspace outside its conversations to it from here on."""
        workspace_id = reader.principal.workspace_id
        self._workspaces[workspace_id].add(reader)
        await self._follow(workspace_id)

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
        elif isinstance(reader, WorkspaceReader):
            self._part_workspace(reader)
        else:
            self._part_feed(reader)
        if self._draining and not self.reader_count:
            self._empty.set()

    def _part_workspace(self, reader: WorkspaceReader) -> None:
        workspace_id = reader.principal.workspace_id
        readers = self._workspaces.get(workspace_id, set())
        readers.discard(reader)
        if not readers:
            self._workspaces.pop(workspace_id, None)

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
        """Give one event to all who may read it."""
        if event.conversation_id is not None:
            self._publish_in(event.conversation_id, event)
            return
        for reader in list(self._workspaces.get(event.workspace_id, ())):
            reader.offer(event)

    def _publish_in(self, conversation_id: UUID, event: Event) -> None:
        """Give an event to the readers of its conversation; sight gained by it comes before, sight lost by it after."""
        changes = self._seat_changes(event)
        for change in changes:
            if change.active_participant:
                self._gain(conversation_id, event, change)
        self._offer(conversation_id, event)
        for change in changes:
            if not change.active_participant:
                self._lose(conversation_id, event, change)
        if event.type == "conversation.deleted":
            self._close(conversation_id)

    def _offer(self, conversation_id: UUID, event: Event) -> None:
        for reader in list(self._conversations.get(conversation_id, ())):
            reader.offer(event)
        if event.type in FEED_TYPES:
            for feed in self._feeds_of.get(conversation_id, ()):
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

    def _gain(self, conversation_id: UUID, event: Event, change: SeatChange) -> None:
        feed = self._feeds.get((event.workspace_id, change.id)) if change.role == "user" else None
        if feed is not None:
            feed.lost_while_loading.discard(conversation_id)
            self._link(feed, conversation_id)

    def _lose(self, conversation_id: UUID, event: Event, change: SeatChange) -> None:
        for reader in list(self._conversations.get(conversation_id, ())):
            same = (reader.principal.role, reader.principal.id) == (change.role, change.id)
            if same and not reader.owns:
                reader.end("no access")
        feed = self._feeds.get((event.workspace_id, change.id)) if change.role == "user" else None
        if feed is not None:
            self._unlink(feed, conversation_id)

    def _close(self, conversation_id: UUID) -> None:
        for reader in list(self._conversations.get(conversation_id, ())):
            reader.end("no access")
        for feed in list(self._feeds_of.get(conversation_id, ())):
            self._unlink(feed, conversation_id)

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
        readers += [reader for feed in self._feeds.values() for reader in feed.readers]
        return readers + [reader for those in self._workspaces.values() for reader in those]
