"""Turns whose conversation or answer is deleted while they are made (specification of turns, 2.2)."""

from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from tests.http.test_turns import CALL, LONG_AGO, Scene, chats, reap, said, say, set_up, used
from tests.support.databases import open_store
from tests.support.service import Service

from workbench.adapters.clock import SystemClock
from workbench.adapters.sql.turn_tables import gone_turns
from workbench.adapters.sql.usage_tables import turn_model_calls


@pytest.fixture
async def scene(service: Service) -> AsyncGenerator[Scene]:
    async with set_up(service) as made:
        yield made


@pytest.fixture
async def own_scene(own_service: Service) -> AsyncGenerator[Scene]:
    async with set_up(own_service) as made:
        yield made


async def billed(scene: Scene) -> list[Any]:
    rows = (await scene.ann.get("/usage")).json()["rows"]
    return [(row["total_tokens"], row["provisional"], row["message_id"], row["user_id"]) for row in rows]


async def delete_conversation(scene: Scene) -> None:
    assert (await scene.ann.delete(scene.path)).status_code == 204


async def test_the_producer_is_told_that_the_conversation_was_deleted_and_its_calls_are_billed(
    own_scene: Scene,
) -> None:
    await own_scene.open()
    await own_scene.lease()
    await own_scene.add(1, said("half"), {"type": "usage.call", **CALL})
    await delete_conversation(own_scene)
    refusals = [await own_scene.add(2, said("more"), status=410), await own_scene.lease(status=410)]
    assert [refused["code"] for refused in refusals] == ["turn_gone", "turn_gone"]
    assert await billed(own_scene) == []
    await reap(own_scene)
    assert await billed(own_scene) == [(150, True, None, "ann")]
    await reap(own_scene)
    more = {**CALL, "call_id": "c2", "completion_tokens": 7}
    for _ in range(2):
        refused = await own_scene.finalize(status=410, usage={"calls": [CALL, more]})
        assert refused["code"] == "turn_gone"
        assert await billed(own_scene) == [(257, False, None, "ann")]


async def test_what_a_producer_says_at_the_end_is_billed_though_nobody_has_looked_after_it_yet(scene: Scene) -> None:
    await scene.open()
    await scene.lease()
    await delete_conversation(scene)
    await scene.finalize(status=410, usage={"calls": [CALL]})
    assert await billed(scene) == [(150, False, None, "ann")]


async def test_only_its_producer_hears_of_a_turn_that_is_gone(own_scene: Scene) -> None:
    await own_scene.open("done")
    await own_scene.lease("done")
    await own_scene.finalize("done")
    await own_scene.open()
    await own_scene.lease()
    await delete_conversation(own_scene)
    stranger = own_scene.service.user("zoe")
    for who in (own_scene.ann, stranger):
        for answer in (
            await who.put(f"{own_scene.path}/turns/t1/lease", json={"producer_id": "p"}),
            await who.get(f"{own_scene.path}/turns/t1"),
        ):
            assert answer.status_code == 404
    new = {"assistant_service_id": own_scene.recorder.service_id, "name": "Other"}
    other = own_scene.service.assistant((await own_scene.ann.post("/assistants", json=new)).json()["id"])
    assert (await other.put(f"{own_scene.path}/turns/t1/lease", json={"producer_id": "p"})).status_code == 404
    itself = own_scene.service.assistant_service(own_scene.recorder.service_id)
    assert (await itself.put(f"{own_scene.path}/turns/t1/lease", json={"producer_id": "p"})).status_code == 410
    assert (await own_scene.lease("never", status=404))["code"] == "turn_not_found"
    assert (await own_scene.lease("done", status=404))["code"] == "turn_not_found"  # nothing was left to be made


async def test_what_is_left_of_a_turn_is_forgotten_when_it_is_billed(own_scene: Scene) -> None:
    await own_scene.open()
    await own_scene.lease()
    await own_scene.add(1, {"type": "usage.call", **CALL})
    await delete_conversation(own_scene)
    async with open_store(own_scene.service.database_url, SystemClock()) as store:
        aged = update(gone_turns).values(gone_at=LONG_AGO)
        await store.database.transact(lambda connection: connection.execute(aged))
        await reap(own_scene)
        assert await store.database.rows(select(gone_turns)) == []
        assert len(await store.database.rows(select(turn_model_calls))) == 1
    assert [row[0] for row in await billed(own_scene)] == [150]
    assert (await own_scene.lease(status=404))["code"] == "turn_not_found"


async def test_an_answer_that_is_still_made_is_not_deleted(scene: Scene) -> None:
    opened = await scene.open()
    await scene.lease()
    output = f"{scene.path}/messages/{opened['output_message']['id']}"
    refused = await scene.ann.delete(output)
    assert (refused.status_code, refused.json()["code"]) == (409, "turn_active")
    assert refused.json()["active_turn_id"] == "t1"
    conversation = scene.path.rpartition("/")[2]
    await scene.service.seat_user(conversation, "eve", "read")
    for nobody in ("eve", "zoe"):
        assert (await scene.service.user(nobody).delete(output)).status_code == 404
    assert (await scene.ann.delete(f"{scene.path}/messages/{UUID(int=1)}")).status_code == 404
    elsewhere = (await scene.ann.post("/conversations", json={})).json()["id"]
    other_place = await scene.ann.delete(f"/conversations/{elsewhere}/messages/{opened['output_message']['id']}")
    assert other_place.status_code == 404
    await scene.finalize(parts=[{"type": "text", "text": "the answer"}])
    assert (await scene.ann.delete(output)).status_code == 204
    assert await chats(scene) == ["hello"]
    assert (await scene.ann.delete(output)).status_code == 404


async def test_the_producer_is_told_that_its_answer_was_deleted_and_its_calls_are_billed(scene: Scene) -> None:
    answered = await say(scene, scene.robot, "answered before", turn_id="t1")
    opened = await scene.open()
    assert opened["output_message"]["id"] == answered["id"]
    await scene.lease()
    await scene.add(1, said("made"))
    assert (await scene.ann.delete(f"{scene.path}/messages/{answered['id']}")).status_code == 204
    assert (await scene.add(2, said(" more"), status=410))["code"] == "turn_gone"
    settled = await scene.finalize(usage={"calls": [CALL]})
    assert (settled["report"]["content"], settled["report"]["usage"]) == ("message_missing", "inserted")
    assert (await used(scene))["usage"]["total_tokens"] == 150
    assert await billed(scene) == [(150, False, None, "ann")]
    assert await chats(scene) == ["hello"]
