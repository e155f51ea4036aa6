"""Who watches a turn, and what it means for the turn that they leave, or that they may watch no more."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from tests.http.test_turns import LONG_AGO, Scene, said, set_up
from tests.support.databases import Store, open_store
from tests.support.servers import eventually
from tests.support.service import Service, running_service

from workbench.adapters.clock import SystemClock
from workbench.adapters.sql.turn_tables import turns
from workbench.adapters.sql.turn_watch import SqlTurnWatch
from workbench.domain.turns.attending import AttendanceService
from workbench.domain.turns.hub import TurnHub, Watcher

ENDS_UNWATCHED = {"on_disconnect": "cancel"}


@pytest.fixture
async def scene(service: Service) -> AsyncGenerator[Scene]:
    async with set_up(service) as made:
        yield made


@pytest.fixture
async def own_scene(own_service: Service) -> AsyncGenerator[Scene]:
    async with set_up(own_service) as made:
        yield made


class Replica:
    """The part of another process that knows who watches there."""

    def __init__(self, store: Store) -> None:
        clock = SystemClock()
        self.hub = TurnHub()
        watch = SqlTurnWatch(store.database, clock)
        self.attendance = AttendanceService(store.transactions, watch, self.hub, clock)

    def join(self, turn_pk: UUID) -> Callable[[], None]:
        """Watch; call what comes back to leave."""
        watcher = Watcher(turn_pk, 0, lambda: None, is_needed=True)
        self.hub.join(watcher)
        return lambda: self.hub.part(watcher)


@asynccontextmanager
async def replicas(scene: Scene) -> AsyncGenerator[tuple[Store, Replica, Replica]]:
    async with open_store(scene.service.database_url, SystemClock()) as store:
        yield store, Replica(store), Replica(store)


async def noted(store: Store) -> datetime | None:
    rows = await store.database.rows(select(turns.c.watched_until))
    at = rows[0][0]
    return datetime.fromisoformat(at) if isinstance(at, str) else at


async def half_a_minute_later(store: Store) -> None:
    """What was noted up to now no longer holds."""
    aged = update(turns).where(turns.c.watched_until.is_not(None)).values(watched_until=LONG_AGO)
    await store.database.transact(lambda connection: connection.execute(aged))


async def the_turn(store: Store, scene: Scene) -> Any:
    async with store.transactions.read("default") as tx:
        return await tx.turns.find(UUID(scene.path.rpartition("/")[2]), "t1")


async def test_the_end_is_asked_for_when_the_last_watcher_has_left_for_half_a_minute(own_scene: Scene) -> None:
    await own_scene.open(options=ENDS_UNWATCHED)  # T6
    await own_scene.lease()
    async with replicas(own_scene) as (store, other, _):
        assert await noted(store) is None  # nobody has watched it yet, so that nobody has left
        async with own_scene.stream() as frames:
            await frames.next()
            await until_noted(store, None)
            joined = await noted(store)
        await until_noted(store, joined)
        assert await other.attendance.round() == 0
        left = await noted(store)
        assert left is not None
        now = await SqlTurnWatch(store.database, SystemClock()).now()
        assert timedelta(seconds=20) < left - now <= timedelta(seconds=30)
        await half_a_minute_later(store)
        assert await other.attendance.round() == 1
        assert await other.attendance.round() == 0
    taken = await own_scene.add(1, said("half"))
    assert taken["cancel_requested"]
    settled = await own_scene.finalize(outcome="aborted")
    assert (settled["turn"]["status"], settled["turn"]["finish_reason"]) == ("aborted", "cancelled")
    async with own_scene.stream() as frames:
        (asked,) = [frame for frame in await frames.rest() if frame["event"] == "turn.cancel_requested"]
    assert (asked["by"], asked["reason"]) == ("ann", "disconnected")


async def until_noted(store: Store, before: datetime | None) -> None:
    """Wait until the service has noted something else."""
    async with asyncio.timeout(10):
        while await noted(store) == before:  # noqa: ASYNC110 - it is in the service's database
            await asyncio.sleep(0.01)


async def test_while_somebody_watches_on_any_replica_the_turn_goes_on(own_scene: Scene) -> None:
    opened = await own_scene.open(options=ENDS_UNWATCHED)
    await own_scene.lease()
    assert opened["turn"]["status"] == "opened"
    async with replicas(own_scene) as (store, one, two):
        turn = await the_turn(store, own_scene)
        leave_one, leave_two = one.join(turn.pk), two.join(turn.pk)
        assert await one.attendance.round() + await two.attendance.round() == 0
        leave_one()
        assert await one.attendance.round() == 0
        await half_a_minute_later(store)
        assert await two.attendance.round() == 0  # notes its own watcher before it looks
        assert await one.attendance.round() == 0
        leave_two()
        assert await two.attendance.round() == 0
        come_back = two.join(turn.pk)
        await half_a_minute_later(store)
        assert await two.attendance.round() == 0
        come_back()
        await two.attendance.round()
        await half_a_minute_later(store)
        assert await one.attendance.round() == 1
        assert (await the_turn(store, own_scene)).cancel_requested_by == "ann"


async def test_a_turn_that_nobody_began_is_over_when_its_watchers_have_left(own_scene: Scene) -> None:
    await own_scene.open(options=ENDS_UNWATCHED)
    async with replicas(own_scene) as (store, one, _):
        one.join((await the_turn(store, own_scene)).pk)()
        await one.attendance.round()
        await half_a_minute_later(store)
        assert await one.attendance.round() == 1
        assert (await the_turn(store, own_scene)).status == "aborted"
        assert await one.attendance.round() == 0


async def test_turns_go_on_without_watchers_unless_they_were_opened_to_end_then(own_scene: Scene) -> None:
    await own_scene.open()  # W2
    await own_scene.lease()
    async with own_scene.stream() as frames:
        await frames.next()
    async with replicas(own_scene) as (store, one, _):
        await one.attendance.round()
        assert await noted(store) is None
    assert not (await own_scene.add(1, said("whole")))["cancel_requested"]
    await own_scene.finalize()
    said_at_last = [message["content"] for message in await own_scene.messages()][-1]
    assert said_at_last == "whole"


FORMS = pytest.mark.parametrize("form", ["native", "ai-sdk", "ag-ui"])


async def leave(who: Any, scene: Scene) -> None:
    left = await who.put(f"{scene.path}/participants/me", json={"active_participant": False})
    assert left.status_code == 200


class Watching:
    """One who watches a turn in any vocabulary."""

    def __init__(self, lines: Any) -> None:
        self._lines = lines

    async def until(self, text: str) -> None:
        async for line in self._lines:
            if text in line:
                return
        raise AssertionError(f"the stream ended without {text}")

    async def rest(self) -> str:
        async with asyncio.timeout(10):
            return "\n".join([line async for line in self._lines])


@asynccontextmanager
async def watching(who: Any, scene: Scene, form: str) -> AsyncGenerator[Watching]:
    async with who.stream("GET", f"{scene.path}/turns/t1/stream", params={"format": form}) as response:
        assert response.status_code == 200
        yield Watching(response.aiter_lines())


@FORMS
async def test_who_leaves_the_conversation_hears_no_more_of_its_turns(scene: Scene, form: str) -> None:
    for name in ("ben", "bea"):
        await scene.service.seat_user(scene.path.rpartition("/")[2], name)
    ben, bea = scene.service.user("ben"), scene.service.user("bea")
    await scene.open()
    await scene.lease()
    await scene.add(1, said("for all "))
    async with watching(bea, scene, form) as hers, watching(ben, scene, form) as his:
        await hers.until("for all ")
        await his.until("for all ")
        await leave(bea, scene)
        await scene.add(2, said("who stay"))
        rest = await hers.rest()
        assert "who stay" not in rest
        assert ": access to this conversation has ended" in rest
        await his.until("who stay")
        await scene.finalize()
        assert "access" not in await his.rest()
    again = await bea.get(f"{scene.path}/turns/t1/stream", params={"format": form})
    assert again.status_code == 404


@FORMS
async def test_nor_does_one_who_watches_on_another_replica(database_url: str, tmp_path: Path, form: str) -> None:
    async with (
        running_service(database_url, tmp_path / "data") as here,
        running_service(database_url, tmp_path / "data") as there,
        set_up(here) as scene,
    ):
        await scene.service.seat_user(scene.path.rpartition("/")[2], "bea")
        await scene.open()
        await scene.lease()
        await scene.add(1, said("for all "))
        async with watching(there.user("bea"), scene, form) as hers:
            await hers.until("for all ")
            await leave(here.user("bea"), scene)
            assert ": access to this conversation has ended" in await hers.rest()
        await eventually(lambda: there.stream_count() == 0)


async def test_an_owner_who_leaves_and_all_whose_conversation_is_deleted_hear_no_more(scene: Scene) -> None:
    await scene.service.seat_user(scene.path.rpartition("/")[2], "bea")
    await scene.open()
    await scene.lease()
    async with (
        watching(scene.ann, scene, "native") as owners,
        watching(scene.service.user("bea"), scene, "native") as hers,
    ):
        await owners.until("turn.started")
        await hers.until("turn.started")
        await leave(scene.ann, scene)
        assert ": access to this conversation has ended" in await owners.rest()
        assert (await scene.ann.delete(scene.path)).status_code == 204
        rest = await hers.rest()
    assert ": access to this conversation has ended" in rest
    assert "event:" not in rest
