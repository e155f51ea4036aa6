"""Rates: so often in so many seconds, for each caller and each act apart, whoever counts."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import func, select
from tests.support.databases import Store

from workbench.adapters.rates.local import LocalRateLimiter
from workbench.adapters.sql.rates import SqlRateKeeping, SqlRateLimiter, rate_uses
from workbench.domain.errors import ExhaustedError
from workbench.domain.identity.model import Principal
from workbench.domain.rates.model import Rate
from workbench.domain.rates.ports import RateLimiter

ANN = Principal(workspace_id="default", role="user", id="ann")
START = Rate(act="start_session", times=3, seconds=60)


@pytest.fixture(params=["local", "sql"])
def limiter(request: pytest.FixtureRequest, store: Store) -> RateLimiter:
    return LocalRateLimiter() if request.param == "local" else SqlRateLimiter(store.database)


async def allowed(limiter: RateLimiter, principal: Principal, rate: Rate, tries: int) -> int:
    async def one() -> bool:
        try:
            await limiter.count(principal, rate)
        except ExhaustedError:
            return False
        return True

    return sum(await asyncio.gather(*(one() for _ in range(tries))))


async def test_one_too_many_is_refused_with_the_time_to_wait(limiter: RateLimiter) -> None:
    for _ in range(3):
        await limiter.count(ANN, START)
    with pytest.raises(ExhaustedError) as refused:
        await limiter.count(ANN, START)
    assert refused.value.error_code == "rate_limited"
    assert 55 < refused.value.retry_after_seconds <= 60


async def test_of_many_at_once_only_so_many_pass(limiter: RateLimiter) -> None:
    assert await allowed(limiter, ANN, START, 20) == 3


async def test_others_and_other_acts_are_counted_apart(limiter: RateLimiter) -> None:
    assert await allowed(limiter, ANN, START, 4) == 3
    for other in ({"id": "bea"}, {"workspace_id": "elsewhere"}, {"role": "assistant"}):
        assert await allowed(limiter, msgspec.structs.replace(ANN, **other), START, 4) == 3
    assert await allowed(limiter, ANN, msgspec.structs.replace(START, act="respond_to_session"), 4) == 3


async def test_the_window_moves(limiter: RateLimiter) -> None:
    brief = Rate(act="brief", times=2, seconds=1)
    assert await allowed(limiter, ANN, brief, 3) == 2
    await asyncio.sleep(1.1)
    assert await allowed(limiter, ANN, brief, 3) == 2


async def test_two_replicas_count_together(store: Store) -> None:
    replicas = [SqlRateLimiter(store.database) for _ in range(2)]
    assert sum([await allowed(each, ANN, START, 2) for each in replicas]) == 3


async def test_what_was_counted_is_forgotten(store: Store) -> None:
    await SqlRateLimiter(store.database).count(ANN, START)
    ((last_at,),) = await store.database.rows(select(rate_uses.c.last_at))
    now = msgspec.convert(last_at, type(store.clock.now()))
    keeping = SqlRateKeeping(store.database)
    assert await keeping.forget(now - timedelta(seconds=1), 10) == 0
    assert await keeping.forget(now, 10) == 1
    assert (await store.database.rows(select(func.count()).select_from(rate_uses)))[0][0] == 0
