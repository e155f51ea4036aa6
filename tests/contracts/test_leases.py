"""What leases promise on both databases: one holder at a time, for as long as was said, whoever races for them."""

import asyncio
import random
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Connection, insert
from tests.support.databases import open_store

from workbench.adapters.sql.leases import SqlLeases
from workbench.adapters.sql.tables import leases
from workbench.domain.jobs.model import LEASE_SECONDS
from workbench.domain.jobs.ports import Leases

NAMES = [f"duty:{number}" for number in range(20)]


@pytest.fixture
async def replicas(database_url: str) -> AsyncGenerator[tuple[Leases, Leases]]:
    async with open_store(database_url) as one, open_store(database_url) as two:
        yield SqlLeases(one.database), SqlLeases(two.database)


async def until_taken(leases: Leases, name: str, holder: str) -> None:
    async with asyncio.timeout(5):
        while not await leases.acquire([name], holder, 30):
            pass


async def test_a_lease_that_is_held_is_nobody_elses(replicas: tuple[Leases, Leases]) -> None:
    mine, yours = replicas
    assert await mine.acquire(["a", "b"], "me", 30) == {"a", "b"}
    assert await yours.acquire(["b", "c"], "you", 30) == {"c"}
    assert await yours.acquire(["a", "b"], "you", 30) == set()


async def test_an_answer_names_only_what_was_asked_for(replicas: tuple[Leases, Leases]) -> None:
    mine, _ = replicas
    assert await mine.acquire(["a"], "me", 30) == {"a"}
    assert await mine.acquire(["b"], "me", 30) == {"b"}
    assert await mine.acquire([], "me", 30) == set()
    assert await mine.renew("me", 30) == {"a", "b"}
    assert await mine.renew("nobody", 30) == set()


async def test_a_lease_that_ran_out_is_anybodys(replicas: tuple[Leases, Leases]) -> None:
    mine, yours = replicas
    assert await mine.acquire(["a"], "me", 0.05) == {"a"}
    await until_taken(yours, "a", "you")
    assert await mine.acquire(["a"], "me", 30) == set()
    assert await mine.renew("me", 30) == set()


async def test_a_lease_lasts_as_long_as_was_said_last(replicas: tuple[Leases, Leases]) -> None:
    mine, yours = replicas
    for name in ("renewed", "taken again"):
        assert await mine.acquire([name], name, 0.6) == {name}
    assert await mine.renew("renewed", 30) == {"renewed"}
    assert await mine.acquire(["taken again"], "taken again", 30) == {"taken again"}
    await mine.acquire(["neither"], "neither", 0.6)
    await until_taken(yours, "neither", "you")
    assert await yours.acquire(["renewed", "taken again"], "you", 30) == set()


async def test_what_ran_out_cannot_be_renewed(replicas: tuple[Leases, Leases]) -> None:
    mine, yours = replicas
    await mine.acquire(["short"], "me", 0.05)
    await mine.acquire(["long"], "me", 30)
    await yours.acquire(["hourglass"], "sand", 0.06)
    await until_taken(yours, "hourglass", "you")
    assert await mine.renew("me", 30) == {"long"}
    assert await yours.acquire(["short", "long"], "you", 30) == {"short"}


async def test_whoever_is_cancelled_while_taking_a_lease_does_not_hold_it(replicas: tuple[Leases, Leases]) -> None:
    mine, yours = replicas
    cut = 0
    for number in range(60):
        taking = asyncio.create_task(mine.acquire([f"duty:{number}"], "me", 30))
        await asyncio.sleep(number * 0.0001)
        taking.cancel()
        (result,) = await asyncio.gather(taking, return_exceptions=True)
        if isinstance(result, asyncio.CancelledError):
            cut += 1
            assert await yours.acquire([f"duty:{number}"], "you", 30) == {f"duty:{number}"}
    assert cut


async def test_whoever_is_cancelled_while_giving_a_lease_back_does_not_hold_it(replicas: tuple[Leases, Leases]) -> None:
    mine, yours = replicas
    cut = 0
    for number in range(60):
        name = f"duty:{number}"
        assert await mine.acquire([name], "me", 30) == {name}
        giving = asyncio.create_task(mine.release([name], "me"))
        # Not before it has begun: a task that never ran gave nothing back.
        await asyncio.sleep(0)
        await asyncio.sleep(number * 0.00005)
        giving.cancel()
        (result,) = await asyncio.gather(giving, return_exceptions=True)
        cut += isinstance(result, asyncio.CancelledError)
        assert await yours.acquire([name], "you", 30) == {name}
    assert cut


async def test_what_is_given_back_is_free_at_once_and_only_its_holder_gives(replicas: tuple[Leases, Leases]) -> None:
    mine, yours = replicas
    await mine.acquire(["a", "b"], "me", 30)
    await yours.release(["a", "b", "unheard of"], "you")
    assert await yours.acquire(["a", "b"], "you", 30) == set()
    await mine.release(["a"], "me")
    await mine.release([], "me")
    assert await yours.acquire(["a", "b"], "you", 30) == {"a"}
    assert await mine.renew("me", 30) == {"b"}


@pytest.mark.parametrize("left_behind", [False, True], ids=["new", "run out"])
async def test_of_many_who_race_for_many_each_lease_goes_to_one(
    replicas: tuple[Leases, Leases], left_behind: bool
) -> None:
    if left_behind:
        await replicas[0].acquire(NAMES, "gone", 0)

    async def race(number: int) -> set[str]:
        wanted = random.sample(NAMES, len(NAMES))
        return await replicas[number % 2].acquire(wanted, f"worker {number}", 30)

    won = await asyncio.gather(*(race(number) for number in range(10)))
    assert sorted(name for names in won for name in names) == sorted(NAMES)
    still = await asyncio.gather(*(replicas[0].renew(f"worker {number}", 30) for number in range(10)))
    assert still == won


async def test_two_are_never_inside_at_once(replicas: tuple[Leases, Leases]) -> None:
    inside: list[int] = []
    entered: list[int] = []

    async def come_and_go(number: int) -> None:
        leases, holder = replicas[number % 2], f"worker {number}"
        while len(entered) < 40:
            if await leases.acquire(["door"], holder, 30):
                inside.append(number)
                assert inside == [number]
                entered.append(number)
                await asyncio.sleep(0)
                inside.remove(number)
                await leases.release(["door"], holder)

    await asyncio.wait_for(asyncio.gather(*(come_and_go(number) for number in range(6))), timeout=20)
    assert len(set(entered)) > 1


async def test_a_lease_given_by_a_clock_that_was_set_back_is_anybodys(database_url: str) -> None:
    async with open_store(database_url) as store:
        mine = SqlLeases(store.database)
        for name, seconds in {"by a wrong clock": 3600, "renewed just now": LEASE_SECONDS}.items():
            until = datetime.now(UTC) + timedelta(seconds=seconds)
            row = insert(leases).values(name=name, holder="dead", expires_at=until)
            await store.database.transact(partial(Connection.execute, statement=row))
        assert await mine.acquire(["by a wrong clock", "renewed just now"], "me", LEASE_SECONDS) == {"by a wrong clock"}
