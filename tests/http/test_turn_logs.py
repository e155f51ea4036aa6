"""Long logs of turns: what happened first is folded into one (specification of turns, 4.1), and nobody loses anything."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from dishka import Provider, Scope, provide
from sqlalchemy import func, select, update
from tests.http.test_turns import Scene, said, set_up
from tests.support.databases import Store, open_store
from tests.support.service import Service, running_service

from workbench.adapters.clock import SystemClock
from workbench.adapters.sql.turn_tables import turn_events, turn_snapshots, turns
from workbench.adapters.sql.turn_watch import SqlTurnWatch
from workbench.domain.events.hub import EventHub
from workbench.domain.events.service import EventService, ReaderPolicy
from workbench.domain.identity.model import Principal
from workbench.domain.turns.hub import TurnHub
from workbench.domain.turns.model import FULL_LOG_BYTES, LONG_LOG_BYTES, MAX_TOLD_BYTES, TurnEvent
from workbench.domain.turns.reading import Place, ReadingService
from workbench.domain.turns.settling import folded
from workbench.domain.turns.shortening import ShorteningService
from workbench.entrypoints.workers.shortening import ShorteningWorker

MANY = 250_000
"""Bytes of one event; a batch has room for one of them."""


@pytest.fixture
async def own_scene(own_service: Service) -> AsyncGenerator[Scene]:
    async with set_up(own_service) as made:
        yield made


class NeverShortens(ShorteningWorker):
    """Leaves it to the test."""

    async def run(self) -> None:
        await asyncio.Event().wait()


class Left(Provider):
    """Provides that."""

    scope = Scope.APP
    worker = provide(NeverShortens, provides=ShorteningWorker)


@pytest.fixture
async def left_scene(database_url: str, tmp_path: Path) -> AsyncGenerator[Scene]:
    async with running_service(database_url, tmp_path / "data", Left()) as service, set_up(service) as made:
        yield made


def progress(size: int) -> dict[str, Any]:
    """Data that take the place of those before them, so that the answer stays short however long the log is."""
    return {"type": "part", "part": {"type": "data-progress", "id": "p", "data": "x" * size}}


@asynccontextmanager
async def opened(scene: Scene) -> AsyncGenerator[Store]:
    async with open_store(scene.service.database_url, SystemClock()) as store:
        yield store


async def one(store: Store, column: Any) -> Any:
    return (await store.database.rows(select(column)))[0][0]


async def until_shortened(store: Store, floor: int = 0) -> int:
    """Wait until the service has folded more than that; says how much."""
    async with asyncio.timeout(20):
        while (now := await one(store, turns.c.log_floor)) <= floor:  # noqa: ASYNC110 - it is in the service's database
            await asyncio.sleep(0.02)
    async with asyncio.timeout(20):
        while await one(store, func.min(turn_events.c.seq)) <= now:  # noqa: ASYNC110 - it is in the service's database
            await asyncio.sleep(0.02)
    return now


async def test_above_eight_mebibytes_the_beginning_is_folded_and_the_answer_is_the_same(own_scene: Scene) -> None:
    await own_scene.open()  # 4.1
    await own_scene.lease()
    batches = LONG_LOG_BYTES // MANY + 2
    async with opened(own_scene) as store:
        for batch in range(1, batches):
            taken = await own_scene.add(batch, said("ab"), progress(MANY))
        floor = await until_shortened(store)
        last = taken["last_seq"]
        assert floor < last
        assert await one(store, func.count(turn_events.c.seq)) == last - floor
        assert await one(store, func.sum(func.length(turn_events.c.data))) <= 1 << 20
        whole = [{"type": "text", "text": "ab" * (batches - 1)}, progress(MANY)["part"]]
        assert (await own_scene.turn())["parts"] == whole
        # The block is still open: what comes belongs to it.
        await own_scene.add(batches, said("cd"))
        whole[0]["text"] += "cd"
        assert (await own_scene.turn())["parts"] == whole
        for place in ("1", str(floor - 1)):
            async with own_scene.stream(**{"Last-Event-ID": place}) as frames:
                first = await frames.next()
            assert first is not None
            assert (first["event"], first["parts"], first["up_to_seq"]) == ("turn.snapshot", whole, last + 1)
            assert first["open"]["place"] == 0
        async with own_scene.stream(**{"Last-Event-ID": str(floor)}) as frames:
            assert (await frames.next() or {})["place"] == floor + 1
        settled = await own_scene.finalize()
        assert settled["turn"]["parts"] == whole


async def test_above_twenty_thousand_events_the_beginning_is_folded(own_scene: Scene) -> None:
    await own_scene.open()  # 4.1
    await own_scene.lease()
    pieces = [event for _ in range(128) for event in (said("x"), progress(1))]
    async with opened(own_scene) as store:
        for batch in range(1, 81):
            taken = await own_scene.add(batch, *pieces)
        floor = await until_shortened(store)
        assert taken["last_seq"] - floor <= 1000 + len(pieces)
        assert (await own_scene.turn())["parts"] == [{"type": "text", "text": "x" * 80 * 128}, progress(1)["part"]]
        settled = await own_scene.finalize()
        assert settled["turn"]["parts"][0] == {"type": "text", "text": "x" * 80 * 128}


async def told(store: Store, size: int) -> None:
    """Have the turn be one of which so much was told."""
    statement = update(turns).values(log_bytes=size, version=turns.c.version + 1)
    await store.database.transact(lambda connection: connection.execute(statement))


async def test_a_full_log_takes_nothing_until_it_is_shortened_and_no_turn_is_endless(own_scene: Scene) -> None:
    await own_scene.open()
    await own_scene.lease()
    await own_scene.add(1, said("a"), progress(2))
    async with opened(own_scene) as store:
        await told(store, FULL_LOG_BYTES + 1)
        refused = await own_scene.robot.post(
            f"{own_scene.path}/turns/t1/events", json={"epoch": 1, "batch": 2, "events": [said("b")]}
        )
        assert (refused.status_code, refused.json()["code"]) == (503, "log_full")
        assert "retry-after" in refused.headers
        await until_shortened(store)
        await own_scene.add(2, said("b"))
        assert (await own_scene.turn())["parts"] == [{"type": "text", "text": "ab"}, progress(2)["part"]]
        await told(store, MAX_TOLD_BYTES + 1)
        refused = await own_scene.add(3, said("c"), status=413)
        assert (refused["code"], refused["limit_bytes"]) == ("payload_too_large", MAX_TOLD_BYTES)
        assert (await own_scene.finalize())["turn"]["parts"][0]["text"] == "ab"


async def long_log(scene: Scene, store: Store) -> ShorteningService:
    """A turn with a log that this test shortens when it likes."""
    await scene.open()
    await scene.lease()
    for batch in range(1, 6):
        await scene.add(batch, said(str(batch)), progress(1))
    await told(store, LONG_LOG_BYTES + 1)
    return ShorteningService(store.transactions, SqlTurnWatch(store.database, SystemClock()))


async def test_a_slow_watcher_is_told_a_snapshot_where_its_place_is_gone(left_scene: Scene) -> None:
    async with opened(left_scene) as store:
        shortening = await long_log(left_scene, store)
        event_hub, hub = EventHub(store.transactions), TurnHub()
        events = EventService(store.transactions, event_hub, ReaderPolicy())
        reading = ReadingService(store.transactions, events, SystemClock(), hub)
        ann = Principal(role="user", id="ann", workspace_id="default", name="Ann")
        conversation = UUID(left_scene.path.rpartition("/")[2])
        watch = await reading.watch(ann, conversation, "t1", Place(after=2, is_given=True), lambda: None)
        assert watch is not None
        assert await shortening.round() == 1
        assert await shortening.round() == 0
        (snapshot,) = await reading.more(ann, watch)
        assert (snapshot.type, snapshot.seq) == ("turn.snapshot", watch.watcher.position)
        assert '"text":"12345"' in snapshot.data
        await left_scene.add(6, said("6"))
        hub.notice(watch.turn.pk)
        assert [event.type for event in await reading.more(ann, watch)] == ["text.delta"]
        await event_hub.close()


class Meanwhile:
    """The turns of a block, whose log another process shortens after the first look at it."""

    def __init__(self, turns_of_block: Any, shortening: ShorteningService) -> None:
        self._turns = turns_of_block
        self._shortening: ShorteningService | None = shortening

    async def snapshot(self, pk: UUID) -> Any:
        found = await self._turns.snapshot(pk)
        if self._shortening is not None:
            shortening, self._shortening = self._shortening, None
            assert await shortening.round() == 1
        return found

    async def events(self, pk: UUID, after: int, limit: int) -> Sequence[TurnEvent]:
        return await self._turns.events(pk, after, limit)


class Block:
    def __init__(self, turns_of_block: Any) -> None:
        self.turns = turns_of_block


async def test_who_folds_a_log_while_it_is_shortened_has_all_of_it(left_scene: Scene) -> None:
    async with opened(left_scene) as store:
        shortening = await long_log(left_scene, store)
        async with store.transactions.read("default") as tx:
            turn = await tx.turns.find(UUID(left_scene.path.rpartition("/")[2]), "t1")
            assert turn is not None
            block: Any = Block(Meanwhile(tx.turns, shortening))
            parts = (await folded(block, turn)).snapshot()
        assert parts == [{"type": "text", "text": "12345"}, progress(1)["part"]]
        assert await one(store, turn_snapshots.c.up_to_seq) > 0


async def test_a_turn_that_ended_meanwhile_and_one_that_was_shortened_stay_as_they_are(left_scene: Scene) -> None:
    async with opened(left_scene) as store:
        shortening = await long_log(left_scene, store)
        both = await asyncio.gather(shortening.round(), shortening.round())
        assert sum(both) == 1
        floor = await one(store, turns.c.log_floor)
        await told(store, LONG_LOG_BYTES * 2)
        await left_scene.finalize()
        assert await shortening.round() == 0
        assert await one(store, turns.c.log_floor) == floor
        assert (await left_scene.turn())["parts"][0] == {"type": "text", "text": "12345"}


async def test_an_answer_stays_whole_while_its_log_is_forgotten_bit_by_bit(own_scene: Scene) -> None:
    await own_scene.open()
    await own_scene.lease()
    for batch in range(1, 6):
        await own_scene.add(batch, said(str(batch)))
    await own_scene.finalize()
    async with opened(own_scene) as store:
        watch = SqlTurnWatch(store.database, SystemClock())
        assert await watch.forget_events(await watch.now() + timedelta(seconds=1), 4) == 4
    whole = [{"type": "text", "text": "12345"}]
    assert (await own_scene.finalize())["turn"]["parts"] == whole
    assert (await own_scene.turn())["parts"] == whole
    async with own_scene.stream(**{"Last-Event-ID": "2"}) as frames:
        snapshot, ending = await frames.rest()
    assert (snapshot["event"], snapshot["parts"], ending["event"]) == ("turn.snapshot", whole, "turn.finalized")
