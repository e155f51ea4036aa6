"""The hub and its readers, over a real store: who is given what, when a reader ends, and what is left behind."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from tests.contracts.test_transactions import message, new_conversation, post
from tests.support.databases import Store, open_store
from tests.support.servers import eventually

from workbench.adapters.sql.events import SqlEventKeeping
from workbench.domain.conversations.events import conversation_deleted
from workbench.domain.conversations.model import ConversationDetails
from workbench.domain.errors import NotFoundError, UnauthenticatedError, UnavailableError
from workbench.domain.events.hub import EventHub
from workbench.domain.events.model import Event, NewEvent
from workbench.domain.events.readers import ConversationReader, FeedReader
from workbench.domain.events.service import REPLAY_PAGE, EventService, Gap, ReaderPolicy
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.participants.events import participant_created, participant_updated
from workbench.domain.participants.model import Participant, ParticipantChange

ANN = Principal(workspace_id="default", role="user", id="ann", name="Ann")
BEA = Principal(workspace_id="default", role="user", id="bea", name="Bea")

Step = Callable[[], Awaitable[Any]]


class Turnstile:
    """Transactions that let something else happen just before a read."""

    def __init__(self, transactions: Any) -> None:
        self._transactions = transactions
        self.before_reads: list[Step] = []
        self.under_way = 0

    @asynccontextmanager
    async def read(self, workspace_id: str) -> AsyncGenerator[Any]:
        self.under_way += 1
        try:
            if self.before_reads:
                await self.before_reads.pop(0)()
            async with self._transactions.read(workspace_id) as tx:
                yield tx
        finally:
            self.under_way -= 1

    def write(self, workspace_id: str) -> Any:
        return self._transactions.write(workspace_id)


async def nothing() -> None:
    """Let a read pass."""


class House:
    """A store with a hub that hears of its commits."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.turnstile = Turnstile(store.transactions)
        self.hub = EventHub(self.turnstile)
        store.listeners.append(self.hub.announce)
        self.rings = 0

    def service(self, buffer: int = 1000) -> EventService:
        return EventService(self.turnstile, self.hub, ReaderPolicy(buffer=buffer))

    def ring(self) -> None:
        self.rings += 1

    async def watch(self, conversation: UUID, who: Principal = ANN, buffer: int = 1000) -> ConversationReader:
        return await self.service(buffer).read_conversation(who, conversation, self.ring)

    async def watch_feed(self, who: Principal = ANN, buffer: int = 1000) -> FeedReader:
        return await self.service(buffer).read_feed(who, self.ring)

    async def say(self, conversation: UUID, *contents: str) -> None:
        for content in contents:
            await post(self.store, conversation, message(self.store, content))

    async def say_much(self, conversation: UUID, count: int) -> None:
        await asyncio.gather(*(self.say(conversation, str(number)) for number in range(count)))

    async def seat(self, conversation: UUID, user_id: str, role: Any = "user") -> None:
        """Seat somebody new, and tell of it."""
        seat = Participant.of_user(conversation, user_id, user_id.title(), None, self.store.clock.now())
        row = {field: getattr(seat, field) for field in seat.__struct_fields__}
        seat = Participant(**{**row, "role": role})
        async with self.store.transactions.write("default") as tx:
            tx.participants.add(seat)
            tx.events.record(participant_created(seat, []))

    async def set_active(self, conversation: UUID, user_id: str, *, active: bool) -> None:
        async with self.store.transactions.write("default") as tx:
            everyone = await tx.participants.all_of(conversation)
            before = next(each for each in everyone if each.id == user_id)
            after = before.changed(ParticipantChange(active_participant=active), self.store.clock.now())
            tx.participants.change(after)
            tx.events.record(participant_updated(after, everyone))

    async def delete(self, conversation: UUID) -> None:
        async with self.store.transactions.write("default") as tx:
            kept = await tx.conversations.require(conversation)
            everyone = await tx.participants.all_of(conversation)
            tx.events.record(conversation_deleted(ConversationDetails.of(kept, "read_write", everyone)))
            tx.conversations.remove(conversation)

    async def record(self, conversation: UUID, kind: str) -> None:
        async with self.store.transactions.write("default") as tx:
            tx.events.record(NewEvent(conversation_id=conversation, type=kind, data={}))

    async def log(self, conversation: UUID) -> list[Event]:
        async with self.store.transactions.read("default") as tx:
            return list(await tx.events.of_conversation(conversation, 0, 10_000))

    def nothing_is_left(self) -> bool:
        return not (self.hub._conversations or self.hub._feeds or self.hub._feeds_of or self.hub.reader_count)


@pytest.fixture
async def house(sqlite_url: str) -> AsyncGenerator[House]:
    async with open_store(sqlite_url) as store:
        opened = House(store)
        yield opened
        await opened.hub.close()


def types(events: list[Event]) -> list[str]:
    return [event.type for event in events]


def positions(events: list[Event]) -> list[int]:
    return [event.position for event in events]


async def replayed(service: EventService, reader: Any, after: int | None) -> list[Event | Gap]:
    found: list[Event | Gap] = []
    async for item in service.replay(reader, after):
        found += [item] if isinstance(item, Gap) else item
    return found


def fresh(reader: Any) -> list[Event]:
    """What the reader's stream would send now."""
    return [event for event in reader.take() if reader.place(event) > reader.position]


async def test_a_reader_is_given_what_happens_from_now_on_in_its_conversation(house: House) -> None:
    here, elsewhere = await new_conversation(house.store), await new_conversation(house.store)
    await house.say(here, "before")
    reader = await house.watch(here)
    await house.say(here, "one")
    await house.say(elsewhere, "not this")
    await house.say(here, "two")
    assert (house.rings, reader.ended) == (2, None)
    assert positions(reader.take()) == [3, 4]
    assert reader.take() == []


async def test_a_feed_is_given_the_feed_types_of_the_users_conversations(house: House) -> None:
    mine, other, theirs = [await new_conversation(house.store) for _ in range(3)]
    await house.seat(theirs, "bea")
    feeds = [await house.watch_feed(), await house.watch_feed()]
    bea = await house.watch_feed(BEA)
    await house.say(mine, "one")
    await house.record(other, "file.created")
    await house.say(theirs, "two")
    await house.say(other, "three")
    for feed in feeds:
        assert [event.conversation_id for event in feed.take()] == [mine, theirs, other]
    assert [event.conversation_id for event in bea.take()] == [theirs]


@pytest.mark.parametrize("buffer", [1000, 3])
async def test_replay_meets_live_without_loss_or_repeat_while_others_write(house: House, buffer: int) -> None:
    conversation = await new_conversation(house.store)
    await house.say_much(conversation, REPLAY_PAGE + 50)
    writing = asyncio.create_task(house.say(conversation, *map(str, range(150))))
    service = house.service(buffer)
    readers = [await house.watch(conversation, buffer=buffer), await house.watch_feed(buffer=buffer)]
    seen: list[list[Event]] = [[], []]

    async def read(reader: Any, events: list[Event]) -> None:
        async for item in service.replay(reader, 0):
            assert not isinstance(item, Gap)
            events += item
            await asyncio.sleep(0)
        while not writing.done() or reader.buffer:
            events += fresh(reader)
            reader.position = reader.place(events[-1])
            assert reader.ended is None
            await asyncio.sleep(0)

    await asyncio.gather(*map(read, readers, seen), writing)
    expected = await house.log(conversation)
    assert len(expected) == REPLAY_PAGE + 201
    assert seen == [expected, expected]


async def test_a_reader_that_is_too_slow_ends_as_behind_and_resumes_where_it_was(house: House) -> None:
    conversation = await new_conversation(house.store)
    slow, quick = await house.watch(conversation, buffer=4), await house.watch(conversation, buffer=5)
    await house.say(conversation, *"12345")
    assert (slow.ended, quick.ended) == ("behind", None)
    assert positions(slow.take()) == [2, 3, 4, 5]
    assert positions(quick.take()) == [2, 3, 4, 5, 6]
    again = await house.watch(conversation)
    assert positions(await replayed(house.service(), again, 5)) == [6]


async def test_an_overflow_during_a_replay_loses_nothing(house: House) -> None:
    conversation = await new_conversation(house.store)
    await house.say_much(conversation, 5)
    reader, service = await house.watch(conversation, buffer=3), house.service()
    seen: list[Event] = []
    later = [7, 4]
    async for page in service.replay(reader, 0):
        assert not isinstance(page, Gap)
        seen += page
        if later:
            await house.say(conversation, *map(str, range(later.pop(0))))
    await house.say(conversation, "live")
    seen += fresh(reader)
    assert reader.ended is None
    assert seen == await house.log(conversation)


async def test_losing_access_ends_a_reader_after_the_event_that_tells_of_it(house: House) -> None:
    conversation = await new_conversation(house.store)
    await house.seat(conversation, "bea")
    robot_id = str(new_id())
    await house.seat(conversation, robot_id, role="assistant")
    robot = Principal(workspace_id="default", role="assistant", id=robot_id, name="Robot")
    bea, other, ann = [await house.watch(conversation, who) for who in (BEA, robot, ANN)]
    await house.set_active(conversation, "bea", active=False)
    await house.say(conversation, "not for bea")
    assert (bea.ended, types(bea.take())) == ("no access", ["participant.updated"])
    for reader in (other, ann):
        assert (reader.ended, types(reader.take())) == (None, ["participant.updated", "message.created"])
    await house.set_active(conversation, robot_id, active=False)
    assert (other.ended, ann.ended) == ("no access", None)


async def test_an_owner_keeps_sight_of_a_conversation_that_they_left(house: House) -> None:
    conversation = await new_conversation(house.store)
    reader, feed = await house.watch(conversation), await house.watch_feed()
    await house.set_active(conversation, "ann", active=False)
    await house.say(conversation, "still seen")
    assert (reader.ended, types(reader.take())) == (None, ["participant.updated", "message.created"])
    assert types(feed.take()) == ["participant.updated"]


async def test_a_feed_grows_and_shrinks_with_the_users_seats(house: House) -> None:
    feed = await house.watch_feed(BEA)
    conversation = await new_conversation(house.store)
    await house.say(conversation, "before")
    await house.seat(conversation, "bea")
    await house.say(conversation, "during")
    await house.set_active(conversation, "bea", active=False)
    await house.say(conversation, "away")
    await house.set_active(conversation, "bea", active=True)
    await house.say(conversation, "back")
    assert types(feed.take()) == [
        *("participant.created", "message.created", "participant.updated"),
        *("participant.updated", "message.created"),
    ]


async def test_a_conversation_is_on_its_makers_feed_from_its_first_event_on(house: House) -> None:
    feed = await house.watch_feed()
    conversation = await new_conversation(house.store)
    await house.say(conversation, "hello")
    assert types(feed.take()) == ["conversation.created", "message.created"]


async def test_deleting_a_conversation_ends_its_readers_and_leaves_the_feeds(house: House) -> None:
    conversation = await new_conversation(house.store)
    reader, feed = await house.watch(conversation), await house.watch_feed()
    await house.delete(conversation)
    assert (reader.ended, types(reader.take())) == ("no access", ["conversation.deleted"])
    assert (feed.ended, types(feed.take())) == (None, ["conversation.deleted"])
    assert not house.hub._feeds_of


async def test_seats_gained_and_lost_while_a_feed_is_opened_count(house: House) -> None:
    kept, lost = await new_conversation(house.store), await new_conversation(house.store)
    for conversation in (kept, lost):
        await house.seat(conversation, "bea")
    other = await house.watch(kept)  # so that the hub follows the log already
    gained: list[UUID] = []

    async def meanwhile() -> None:
        await house.set_active(lost, "bea", active=False)
        gained.append(await new_conversation(house.store))
        await house.seat(gained[0], "bea")

    house.turnstile.before_reads = [meanwhile]
    feed = await house.watch_feed(BEA)
    feed.take()
    for conversation in (kept, lost, *gained):
        await house.say(conversation, "hello")
    assert [event.conversation_id for event in feed.take()] == [kept, *gained]
    assert other.ended is None


async def test_announcements_out_of_order_are_handed_out_in_order_and_once(house: House) -> None:
    conversation = await new_conversation(house.store)
    reader = await house.watch(conversation)
    house.store.listeners.clear()
    await house.say(conversation, *"abcd")
    a, b, c, d = house.store.announced[-4:]
    for batch in ([c], [a], [d], [b, c]):
        house.hub.announce(batch)
    await eventually(lambda: house.rings == 4)
    assert reader.take() == [a, b, c, d]
    house.store.listeners.append(house.hub.announce)
    await house.say(conversation, "e")
    assert positions(reader.take()) == [6]


async def test_what_another_replica_committed_is_read_when_word_of_it_comes(house: House, sqlite_url: str) -> None:
    conversation = await new_conversation(house.store)
    reader = await house.watch(conversation)
    async with open_store(sqlite_url) as replica:
        for position, told in enumerate([("default", 2), ("default", None), (None, None)], start=2):
            await post(replica, conversation, message(replica))
            house.hub.notice("elsewhere", 9)
            house.hub.notice(*told)
            await eventually(lambda: reader.buffer)
            assert positions(reader.take()) == [position]
        # A commit of this process after one of the other's that nobody told of.
        await post(replica, conversation, message(replica))
        await house.say(conversation, "ours")
        await eventually(lambda: len(reader.buffer) == 2)
    assert positions(reader.take()) == [5, 6]


async def test_a_drain_ends_all_readers_waits_for_them_and_takes_no_more(house: House) -> None:
    conversation = await new_conversation(house.store)
    readers: list[Any] = [await house.watch(conversation), await house.watch_feed()]
    draining = asyncio.create_task(house.hub.drain())
    await eventually(lambda: all(reader.ended == "draining" for reader in readers))
    for reader in readers:
        assert not draining.done()
        house.service().close(reader)
    await draining
    with pytest.raises(UnavailableError):
        await house.watch(conversation)
    with pytest.raises(UnavailableError):
        await house.watch_feed()
    assert house.nothing_is_left()


async def test_a_stream_that_is_being_opened_when_a_drain_begins_is_refused_or_ended(house: House) -> None:
    conversation = await new_conversation(house.store)
    drains: list[asyncio.Task[None]] = []

    async def drain() -> None:
        drains.append(asyncio.create_task(house.hub.drain()))
        await eventually(lambda: house.hub.is_draining)

    house.turnstile.before_reads = [drain]
    with pytest.raises(UnavailableError):
        await house.watch(conversation)
    await asyncio.wait_for(drains[0], timeout=5)
    assert house.nothing_is_left()


async def test_those_who_may_not_see_get_no_reader(house: House) -> None:
    conversation = await new_conversation(house.store)
    with pytest.raises(NotFoundError):
        await house.watch(conversation, BEA)
    with pytest.raises(UnauthenticatedError):
        await house.watch_feed(Principal(workspace_id="default", role="assistant", id="bea", name=""))
    assert house.nothing_is_left()


async def test_access_lost_while_a_stream_is_opened_is_noticed(house: House) -> None:
    conversation = await new_conversation(house.store)
    await house.seat(conversation, "bea")
    other = await house.watch(conversation)
    house.turnstile.before_reads = [nothing, lambda: house.set_active(conversation, "bea", active=False)]
    with pytest.raises(NotFoundError):
        await house.watch(conversation, BEA)
    assert house.hub.reader_count == 1
    house.service().close(other)
    assert house.nothing_is_left()


async def test_readers_leave_nothing_behind_however_they_end(house: House) -> None:
    conversation = await new_conversation(house.store)
    readers: list[Any] = [await house.watch(conversation), await house.watch_feed(), await house.watch_feed()]
    await house.say(conversation, "hello")
    for reader in readers:
        house.service().close(reader)
        house.service().close(reader)
    assert house.nothing_is_left()


async def test_an_opening_that_fails_leaves_nothing_behind(house: House) -> None:
    conversation = await new_conversation(house.store)
    house.hub = EventHub(house.turnstile)  # one that does not follow the log yet

    async def fail() -> None:
        raise UnavailableError

    for steps in ([fail], [nothing, fail], [nothing, nothing, fail]):
        house.turnstile.before_reads = [*steps]
        with pytest.raises(UnavailableError):
            await house.watch(conversation)
        assert house.nothing_is_left()
    await eventually(lambda: not house.hub._tails["default"].catching_up)
    house.turnstile.before_reads = [fail]
    with pytest.raises(UnavailableError):
        await house.watch_feed()
    assert house.nothing_is_left()
    assert (await house.watch_feed()).ended is None


@pytest.mark.parametrize("kind", ["conversation", "feed"])
async def test_an_opening_that_is_cancelled_leaves_nothing_behind(house: House, kind: str) -> None:
    conversation = await new_conversation(house.store)
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        arrived.set()
        await go_on.wait()

    house.turnstile.before_reads = [wait] if kind == "feed" else [nothing, wait]
    opening = asyncio.ensure_future(house.watch_feed() if kind == "feed" else house.watch(conversation))
    await arrived.wait()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    go_on.set()
    await eventually(lambda: not house.turnstile.under_way)
    await house.say(conversation, "life goes on")
    assert house.nothing_is_left()


@pytest.mark.parametrize("kind", ["conversation", "feed"])
async def test_a_hub_that_is_closed_uses_nothing_of_the_database_any_more(house: House, kind: str) -> None:
    conversation = await new_conversation(house.store)
    reading, opening = asyncio.Event(), None

    async def wait() -> None:
        reading.set()
        await asyncio.Event().wait()

    if kind == "conversation":
        await house.watch(conversation)
        await eventually(lambda: not house.hub._tails["default"].catching_up)
    house.turnstile.before_reads = [wait]
    if kind == "conversation":
        house.hub.notice("default", 1_000)  # that another replica has written there
    else:
        opening = asyncio.ensure_future(house.watch_feed())
    await reading.wait()
    assert house.turnstile.under_way
    await house.hub.close()
    assert not house.turnstile.under_way
    if opening is not None:
        with pytest.raises(asyncio.CancelledError):
            await opening


async def test_a_replay_ends_when_access_is_lost_and_shows_nothing_from_after_that(house: House) -> None:
    conversation = await new_conversation(house.store)
    await house.seat(conversation, "bea")
    await house.say_much(conversation, 2 * REPLAY_PAGE)
    reader, service = await house.watch(conversation, BEA), house.service()
    seen: list[Event] = []
    async for page in service.replay(reader, 0):
        assert not isinstance(page, Gap)
        seen += page
        if len(seen) == REPLAY_PAGE:
            await house.set_active(conversation, "bea", active=False)
            await house.say(conversation, "not for bea")
    assert (len(seen), reader.ended, reader.take()) == (REPLAY_PAGE, "no access", [])


async def test_a_replay_that_outruns_the_hub_shows_nothing_from_after_access_was_lost(house: House) -> None:
    conversation = await new_conversation(house.store)
    await house.seat(conversation, "bea")
    reader = await house.watch(conversation, BEA)
    house.store.listeners.clear()  # as if another replica committed, and word of it were still under way
    await house.set_active(conversation, "bea", active=False)
    await house.say(conversation, "not for bea")
    assert await replayed(house.service(), reader, 0) == []
    assert (reader.ended, reader.take()) == ("no access", [])


async def test_a_replay_that_a_drain_breaks_off_can_be_resumed_without_loss(house: House) -> None:
    conversation = await new_conversation(house.store)
    await house.say_much(conversation, 2 * REPLAY_PAGE)
    reader, service = await house.watch(conversation), house.service()
    async for _ in service.replay(reader, 0):
        await house.say(conversation, "live")
        draining = asyncio.create_task(house.hub.drain())
        await eventually(lambda: house.hub.is_draining)
    # What came live is not sent either: a client would resume behind it.
    assert (reader.ended, reader.position, reader.take()) == ("draining", REPLAY_PAGE, [])
    service.close(reader)
    await draining


@pytest.mark.parametrize("kind", ["conversation", "feed"])
async def test_what_is_pruned_during_a_replay_is_a_gap(house: House, kind: str) -> None:
    conversation = await new_conversation(house.store)
    await house.say_much(conversation, 3 * REPLAY_PAGE)
    service = house.service()
    reader: Any = await (house.watch_feed() if kind == "feed" else house.watch(conversation))
    seen: list[Event | Gap] = []
    async for item in service.replay(reader, 0):
        if not seen:
            house.store.clock.move(days=8)  # type: ignore[attr-defined]
            keeping = SqlEventKeeping(house.store.database)
            assert await keeping.prune("default", house.store.clock.now(), REPLAY_PAGE + 5) == REPLAY_PAGE + 5
        seen += [item] if isinstance(item, Gap) else item
    rest = await house.log(conversation)
    assert seen[REPLAY_PAGE] == Gap(after=REPLAY_PAGE, first_available=REPLAY_PAGE + 6)
    assert seen[REPLAY_PAGE + 1 :] == rest
    assert positions(rest) == list(range(REPLAY_PAGE + 6, 3 * REPLAY_PAGE + 2))


async def test_positions_that_were_never_given_out_are_a_gap_before_all_that_is_kept(house: House) -> None:
    conversation = await new_conversation(house.store)
    await house.say(conversation, "hello")
    for after in (None, 3, 10**18):
        for reader in (await house.watch(conversation), await house.watch_feed()):
            gap, *rest = await replayed(house.service(), reader, after)
            assert gap == Gap(after=after, first_available=1)
            assert rest == await house.log(conversation)
            assert reader.position == 2


async def test_a_position_at_the_end_of_the_log_is_followed_by_what_is_live(house: House) -> None:
    conversation = await new_conversation(house.store)
    reader = await house.watch(conversation)
    assert await replayed(house.service(), reader, 1) == []
    await house.say(conversation, "live")
    assert positions(fresh(reader)) == [2]
