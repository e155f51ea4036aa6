"""Leases of turns where replicas do not agree on the time (specification of turns, 2.2): PostgreSQL's clock decides.

On SQLite all processes are on one machine, and have its clock.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.http.test_turns import Scene, said, set_up
from tests.support.clocks import SettableClock, StoppedClock
from tests.support.databases import open_store
from tests.support.service import running_service

from workbench.adapters.sql.turn_watch import SqlTurnWatch
from workbench.domain.turns.reaping import ReapingService

WRONG = pytest.mark.parametrize("wrong", [timedelta(minutes=20), -timedelta(minutes=20)], ids=["ahead", "behind"])


def stepped(wrong: timedelta) -> SettableClock:
    return SettableClock(datetime.now(UTC) + wrong)


@asynccontextmanager
async def replicas(url: str, folder: Path, wrong: timedelta) -> AsyncGenerator[tuple[Scene, Scene]]:
    """The same conversation by way of a replica that has the time, and of one that has not."""
    async with (
        running_service(url, folder / "data") as right,
        running_service(url, folder / "data", StoppedClock(stepped(wrong))) as other,
        set_up(right) as scene,
    ):
        yield scene, Scene(other, scene.recorder, scene.assistant, scene.path)


async def reaped(url: str, wrong: timedelta = timedelta()) -> int:
    """How many turns a replica with such a clock ends."""
    clock = stepped(wrong)
    async with open_store(url, clock) as store:
        return await ReapingService(store.transactions, SqlTurnWatch(store.database, clock), clock).round()


@WRONG
async def test_a_lease_holds_for_replicas_that_have_another_time(
    postgres_url: str, tmp_path: Path, wrong: timedelta
) -> None:
    async with replicas(postgres_url, tmp_path, wrong) as (right, other):
        await right.open()
        granted = await right.lease()
        assert (await other.lease(producer="q", status=409))["code"] == "lease_held"
        assert await reaped(postgres_url, wrong) == 0
        taken = await other.add(1, said("by the other"))
        assert taken["lease_expires_at"] >= granted["lease_expires_at"]
        assert (await right.lease(producer="q", status=409))["code"] == "lease_held"
        assert await reaped(postgres_url) == 0
        assert (await right.turn())["status"] == "streaming"


@WRONG
async def test_a_lease_from_a_replica_that_has_another_time_is_as_long_as_any(
    postgres_url: str, tmp_path: Path, wrong: timedelta
) -> None:
    async with replicas(postgres_url, tmp_path, wrong) as (right, other):
        opened = await other.open()
        granted = await other.lease(ttl_s=60)
        left = datetime.fromisoformat(granted["lease_expires_at"]) - datetime.now(UTC)
        assert timedelta(seconds=30) < left <= timedelta(seconds=61)
        assert (await right.lease(producer="q", status=409))["code"] == "lease_held"
        assert await reaped(postgres_url) == 0  # neither the lease nor the deadline is over
        age = datetime.now(UTC) - datetime.fromisoformat(opened["turn"]["created_at"])
        assert abs(age) < timedelta(minutes=1)
        cancelled = await other.ann.post(f"{other.path}/turns/t1/cancel", json={})
        assert cancelled.status_code == 202
        assert await reaped(postgres_url) == 0  # nor is the time that its producer has to end it
        await right.finalize(outcome="aborted")


async def test_a_turn_whose_producer_opens_it_is_leased_by_the_same_clock(postgres_url: str, tmp_path: Path) -> None:
    async with replicas(postgres_url, tmp_path, -timedelta(minutes=20)) as (right, other):
        body = {"turn_id": "t1", "assistant_id": other.assistant, "input": {"content": "to myself"}}
        opened = await other.robot.post(f"{other.path}/turns", json={**body, "producer": {"producer_id": "p"}})
        assert opened.status_code == 201
        assert (await right.lease(producer="q", status=409))["code"] == "lease_held"
