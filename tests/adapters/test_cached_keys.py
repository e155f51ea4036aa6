"""The memory of keys: how long, how many, and what happens when several ask or write at once."""

import asyncio
from collections import deque

import pytest
from structlog.testing import capture_logs
from tests.support.clocks import Seconds
from tests.support.keys import MemoryKeys, one

from workbench.adapters.keys.cached import ABSENT_SECONDS, FRESH_SECONDS, MAX_KEYS, CachedKeys
from workbench.domain.errors import UnavailableError
from workbench.domain.identity.model import ServiceKeys

ONE, TWO = one("one"), one("two")


class SlowKeys(MemoryKeys):
    """Reads at once, and answers when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: deque[asyncio.Event] = deque()
        self.failing = False

    async def find(self, assistant_service_id: str) -> ServiceKeys | None:
        keys = await super().find(assistant_service_id)
        if self.gates:
            await self.gates.popleft().wait()
        if self.failing:
            raise UnavailableError
        return keys

    async def put(self, assistant_service_id: str, keys: ServiceKeys) -> None:
        await super().put(assistant_service_id, keys)
        if self.failing:
            raise UnavailableError

    def close(self) -> asyncio.Event:
        """Hold the next answer back until the event is set."""
        self.gates.append(asyncio.Event())
        return self.gates[-1]


@pytest.fixture
def store() -> SlowKeys:
    return SlowKeys()


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def cached(store: SlowKeys, seconds: Seconds) -> CachedKeys:
    return CachedKeys(store, seconds)


async def test_a_key_is_served_from_memory(cached: CachedKeys, store: SlowKeys) -> None:
    store.keys["a"] = ONE
    assert await cached.find("a") == ONE
    store.keys["a"] = TWO
    assert await cached.find("a") == ONE
    assert store.lookups == ["a"]


async def test_a_reset_replaces_what_is_remembered(cached: CachedKeys, store: SlowKeys) -> None:
    store.keys["a"] = ONE
    await cached.find("a")
    await cached.put("a", TWO)
    assert await cached.find("a") == TWO
    assert store.lookups == ["a"]


async def test_a_removal_evicts(cached: CachedKeys) -> None:
    await cached.put("a", ONE)
    await cached.remove("a")
    assert await cached.find("a") is None


async def test_a_key_is_forgotten_in_time(cached: CachedKeys, store: SlowKeys, seconds: Seconds) -> None:
    await cached.put("a", ONE)
    store.keys["a"] = TWO
    seconds.now += FRESH_SECONDS - 1
    assert await cached.find("a") == ONE
    seconds.now += 1
    assert await cached.find("a") == TWO


async def test_that_there_is_no_key_is_remembered_briefly(
    cached: CachedKeys, store: SlowKeys, seconds: Seconds
) -> None:
    assert await cached.find("a") is None
    store.keys["a"] = ONE
    seconds.now += ABSENT_SECONDS - 1
    assert await cached.find("a") is None
    seconds.now += 1
    assert await cached.find("a") == ONE


async def test_keys_are_isolated(cached: CachedKeys) -> None:
    await cached.put("a", ONE)
    await cached.put("b", TWO)
    await cached.remove("a")
    assert [await cached.find(name) for name in ("a", "b", "A")] == [None, TWO, None]


async def test_of_too_many_the_one_unused_for_longest_goes(cached: CachedKeys, store: SlowKeys) -> None:
    for number in range(MAX_KEYS):
        await cached.put(f"s{number}", ONE)
    await cached.find("s0")
    await cached.put("one more", ONE)
    store.lookups.clear()
    for name in ("s0", "s2", "one more", "s1"):
        assert await cached.find(name) == ONE
    assert store.lookups == ["s1"]


async def test_made_up_ids_do_not_push_keys_out(cached: CachedKeys, store: SlowKeys) -> None:
    await cached.put("a", ONE)
    for number in range(2 * MAX_KEYS):
        await cached.find(f"nobody{number}")
    store.lookups.clear()
    assert await cached.find("a") == ONE
    assert store.lookups == []


async def test_who_asks_at_the_same_time_shares_one_look_up(cached: CachedKeys, store: SlowKeys) -> None:
    store.keys["a"] = ONE
    gate = store.close()
    asking = [asyncio.create_task(cached.find("a")) for _ in range(5)]
    await asyncio.sleep(0)
    asking[0].cancel()
    gate.set()
    assert await asyncio.gather(*asking[1:]) == [ONE] * 4
    assert store.lookups == ["a"]


async def test_a_failure_reaches_all_who_wait_and_is_not_remembered(cached: CachedKeys, store: SlowKeys) -> None:
    store.keys["a"] = ONE
    store.failing = True
    found = await asyncio.gather(*(cached.find("a") for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in found] == [UnavailableError] * 3
    store.failing = False
    assert await cached.find("a") == ONE
    assert store.lookups == ["a", "a"]


async def test_a_store_that_is_away_is_logged_when_it_goes_and_when_it_comes(
    cached: CachedKeys, store: SlowKeys
) -> None:
    with capture_logs() as logs:
        for store.failing in (True, True, False, False, True):
            await asyncio.gather(cached.find("a"), return_exceptions=True)
            await asyncio.gather(cached.put("b", ONE), return_exceptions=True)
    assert [entry["log_level"] for entry in logs] == ["warning", "info", "warning"]


async def test_a_look_up_that_a_write_overtakes_is_not_remembered(cached: CachedKeys, store: SlowKeys) -> None:
    store.keys["a"] = ONE
    gate = store.close()
    asking = asyncio.create_task(cached.find("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert store.lookups == ["a"]
    await cached.put("a", TWO)
    gate.set()
    assert await asking == ONE
    assert await cached.find("a") == TWO


async def test_a_write_that_failed_makes_the_store_be_asked(cached: CachedKeys, store: SlowKeys) -> None:
    await cached.put("a", ONE)
    store.failing = True
    with pytest.raises(UnavailableError):
        await cached.put("a", TWO)
    store.failing = False
    assert await cached.find("a") == TWO
