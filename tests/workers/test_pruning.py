"""Retention: what is too old goes, in small steps and on one replica, and a reader is told where it begins anew."""

import asyncio
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from tests.contracts.test_transactions import message, new_conversation, post
from tests.support.clocks import SettableClock
from tests.support.databases import Store, open_store
from tests.support.lifecycle import pruning_worker
from tests.support.service import open_stream, running_service

from workbench.adapters.sql.events import SqlEventKeeping
from workbench.adapters.sql.leases import SqlLeases
from workbench.adapters.sql.tables import events
from workbench.domain.events.ports import EventKeeping
from workbench.domain.jobs.ports import Leases
from workbench.domain.lifecycle.expiry import EVENT_STEP as STEP
from workbench.domain.lifecycle.model import Expired
from workbench.entrypoints.workers.pruning import LEASE


class Counting(EventKeeping):
    """Forgets so many events, a step at a time, and remembers the steps; None is a step that fails."""

    def __init__(self, *steps: int | None) -> None:
        self._steps = list(steps)
        self.calls: list[tuple[datetime, int]] = []
        self.inside = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def prune(self, workspace_id: str, before: datetime, limit: int) -> int:
        self.calls.append((before, limit))
        self.inside.set()
        await self.may_go_on.wait()
        step = self._steps.pop(0) if self._steps else 0
        if step is None:
            raise OSError("disk on fire")
        return step

    async def prune_conversation(self, workspace_id: str, conversation_id: UUID, before: datetime, limit: int) -> int:
        raise AssertionError("no conversation has terms of its own")


class Watched(Leases):
    """Leases that tell when they were asked for and given back."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self.asked = asyncio.Event()
        self.given_back = asyncio.Event()

    async def acquire(self, names: Collection[str], holder: str, seconds: float) -> set[str]:
        got = await self._leases.acquire(names, holder, seconds)
        self.asked.set()
        return got

    async def renew(self, holder: str, seconds: float) -> set[str]:
        return await self._leases.renew(holder, seconds)

    async def release(self, names: Collection[str], holder: str) -> None:
        await self._leases.release(names, holder)
        self.given_back.set()


async def ended(running: asyncio.Task[None]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def count(store: Store) -> int:
    return (await store.database.rows(select(func.count()).select_from(events)))[0][0]


async def test_it_goes_on_in_small_steps_until_nothing_is_too_old(store: Store) -> None:
    keeping = Counting(STEP, STEP, 3)
    await new_conversation(store)
    report = await pruning_worker(store, SqlLeases(store.database), keeping).round()
    assert report.workspaces["default"].events == 2 * STEP + 3
    assert keeping.calls == [(store.clock.now() - timedelta(days=7), STEP)] * 4


async def test_it_forgets_what_is_older_than_the_retention_and_nothing_else(store: Store) -> None:
    clock = store.clock
    assert isinstance(clock, SettableClock)
    worker = pruning_worker(store, SqlLeases(store.database))

    async def pruned() -> int:
        return (await worker.round()).workspaces.get("default", Expired()).events

    conversation = await new_conversation(store)
    clock.move(days=4)
    for number in range(3):
        await post(store, conversation, message(store, str(number)))
    assert (await pruned(), await count(store)) == (0, 4)
    clock.move(days=3)
    assert (await pruned(), await count(store)) == (0, 4)  # to the microsecond as old as allowed
    clock.move(seconds=1)
    assert (await pruned(), await count(store)) == (1, 3)
    clock.move(days=30)
    assert (await pruned(), await count(store)) == (3, 0)
    async with store.transactions.read("default") as tx:
        assert (await tx.events.floor(), await tx.events.head()) == (4, 4)


async def test_only_the_holder_of_the_lease_prunes(store: Store) -> None:
    await new_conversation(store)
    leases = Watched(SqlLeases(store.database))
    await leases.acquire([LEASE], "another replica", 30)
    leases.asked.clear()
    keeping = Counting(1)
    running = asyncio.create_task(pruning_worker(store, leases, keeping).run())
    await asyncio.wait_for(leases.asked.wait(), 5)
    await asyncio.sleep(0)
    await ended(running)
    assert keeping.calls == []


async def test_of_two_replicas_one_prunes_at_a_time(store: Store) -> None:
    await new_conversation(store)
    slow, late = Counting(1), Counting(1)
    slow.may_go_on.clear()
    leases = Watched(SqlLeases(store.database))
    first = asyncio.create_task(pruning_worker(store, SqlLeases(store.database), slow).run())
    await asyncio.wait_for(slow.inside.wait(), 5)
    second = asyncio.create_task(pruning_worker(store, leases, late).run())
    await asyncio.wait_for(leases.asked.wait(), 5)
    assert late.calls == []
    slow.may_go_on.set()
    await ended(first)
    await ended(second)


@pytest.mark.parametrize("steps", [(2, 1), (2, None)], ids=["done", "failed"])
async def test_the_lease_is_given_back_after_each_round(store: Store, steps: tuple[int | None, ...]) -> None:
    await new_conversation(store)
    leases = Watched(SqlLeases(store.database))
    running = asyncio.create_task(pruning_worker(store, leases, Counting(*steps)).run())
    await asyncio.wait_for(leases.given_back.wait(), 5)
    assert await leases.acquire([LEASE], "another replica", 30) == {LEASE}
    await ended(running)


async def test_the_lease_is_given_back_when_the_process_ends_in_the_middle(store: Store) -> None:
    await new_conversation(store)
    leases, keeping = SqlLeases(store.database), Counting(1)
    keeping.may_go_on.clear()
    running = asyncio.create_task(pruning_worker(store, leases, keeping).run())
    await asyncio.wait_for(keeping.inside.wait(), 5)
    await ended(running)
    assert await leases.acquire([LEASE], "another replica", 30) == {LEASE}


class Overtaken:
    """A database on which the next transaction waits until another replica has done the same work and more."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.inside, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def rows(self, statement: Any, parameters: Any = None, within: Any = None) -> Any:
        return await self._store.database.rows(statement, parameters, within)

    async def transact(self, work: Callable[[Any], Any], within: Any = None) -> Any:
        self.inside.set()
        await self.may_go_on.wait()
        return await self._store.database.transact(work, within)


async def test_a_step_that_was_overtaken_does_not_make_what_is_gone_look_kept(store: Store) -> None:
    conversation = await new_conversation(store)
    for number in range(5):
        await post(store, conversation, message(store, str(number)))
    database, before = Overtaken(store), store.clock.now() + timedelta(days=1)
    late = asyncio.create_task(SqlEventKeeping(database).prune("default", before, 2))  # type: ignore[arg-type]
    await asyncio.wait_for(database.inside.wait(), 5)
    assert await SqlEventKeeping(store.database).prune("default", before, 4) == 4
    database.may_go_on.set()
    assert await late == 0
    async with store.transactions.read("default") as tx:
        assert [event.feed_position for event in await tx.events.of_workspace(0, 10)] == [5, 6]
        assert await tx.events.floor() == 4


async def test_a_service_prunes_when_it_starts_and_tells_readers_what_is_gone(
    database_url: str, tmp_path: Path
) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=8)
    async with open_store(database_url, SettableClock(long_ago)) as past:
        conversation = await new_conversation(past)
        await post(past, conversation, message(past, "forgotten"))
    async with open_store(database_url, SettableClock(datetime.now(UTC))) as store:
        await post(store, conversation, message(store, "kept"))
        async with running_service(database_url, tmp_path / "data") as service, asyncio.timeout(10):
            while await count(store) > 1:  # noqa: ASYNC110 - the rows go by another event loop
                await asyncio.sleep(0.01)
            ann = service.user("ann")
            async with open_stream(ann, f"/conversations/{conversation}/events", 1) as stream:
                gap, kept = await stream.take(2)
            stored = (await ann.get(f"/conversations/{conversation}/messages")).json()["messages"]
    assert (gap.name, kept.name, kept.id) == ("stream.gap", "message.created", "3")
    assert kept.data["data"]["message"]["content"] == "kept"
    assert [each["content"] for each in stored] == ["forgotten", "kept"]  # only the log forgets
