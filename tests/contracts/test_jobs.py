"""What jobs promise on both databases: stored with their cause, one run at a time, and none lost."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.support.clocks import START
from tests.support.databases import Store, open_store

from workbench.adapters.sql.jobs import SqlJobQueue
from workbench.adapters.sql.tables import jobs
from workbench.domain.errors import StaleError
from workbench.domain.jobs.model import CLAIM_SECONDS, Job, NewJob
from workbench.domain.jobs.ports import JobQueue

LATER = START + timedelta(hours=1)


@pytest.fixture
async def queue(store: Store) -> JobQueue:
    return SqlJobQueue(store.database)


@pytest.fixture
async def other(database_url: str) -> AsyncGenerator[JobQueue]:
    """The same queue, as another replica has it."""
    async with open_store(database_url) as opened:
        yield SqlJobQueue(opened.database)


def job(key: str, after_seconds: float = 0, kind: str = "test", **payload: Any) -> NewJob:
    return NewJob(kind=kind, key=key, payload=payload, run_at=START + timedelta(seconds=after_seconds))


async def enqueue(store: Store, *new: NewJob, workspace: str = "default") -> None:
    async with store.transactions.write(workspace) as tx:
        for each in new:
            tx.jobs.enqueue(each)


async def finish(store: Store, claimed: Job) -> None:
    async with store.transactions.write(claimed.workspace_id) as tx:
        tx.jobs.finish(claimed)


async def taken(queue: JobQueue, *kinds: str, limit: int = 10, now: Any = START) -> list[Job]:
    return list(await queue.claim(kinds or ("test",), now, limit))


async def left(store: Store) -> Sequence[Any]:
    return await store.database.rows(select(jobs.c.key, jobs.c.attempts, jobs.c.claim, jobs.c.last_error))


async def let_claims_run_out(store: Store, *, at: datetime = START - timedelta(days=1000)) -> None:
    statement = update(jobs).values(claimed_until=at)
    await store.database.transact(lambda connection: connection.execute(statement))


def keys(found: list[Job]) -> list[str]:
    return [each.key for each in found]


async def test_a_job_is_taken_up_with_all_that_was_set_down(store: Store, queue: JobQueue) -> None:
    await enqueue(store, job("a", words=["ä", 1]), workspace="here")
    (claimed,) = await taken(queue)
    assert (claimed.workspace_id, claimed.kind, claimed.key) == ("here", "test", "a")
    assert (claimed.payload, claimed.run_at, claimed.attempts) == ({"words": ["ä", 1]}, START, 1)
    await finish(store, claimed)
    assert await left(store) == []


async def test_what_is_not_committed_leaves_no_job(store: Store, queue: JobQueue) -> None:
    async with store.transactions.read("default") as tx:
        tx.jobs.enqueue(job("a"))
    assert await taken(queue) == []


async def test_only_due_jobs_of_the_kinds_asked_for_are_taken_the_oldest_first(store: Store, queue: JobQueue) -> None:
    new = [job("third", -1), job("first", -3), job("second", -2), job("too early", 1), job("other", kind="else")]
    await enqueue(store, *new)
    assert keys(await taken(queue, limit=2)) == ["first", "second"]
    assert keys(await taken(queue, "test", "unheard of")) == ["third"]
    assert keys(await taken(queue, "else", "test", now=LATER)) == ["other", "too early"]


async def test_a_job_that_is_taken_is_nobody_elses(store: Store, queue: JobQueue, other: JobQueue) -> None:
    await enqueue(store, job("a"))
    assert len(await taken(queue)) == 1
    assert await taken(other) == []
    assert await taken(queue, now=LATER) == []


async def test_of_many_who_race_each_job_goes_to_one(store: Store, queue: JobQueue, other: JobQueue) -> None:
    names = sorted(f"job {number:02}" for number in range(30))
    await enqueue(store, *map(job, names))
    won: list[str] = []

    async def race(mine: JobQueue) -> None:
        while found := await taken(mine, limit=3):
            won.extend(keys(found))

    async with asyncio.timeout(20):
        await asyncio.gather(*(race((queue, other)[number % 2]) for number in range(6)))
        while len(won) < len(names):
            # A race may end early for a replica that found all rows in the hands of others for a moment.
            await race(queue)
    assert sorted(won) == names


async def test_a_job_whose_worker_died_is_taken_up_again(store: Store, queue: JobQueue, other: JobQueue) -> None:
    await enqueue(store, job("a"))
    (dead,) = await taken(queue)
    await let_claims_run_out(store)
    (alive,) = await taken(other)
    assert (alive.id, alive.attempts) == (dead.id, 2)
    with pytest.raises(StaleError):
        await finish(store, dead)
    await queue.put_off(dead, LATER, "late")
    await queue.give_back(dead)
    await queue.drop(dead)
    assert [(row[1], row[2], row[3]) for row in await left(store)] == [(2, alive.claim, None)]
    await finish(store, alive)
    assert await left(store) == []


async def test_a_claim_made_by_a_clock_that_was_set_back_holds_nobody_up(store: Store, queue: JobQueue) -> None:
    await enqueue(store, job("a"))
    await taken(queue)
    await let_claims_run_out(store, at=datetime.now(UTC) + timedelta(seconds=CLAIM_SECONDS))
    assert await taken(queue) == []
    await let_claims_run_out(store, at=datetime.now(UTC) + timedelta(hours=1))
    assert [job.key for job in await taken(queue)] == ["a"]


async def test_a_newer_job_replaces_the_one_that_waits(store: Store, queue: JobQueue) -> None:
    await enqueue(store, job("a", number=1), job("b"))
    await enqueue(store, job("a", number=2))
    found = {each.key: each.payload for each in await taken(queue)}
    assert found == {"a": {"number": 2}, "b": {}}


async def test_the_same_key_elsewhere_is_another_job(store: Store, queue: JobQueue) -> None:
    await enqueue(store, job("a"), job("a", kind="else"))
    await enqueue(store, job("a"), workspace="elsewhere")
    found = await taken(queue, "test", "else")
    assert len(found) == 3
    (foreign,) = (each for each in found if each.workspace_id == "elsewhere")
    await finish(store, foreign)
    assert len(await left(store)) == 2


@pytest.mark.parametrize("end", ["finish", "put_off", "give_back", "drop"])
async def test_a_newer_job_follows_the_one_that_runs_whatever_its_end(store: Store, queue: JobQueue, end: str) -> None:
    await enqueue(store, job("a", number=1))
    (running,) = await taken(queue)
    await enqueue(store, job("a", number=2))
    assert await taken(queue) == []
    if end == "finish":
        await finish(store, running)
    elif end == "put_off":
        await queue.put_off(running, LATER, "failed")
    else:
        await (queue.drop if end == "drop" else queue.give_back)(running)
    (next_one,) = await taken(queue)
    assert (next_one.payload, next_one.attempts) == ({"number": 2}, 1)
    assert next_one.id != running.id


async def test_a_failed_job_waits_and_remembers_why(store: Store, queue: JobQueue) -> None:
    await enqueue(store, job("a"))
    (first,) = await taken(queue)
    await queue.put_off(first, LATER, "no luck" * 1000)
    assert await taken(queue) == []
    ((_, attempts, claim, error),) = await left(store)
    assert (attempts, claim, error[:7], len(error)) == (1, None, "no luck", 2000)
    (second,) = await taken(queue, now=LATER)
    assert (second.id, second.attempts) == (first.id, 2)


async def test_a_job_given_back_does_not_count_and_a_dropped_one_is_gone(store: Store, queue: JobQueue) -> None:
    await enqueue(store, job("a"))
    (first,) = await taken(queue)
    await queue.give_back(first)
    (again,) = await taken(queue)
    assert again.attempts == 1
    await queue.drop(again)
    assert await left(store) == []


async def test_work_that_lost_its_claim_stores_nothing_with_it(store: Store, queue: JobQueue) -> None:
    await enqueue(store, job("a"))
    (lost,) = await taken(queue)
    await let_claims_run_out(store)
    await taken(queue)
    block = store.transactions.write("default")
    tx = await block.__aenter__()
    tx.jobs.finish(lost)
    tx.jobs.enqueue(job("what came of it"))
    with pytest.raises(StaleError):
        await block.__aexit__(None, None, None)
    assert [row[0] for row in await left(store)] == ["a"]
