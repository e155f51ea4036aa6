"""The hub of turns: who watches is told everything once, and the log is asked no more often than it must be."""

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from tests.support.clocks import SettableClock

from workbench.domain.turns.hub import AT_HAND, READ_PAGE, TurnHub, Watcher
from workbench.domain.turns.model import TurnEvent

AT = SettableClock().now()


def events(first: int, last: int) -> list[TurnEvent]:
    return [TurnEvent(seq=seq, epoch=1, type="text.delta", at=AT, data="{}") for seq in range(first, last + 1)]


class Log:
    """What is stored of a turn; counts how often it is read."""

    def __init__(self, stored: Sequence[TurnEvent] = ()) -> None:
        self.stored = list(stored)
        self.reads = 0
        self.open = asyncio.Event()
        self.open.set()

    async def read(self, after: int, limit: int) -> Sequence[TurnEvent]:
        self.reads += 1
        found = [event for event in self.stored if event.seq > after][:limit]
        await self.open.wait()
        return found


class Reader:
    """Watches a turn."""

    def __init__(self, hub: TurnHub, pk: UUID, log: Log, position: int = 0) -> None:
        self.rung = 0
        self.watcher = Watcher(pk, position, self._ring)
        self._hub = hub
        self._log = log
        hub.join(self.watcher)

    def _ring(self) -> None:
        self.rung += 1

    async def take(self) -> list[int]:
        """The places of what is new."""
        found = await self._hub.behind(self.watcher, self._log.read)
        if found:
            self.watcher.position = found[-1].seq
        return [event.seq for event in found]


@pytest.fixture
def pk() -> UUID:
    return uuid4()


async def test_what_is_committed_here_is_not_read(pk: UUID) -> None:
    hub, log = TurnHub(), Log()
    readers = [Reader(hub, pk, log), Reader(hub, pk, log)]
    assert await asyncio.gather(*(reader.take() for reader in readers)) == [[], []]
    for first in (1, 4):
        hub.announce(pk, events(first, first + 2))
        assert [await reader.take() for reader in readers] == [[first, first + 1, first + 2]] * 2
        assert [await reader.take() for reader in readers] == [[]] * 2
    assert (log.reads, [reader.rung for reader in readers]) == (1, [2, 2])


async def test_what_came_elsewhere_is_read_once_for_all(pk: UUID) -> None:
    hub, log = TurnHub(), Log(events(1, 3))
    readers = [Reader(hub, pk, log) for _ in range(5)]
    hub.notice(pk)
    assert await asyncio.gather(*(reader.take() for reader in readers)) == [[1, 2, 3]] * 5
    assert await asyncio.gather(*(reader.take() for reader in readers)) == [[]] * 5
    assert log.reads == 1
    hub.announce(pk, events(4, 4))
    assert [await reader.take() for reader in readers] == [[4]] * 5
    assert log.reads == 1


async def test_what_comes_while_the_log_is_read_is_not_missed(pk: UUID) -> None:
    hub, log = TurnHub(), Log(events(1, 2))
    reader = Reader(hub, pk, log)
    log.open.clear()
    taking = asyncio.create_task(reader.take())
    await asyncio.sleep(0)
    hub.notice(pk)
    log.stored += events(3, 3)
    log.open.set()
    assert await taking == [1, 2]
    assert await reader.take() == [3]
    log.open.clear()
    hub.notice(pk)
    taking = asyncio.create_task(reader.take())
    await asyncio.sleep(0)
    log.stored += events(4, 4)
    hub.announce(pk, events(4, 4))
    log.open.set()
    assert await taking + await reader.take() == [4]


async def test_who_comes_from_far_behind_reads_page_by_page(pk: UUID) -> None:
    count = READ_PAGE * 2 + 10
    hub, log = TurnHub(), Log(events(1, count))
    near, far = Reader(hub, pk, log, count - 1), Reader(hub, pk, log)
    assert await near.take() == [count]
    hub.announce(pk, events(count + 1, count + 1))
    log.stored += events(count + 1, count + 1)
    seen: list[int] = []
    while page := await far.take():
        seen += page
    assert seen == list(range(1, count + 2))
    assert await near.take() == [count + 1]


async def test_no_more_is_kept_at_hand_than_there_is_room_for(pk: UUID) -> None:
    hub, log = TurnHub(), Log()
    late, early, first = Reader(hub, pk, log, 4), Reader(hub, pk, log, 5), Reader(hub, pk, log)
    assert await first.take() == []
    hub.announce(pk, events(1, AT_HAND + 5))
    log.stored += events(1, AT_HAND + 5)
    assert await early.take() == list(range(6, AT_HAND + 6))
    assert log.reads == 1
    assert await late.take() == list(range(5, READ_PAGE + 5))
    assert log.reads == 2


async def test_an_ending_that_was_replaced_is_left_out_for_all(pk: UUID) -> None:
    hub, log = TurnHub(), Log([*events(1, 2), *events(4, 5)])
    readers = [Reader(hub, pk, log), Reader(hub, pk, log, 3)]
    hub.notice(pk)
    assert await asyncio.gather(*(reader.take() for reader in readers)) == [[1, 2, 4, 5], [4, 5]]
    hub.announce(pk, events(6, 6))
    assert [await reader.take() for reader in readers] == [[6], [6]]
    assert log.reads == 1


async def test_what_skips_ahead_is_not_taken_for_all_there_is(pk: UUID) -> None:
    hub, log = TurnHub(), Log(events(1, 5))
    reader = Reader(hub, pk, log)
    hub.announce(pk, events(1, 2))
    hub.announce(pk, events(5, 5))
    assert await reader.take() == [1, 2, 3, 4, 5]


async def test_what_is_announced_late_hides_nothing(pk: UUID) -> None:
    hub, log = TurnHub(), Log(events(1, 1))
    reader = Reader(hub, pk, log)
    assert await reader.take() == [1]
    log.stored += events(2, 4)
    hub.notice(pk)
    hub.announce(pk, events(2, 2))
    assert await reader.take() == [2, 3, 4]
    hub.announce(pk, events(3, 3))
    log.stored += events(5, 5)
    assert await reader.take() == [5]


async def test_what_is_at_hand_is_known_before_it_is_taken(pk: UUID) -> None:
    """Whoever trusts it sends what comes next in a round with others, whom a read would hold up."""
    hub, log = TurnHub(), Log([*events(1, 2), *events(4, 5)])
    readers = [Reader(hub, pk, log, place) for place in range(6)]

    async def taken() -> list[tuple[bool, list[int]]]:
        """What each is promised, and gets; the places are as they were, after."""
        found: list[tuple[bool, list[int]]] = []
        for place, reader in enumerate(readers):
            promised, reads = hub.has_at_hand(reader.watcher), log.reads
            found.append((promised, await reader.take()))
            assert not promised or log.reads == reads
            reader.watcher.position = place
        return found

    assert not any(hub.has_at_hand(reader.watcher) for reader in readers)
    assert await readers[1].take() == [2, 4, 5]
    readers[1].watcher.position = 1
    assert await taken() == [
        (False, [1, 2, 4, 5]),
        (False, [2, 4, 5]),
        (False, [4, 5]),
        (True, [4, 5]),
        (True, [5]),
        (True, []),
    ]
    hub.announce(pk, events(6, 7))
    assert [hub.has_at_hand(reader.watcher) for reader in readers] == [False, False, False, True, True, True]
    assert await readers[5].take() == [6, 7]
    hub.notice(pk)
    assert not any(hub.has_at_hand(reader.watcher) for reader in readers)
    hub.part(readers[0].watcher)
    assert not hub.has_at_hand(Watcher(uuid4(), 0, lambda: None))
