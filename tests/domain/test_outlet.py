"""What a model says is gathered for a moment, and no more of it than can be stored."""

import asyncio

import pytest
from tests.support.models import event

from workbench.domain.residents.outlet import GATHER_BYTES, MAX_BATCH_BYTES, MAX_WAITING_BYTES, Outlet
from workbench.domain.turns.shapes import MAX_BATCH_EVENTS

FOREVER = float("inf")


async def test_the_first_words_are_due_at_once_and_later_ones_are_gathered() -> None:
    outlet = Outlet()
    await outlet.put(event("text.delta", id="t", delta="a"))
    assert outlet.is_due()
    assert len(outlet.take()) == 1
    await outlet.put(event("text.delta", id="t", delta="b"))
    assert not outlet.is_due()
    await outlet.due(asyncio.get_running_loop().time() + 5)
    assert outlet.is_due()


async def test_what_is_large_or_the_last_is_due_at_once() -> None:
    outlet = Outlet()
    await outlet.put(event("text.delta", id="t", delta="a"))
    outlet.take()
    await outlet.put(event("text.delta", id="t", delta="b" * GATHER_BYTES))
    assert outlet.is_due()
    outlet.take()
    await outlet.put(event("text.delta", id="t", delta="c"))
    outlet.close()
    assert outlet.is_due()


async def test_a_batch_fits_into_what_is_stored_at_once() -> None:
    outlet = Outlet()
    for _ in range(MAX_BATCH_EVENTS + 10):
        await outlet.put(event("text.delta", id="t", delta="a"))
    assert [len(outlet.take()), len(outlet.take())] == [MAX_BATCH_EVENTS, 10]
    for _ in range(3):
        await outlet.put(event("text.delta", id="t", delta="a" * (MAX_BATCH_BYTES // 2)))
    assert [len(outlet.take()) for _ in range(3)] == [1, 1, 1]
    assert outlet.is_empty


@pytest.mark.parametrize("way", ["taken", "all"])
async def test_a_model_that_says_too_much_waits_until_it_is_stored_or_it_is_stopped(way: str) -> None:
    outlet = Outlet()
    speaking = asyncio.create_task(outlet.put(event("text.delta", id="t", delta="a" * MAX_WAITING_BYTES)))
    await asyncio.sleep(0)
    assert not speaking.done()
    if way == "taken":
        outlet.take()
    else:
        outlet.take_all()
    await asyncio.wait_for(speaking, 1)


async def test_who_waits_can_be_rung() -> None:
    outlet = Outlet()
    waiting = asyncio.create_task(outlet.due(FOREVER))
    await asyncio.sleep(0)
    outlet.ring()
    await asyncio.wait_for(waiting, 1)
