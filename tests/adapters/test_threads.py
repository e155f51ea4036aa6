"""Threads that calls are made on: what they give comes back, in order, and nobody waits for what will not be."""

import asyncio
import threading
from collections.abc import Generator

import pytest

from workbench.adapters.sql.threads import Threads


@pytest.fixture
def one() -> Generator[Threads]:
    threads = Threads(1, "one")
    yield threads
    threads.shut_down()


async def test_a_call_is_made_elsewhere_and_answered_here(one: Threads) -> None:
    def add(first: int, second: int) -> tuple[int, str]:
        return first + second, threading.current_thread().name

    assert await one.call(add, 1, 2) == (3, "one-0")


async def test_what_a_call_raises_is_raised(one: Threads) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await one.call(int, "x")
    assert await one.call(int, "1") == 1


async def test_calls_are_made_in_their_order(one: Threads) -> None:
    made: list[int] = []
    await asyncio.gather(*[one.call(made.append, number) for number in range(100)])
    assert made == list(range(100))


async def test_who_is_cancelled_before_it_began_calls_it_off(one: Threads) -> None:
    made: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> str:
        begun.set()
        go_on.wait(10)
        made.append("held")
        return "held"

    holding = asyncio.create_task(one.call(hold))
    await asyncio.to_thread(begun.wait, 10)
    waiting = asyncio.create_task(one.call(made.append, "never"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    go_on.set()
    assert await holding == "held"
    await one.call(made.append, "after")
    assert made == ["held", "after"]


async def test_who_is_cancelled_in_the_middle_does_not_disturb_the_next(one: Threads) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go_on.wait(10)

    holding = asyncio.create_task(one.call(hold))
    await asyncio.to_thread(begun.wait, 10)
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    go_on.set()
    assert await one.call(int, "1") == 1


async def test_shutting_down_waits_for_what_was_asked() -> None:
    threads = Threads(2, "two")
    made: list[int] = []
    calls = [asyncio.create_task(threads.call(made.append, number)) for number in range(50)]
    await asyncio.sleep(0)
    await asyncio.to_thread(threads.shut_down)
    await asyncio.gather(*calls)
    assert sorted(made) == list(range(50))


async def test_nobody_waits_for_threads_that_were_shut_down() -> None:
    never, used = Threads(1, "never used"), Threads(1, "used")
    await used.call(int, "1")
    for threads in (never, used):
        threads.shut_down()
        with pytest.raises(RuntimeError, match="shut down"):
            await threads.call(int, "1")


def test_a_loop_that_ended_meanwhile_ends_no_thread() -> None:
    threads = Threads(1, "left")
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go_on.wait(10)

    async def leave() -> None:
        asyncio.create_task(threads.call(hold))  # noqa: RUF006 - left alone on purpose
        await asyncio.to_thread(begun.wait, 10)

    asyncio.run(leave())
    go_on.set()
    assert asyncio.run(threads.call(int, "1")) == 1
    threads.shut_down()
