"""Turns over HTTP: opened, made by an assistant's service, watched, ended. Numbers are those of the specification."""

import asyncio
import base64
import contextlib
import json
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update
from tests.support.assistants import RecordingAssistantService
from tests.support.databases import open_store, owner_of
from tests.support.servers import eventually
from tests.support.service import Service

from workbench.adapters.clock import SystemClock
from workbench.adapters.sql.turn_tables import ACTIVE, FORGETTABLE, UNBILLED, WATCHED, turns
from workbench.adapters.sql.turn_watch import SqlTurnWatch
from workbench.domain.turns.reaping import ReapingService

MARKER = [{"type": "status", "text": "(no text response)"}]


class Scene:
    """Ann and an assistant in a conversation; the assistant's service makes turns."""

    def __init__(self, service: Service, recorder: RecordingAssistantService, assistant: str, path: str) -> None:
        self.service = service
        self.recorder = recorder
        self.assistant = assistant
        self.path = path
        self.ann = service.user("ann")
        self.robot = service.assistant(assistant)

    async def open(self, turn_id: str = "t1", status: int = 201, **fields: Any) -> Any:
        body = {"turn_id": turn_id, "assistant_id": self.assistant, "input": {"content": "hello"}, **fields}
        answer = await self.ann.post(f"{self.path}/turns", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def lease(self, turn_id: str = "t1", producer: str = "p", status: int = 200, **fields: Any) -> Any:
        answer = await self.robot.put(f"{self.path}/turns/{turn_id}/lease", json={"producer_id": producer, **fields})
        assert answer.status_code == status, answer.text
        return answer.json()

    async def add(self, batch: int, *events: Any, turn_id: str = "t1", epoch: int = 1, status: int = 200) -> Any:
        body = {"epoch": epoch, "batch": batch, "events": list(events)}
        answer = await self.robot.post(f"{self.path}/turns/{turn_id}/events", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def finalize(self, turn_id: str = "t1", status: int = 200, **fields: Any) -> Any:
        body = {"epoch": 1, "outcome": "completed", **fields}
        answer = await self.robot.post(f"{self.path}/turns/{turn_id}/finalize", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def turn(self, turn_id: str = "t1") -> Any:
        return (await self.ann.get(f"{self.path}/turns/{turn_id}")).json()

    async def messages(self, **query: Any) -> list[Any]:
        return (await self.ann.get(f"{self.path}/messages", params=query)).json()["messages"]

    @asynccontextmanager
    async def stream(self, turn_id: str = "t1", **headers: str) -> AsyncGenerator["Frames"]:
        url = f"{self.path}/turns/{turn_id}/stream"
        async with self.ann.stream("GET", url, headers=headers) as response:
            yield Frames(response)


class Frames:
    """The frames of a stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, Any] | None:
        """The next event, with its payload; None at the end."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            if line == "" and "data" in fields:
                return {**json.loads(fields["data"]), "event": fields["event"], "place": int(fields["id"])}
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
        return None

    async def rest(self) -> list[dict[str, Any]]:
        """Everything up to the end."""
        found: list[dict[str, Any]] = []
        while (frame := await self.next()) is not None:
            found.append(frame)
        return found


def said(delta: str, block: str = "t") -> dict[str, Any]:
    return {"type": "text.delta", "id": block, "delta": delta}


@asynccontextmanager
async def set_up(service: Service) -> AsyncGenerator[Scene]:
    async with service.recorder() as recorder:
        ann = service.user("ann")
        new = {"assistant_service_id": recorder.service_id, "name": "Robot"}
        assistant = (await ann.post("/assistants", json=new)).json()["id"]
        conversation = (await ann.post("/conversations", json={})).json()["id"]
        path = f"/conversations/{conversation}"
        await ann.put(f"{path}/participants/{assistant}", json={})
        yield Scene(service, recorder, assistant, path)


@pytest.fixture
async def scene(service: Service) -> AsyncGenerator[Scene]:
    async with set_up(service) as made:
        yield made


@pytest.fixture
async def own_scene(own_service: Service) -> AsyncGenerator[Scene]:
    """For what touches the turns of everybody."""
    async with set_up(own_service) as made:
        yield made


LONG_AGO = datetime(2020, 1, 1, 0, 0, 0, 1, tzinfo=UTC)


async def reap(scene: Scene, *columns: str) -> int:
    """Have these times of all turns be long ago, and look after turns as a process does; says how many it ended."""
    async with open_store(scene.service.database_url, SystemClock()) as store:
        if columns:
            aged = update(turns).values(dict.fromkeys(columns, LONG_AGO))
            await store.database.transact(lambda connection: connection.execute(aged))
        return await ReapingService(
            store.transactions, SqlTurnWatch(store.database, SystemClock()), SystemClock()
        ).round()


async def test_a_turn_is_opened_made_watched_and_ended(scene: Scene) -> None:
    opened = await scene.open()
    assert opened["turn"]["status"] == "opened"
    assert opened["output_message"]["parts"] == [{"type": "text", "text": ""}]  # S1
    assert opened["input_message"]["id"] != opened["output_message"]["id"]  # S4
    async with scene.stream() as frames:
        first = await frames.next()
        assert first is not None
        assert (first["place"], first["event"]) == (1, "turn.opened")
        # X1: both ids come before any output.
        assert first["input_message_id"] == opened["input_message"]["id"]
        assert first["output_message_id"] == opened["output_message"]["id"]
        granted = await scene.lease()
        assert (granted["epoch"], granted["next_batch"]) == (1, 1)
        await scene.add(1, said("Two "), said("files"))
        await scene.add(2, said("."))
        settled = await scene.finalize()
        rest = await frames.rest()
    assert [frame["event"] for frame in rest] == [*("turn.started", "text.delta", "text.delta", "turn.finalized")]
    assert [frame["place"] for frame in rest] == [2, 3, 4, 5]
    assert [frame.get("delta") for frame in rest[1:3]] == ["Two files", "."]
    assert rest[-1]["parts"] == [{"type": "text", "text": "Two files."}]
    assert settled["report"] == {"content": "written", "usage": "none", "first": True, "warnings": []}
    chats = [message for message in await scene.messages() if message["message_type"] == "chat"]
    assert [message["content"] for message in chats] == ["hello", "Two files."]
    assert [message["id"] for message in chats] == [opened["input_message"]["id"], opened["output_message"]["id"]]
    told = chats[1]["metadata"]["turn"]
    assert told == {"turn_id": "t1", "slot": "output", "status": "finalized", "finish_reason": "stop"}
    assert chats[1]["sender"] == {"participant_role": "assistant", "participant_id": scene.assistant}


async def test_an_answer_that_is_not_ended_is_in_no_list_and_comes_to_older_clients_once(scene: Scene) -> None:
    opened = await scene.open()  # W8
    output = opened["output_message"]["id"]
    await scene.lease()
    await scene.add(1, said("half"))
    assert output not in [message["id"] for message in await scene.messages()]
    assert (await scene.ann.get(f"{scene.path}/messages/{output}")).status_code == 404
    posted = (await scene.ann.post(f"{scene.path}/messages", json={"content": "meanwhile"})).json()["id"]
    await scene.finalize()
    behind = await scene.messages(after=posted)
    assert [message["id"] for message in behind] == [output]
    created = [
        event["data"]["message"]["id"]
        for event in scene.recorder.events(scene.assistant)
        if event["event"] == "message.created" and event["data"]["message"]["id"] == output
    ]
    assert len(created) <= 1


async def test_the_same_turn_again_makes_nothing_new(scene: Scene) -> None:
    opened = await scene.open()
    again = await scene.open(status=200)  # S2, S5
    assert again["replayed"]
    assert again["output_message"]["id"] == opened["output_message"]["id"]
    assert again["input_message"]["id"] == opened["input_message"]["id"]
    other = await scene.open(status=409, input={"content": "something else"})  # S7
    assert other["code"] == "turn_id_reused"
    chats = [message for message in await scene.messages() if message["message_type"] == "chat"]
    assert [message["content"] for message in chats] == ["hello"]


async def test_ids_and_inputs_that_cannot_be_are_refused_and_nothing_is_written(scene: Scene) -> None:
    for turn_id in ("", "a" * 129, "a b", "-a", "ü"):  # S3, S10
        assert (await scene.open(turn_id, status=422))["code"] == "invalid_turn_id"
    for given in ({}, {"content": "a", "parts": []}, {"content": "a", "message_id": str(UUID(int=1))}):
        await scene.open(status=422, input=given)
    assert (await scene.open(status=422, input={"message_id": str(UUID(int=1))}))["code"] == "message_mismatch"
    stranger = str(UUID(int=2))
    assert (await scene.open(status=422, assistant_id=stranger))["code"] == "assistant_not_in_conversation"
    assert (await scene.ann.get(f"{scene.path}/turns")).json() == {"turns": []}
    assert [message for message in await scene.messages() if message["message_type"] == "chat"] == []


async def test_one_turn_at_a_time_for_an_assistant(scene: Scene) -> None:
    await scene.open("t1")  # X8
    refused = await scene.open("t2", status=409)
    assert (refused["code"], refused["active_turn_id"]) == ("turn_active", "t1")
    await scene.lease("t1")
    await scene.finalize("t1")
    await scene.open("t2")


async def test_many_at_once_make_one_turn(scene: Scene) -> None:
    answers = await asyncio.gather(
        *(
            scene.ann.post(f"{scene.path}/turns", json=body)
            for body in [{"turn_id": "same", "assistant_id": scene.assistant, "input": {"content": "hello"}}] * 15
        )
    )  # W4
    assert sorted(answer.status_code for answer in answers) == [200] * 14 + [201]
    assert len({answer.json()["output_message"]["id"] for answer in answers}) == 1
    await scene.lease("same")
    await scene.finalize("same")
    answers = await asyncio.gather(
        *(
            scene.ann.post(
                f"{scene.path}/turns",
                json={"turn_id": f"d{number}", "assistant_id": scene.assistant, "input": {"content": "hello"}},
            )
            for number in range(25)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 24
    chats = [message for message in await scene.messages() if message["message_type"] == "chat"]
    assert len(chats) == 3


async def test_batches_are_taken_once_in_their_order(scene: Scene) -> None:
    await scene.open()  # W14
    await scene.lease()
    await scene.add(1, said("a"))
    assert (await scene.add(1, said("a")))["duplicate"]
    gap = await scene.add(3, said("c"), status=409)
    assert (gap["code"], gap["expected_batch"]) == ("batch_gap", 2)
    taken = await asyncio.gather(*(scene.add(2, said("b")) for _ in range(10)))
    assert sorted(each["duplicate"] for each in taken) == [False] + [True] * 9
    assert (await scene.add(3, said("c"), epoch=2, status=409))["code"] == "stale_epoch"
    await scene.add(3, {"type": "turn.finalized"}, status=422)
    await scene.add(3, {"type": "song"}, status=422)
    await scene.add(3, said("c"))
    settled = await scene.finalize()
    assert settled["turn"]["parts"] == [{"type": "text", "text": "abc"}]
    assert (await scene.add(4, said("d"), status=409))["code"] == "turn_terminal"


async def test_ending_twice_keeps_the_later_text(scene: Scene) -> None:
    await scene.open()  # S13
    await scene.lease()
    await scene.finalize(parts=[{"type": "text", "text": "one"}])
    second = await scene.finalize(parts=[{"type": "text", "text": "two"}])
    assert second["report"]["content"] == "amended"
    assert not second["report"]["first"]
    chats = [message["content"] for message in await scene.messages() if message["message_type"] == "chat"]
    assert chats == ["hello", "two"]
    await scene.finalize(parts=[{"type": "text", "text": "five"}], revision=5)
    older = await scene.finalize(parts=[{"type": "text", "text": "four"}], revision=4)
    assert older["report"]["content"] == "kept"
    assert (await scene.turn())["parts"] == [{"type": "text", "text": "five"}]


async def test_an_end_without_anything_is_marked(scene: Scene) -> None:
    await scene.open()  # S12, T8
    await scene.lease()
    settled = await scene.finalize()
    assert settled["turn"]["parts"] == MARKER
    assert (await scene.messages())[-1]["content"] == "(no text response)"


async def test_a_stream_resumes_at_any_place(scene: Scene) -> None:
    await scene.open()  # W5
    await scene.lease()
    for batch in range(1, 6):
        await scene.add(batch, said(str(batch)))
    await scene.finalize()
    async with scene.stream() as frames:
        whole = await frames.rest()
    assert [frame["place"] for frame in whole] == list(range(1, len(whole) + 1))
    for place in range(1, len(whole)):
        async with scene.stream(**{"Last-Event-ID": str(place)}) as frames:
            assert await frames.rest() == whole[place:]
    over = await scene.ann.get(f"{scene.path}/turns/t1/stream", headers={"Last-Event-ID": str(len(whole))})
    assert over.status_code == 204
    async with scene.stream(**{"Last-Event-ID": "999"}) as frames:
        snapshot, ending = await frames.rest()
    assert (snapshot["event"], ending["event"]) == ("turn.snapshot", "turn.finalized")
    assert snapshot["parts"] == ending["parts"] == [{"type": "text", "text": "12345"}]


async def test_the_turn_under_way_is_found(scene: Scene) -> None:
    url = f"{scene.path}/active-turn/stream"
    assert (await scene.ann.get(url)).status_code == 204
    await scene.open()
    await scene.lease()
    async with scene.ann.stream("GET", url) as response:
        frames = Frames(response)
        assert (await frames.next() or {})["event"] == "turn.opened"
        await scene.finalize()
        assert (await frames.rest())[-1]["event"] == "turn.finalized"


async def test_a_cancelled_turn_tells_its_producer_and_ends_with_what_there_is(scene: Scene) -> None:
    await scene.open()
    await scene.lease()
    await scene.add(1, said("half"))
    cancelled = await scene.ann.post(f"{scene.path}/turns/t1/cancel", json={"reason": "enough"})
    assert (cancelled.status_code, cancelled.json()["cancelled"]) == (202, True)
    busy = await scene.open("t2", status=409)
    assert (busy["cancel_requested"], busy["retry_after_ms"]) == (True, 200)
    assert (await scene.add(2, said(" more")))["cancel_requested"]  # W15
    settled = await scene.finalize(outcome="aborted")
    assert settled["turn"]["status"] == "aborted"
    assert settled["turn"]["parts"][0] == {"type": "text", "text": "half more"}
    assert settled["turn"]["parts"][1]["code"] == "cancelled"
    over = await scene.ann.post(f"{scene.path}/turns/t1/cancel", json={})
    assert (over.status_code, over.json()["cancelled"]) == (200, False)
    await scene.open("t2")
    unclaimed = await scene.ann.post(f"{scene.path}/turns/t2/cancel", json={})
    assert unclaimed.json()["turn"]["status"] == "aborted"
    unknown = await scene.ann.post(f"{scene.path}/turns/nothing/cancel", json={})
    assert unknown.status_code == 404


async def test_a_producer_that_is_lost_ends_the_turn_and_may_come_back(own_scene: Scene) -> None:
    await own_scene.open()  # W1, W6
    await own_scene.lease()
    await own_scene.add(1, said("half"))
    assert await reap(own_scene, "lease_expires_at") == 1
    assert await reap(own_scene) == 0
    turn = await own_scene.turn()
    assert (turn["status"], turn["finish_reason"]) == ("failed", "producer_lost")
    assert turn["error"]["code"] == "producer_lost"
    assert turn["parts"][0] == {"type": "text", "text": "half"}
    assert turn["parts"][-1]["code"] == "interrupted"
    healed = await own_scene.finalize(parts=[{"type": "text", "text": "whole"}])
    assert (healed["turn"]["status"], healed["report"]["content"]) == ("finalized", "amended")
    chats = [message["content"] for message in await own_scene.messages() if message["message_type"] == "chat"]
    assert chats == ["hello", "whole"]
    async with own_scene.stream() as frames:
        assert [frame["event"] for frame in await frames.rest()].count("turn.failed") == 0


async def say(own_scene: Scene, who: Any, content: str, **fields: Any) -> Any:
    answer = await who.post(f"{own_scene.path}/messages", json={"content": content, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def chats(own_scene: Scene) -> list[str]:
    return [message["content"] for message in await own_scene.messages() if message["message_type"] == "chat"]


async def test_an_answer_posted_once_more_in_the_plain_way_is_the_one_that_is_there(scene: Scene) -> None:
    opened = await scene.open()  # X3
    await scene.lease()
    early = await say(scene, scene.robot, "not yet", turn_id="t1")
    assert (early["id"], early["content"]) == (opened["output_message"]["id"], "")
    await scene.finalize(parts=[{"type": "text", "text": "the answer"}])
    late = await say(scene, scene.robot, "late", turn_id="t1")
    assert (late["id"], late["content"]) == (opened["output_message"]["id"], "the answer")
    in_metadata = await say(scene, scene.robot, "late", metadata={"turn_id": "t1"})
    assert in_metadata["id"] == late["id"]
    claimed = await say(scene, scene.ann, "I am the robot", turn_id="t1")
    assert claimed["id"] == opened["input_message"]["id"]  # L2: her own slot is the question's
    assert await chats(scene) == ["hello", "the answer"]


async def test_messages_posted_before_the_turn_is_opened_become_its_own(scene: Scene) -> None:
    asked = await say(scene, scene.ann, "asked before", turn_id="t1")  # X4
    answered = await say(scene, scene.robot, "answered before", turn_id="t1")
    opened = await scene.open()
    assert opened["input_message"]["id"] == asked["id"]
    assert opened["input_message"]["content"] == "asked before"
    assert {"code": "input_adopted", "path": "input"} in opened["warnings"]
    assert opened["output_message"]["id"] == answered["id"]
    await scene.lease()
    await scene.finalize(parts=[{"type": "text", "text": "made"}])
    assert await chats(scene) == ["asked before", "made"]


async def test_messages_without_a_turn_and_notices_are_like_any_other(scene: Scene) -> None:
    await scene.open()  # X5, W9
    await scene.lease()
    first = await say(scene, scene.ann, "plain")
    assert first["id"] != (await say(scene, scene.ann, "plain"))["id"]
    notices = [await say(scene, scene.robot, "working", turn_id="t1", message_type="notice") for _ in range(3)]
    assert len({notice["id"] for notice in notices}) == 3
    odd = [await say(scene, scene.ann, "odd id", turn_id="not valid!") for _ in range(2)]
    assert odd[0]["id"] != odd[1]["id"]


async def test_an_assistant_that_knows_no_turns_answers_by_its_next_message(scene: Scene) -> None:
    opened = await scene.open()  # W16
    async with scene.stream() as frames:
        await frames.next()
        notice = await say(scene, scene.robot, "one moment", message_type="notice")
        assert notice["id"] != opened["output_message"]["id"]
        answered = await say(scene, scene.robot, "the answer")
        ending = (await frames.rest())[-1]
    assert answered["id"] == opened["output_message"]["id"]
    assert (ending["event"], ending["finish_reason"]) == ("turn.finalized", "legacy")
    assert await chats(scene) == ["hello", "the answer"]
    after = await say(scene, scene.robot, "and another thing")
    assert after["id"] != answered["id"]


async def test_two_people_with_one_turn_id_lose_no_text(scene: Scene) -> None:
    conversation = scene.path.rpartition("/")[2]  # W18
    await scene.service.seat_user(conversation, "ben")
    ben = scene.service.user("ben")
    await scene.open()
    body = {"turn_id": "t1", "assistant_id": scene.assistant, "input": {"content": "hello"}}
    refused = await ben.post(f"{scene.path}/turns", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "turn_id_reused")
    await say(scene, ben, "from Ben", turn_id="t1")
    assert await chats(scene) == ["hello", "from Ben"]
    await say(scene, ben, "Ben first", turn_id="t9")
    refused = await scene.ann.post(f"{scene.path}/turns", json={**body, "turn_id": "t9", "input": {"content": "Ann"}})
    assert refused.status_code == 409


async def test_only_whose_turn_it_is_may_act_on_it(scene: Scene) -> None:
    conversation = scene.path.rpartition("/")[2]
    for user, permission in (("ben", "read_write"), ("eve", "read")):
        await scene.service.seat_user(conversation, user, permission)
    ben, eve, stranger = (scene.service.user(name) for name in ("ben", "eve", "zoe"))
    await scene.open()
    one = f"{scene.path}/turns/t1"
    assert (await eve.get(one)).status_code == 200
    assert (await stranger.get(one)).status_code == 404
    assert (await stranger.get(f"{one}/stream")).status_code == 404
    body = {"turn_id": "t2", "assistant_id": scene.assistant, "input": {"content": "hello"}}
    assert (await eve.post(f"{scene.path}/turns", json=body)).status_code == 403
    assert (await stranger.post(f"{scene.path}/turns", json=body)).status_code == 404
    assert (await ben.post(f"{one}/cancel", json={})).status_code == 403
    assert (await ben.put(f"{one}/lease", json={"producer_id": "p"})).status_code == 403
    assert (await ben.post(f"{one}/finalize", json={"epoch": 0, "outcome": "completed"})).status_code == 403
    own = scene.service.assistant_service(scene.recorder.service_id)
    assert (await own.put(f"{one}/lease", json={"producer_id": "p"})).status_code == 200
    other = scene.service.assistant_service("other.workbench.example")
    assert (await other.put(f"{one}/lease", json={"producer_id": "p"})).status_code in {401, 404}
    assert (await scene.ann.post(f"{one}/cancel", json={})).status_code == 202


def picture(size: int) -> dict[str, str]:
    content = b"\x89PNG\r\n\x1a\n" + b"\0" * size
    return {"media_type": "image/png", "data": base64.b64encode(content).decode()}


async def test_a_large_image_becomes_a_file_and_a_small_one_stands_in_the_question(scene: Scene) -> None:
    asked = {"content": "What is this?", "images": [picture(100), picture(100_000)]}
    opened = await scene.open(input=asked)
    text, small, large = opened["input_message"]["parts"]
    assert text == {"type": "text", "text": "What is this?"}
    assert small["image"].startswith("data:image/png;base64,")
    assert large["image"].startswith("workbench-file:")
    name = large["image"].removeprefix("workbench-file:")
    assert opened["input_message"]["message"]["filenames"] == [name]
    stored = await scene.ann.get(f"{scene.path}/files/{name}")
    assert (stored.status_code, len(stored.content)) == (200, 100_008)
    await scene.open(status=200, input=asked)
    versions = (await scene.ann.get(f"{scene.path}/files/{name}/versions")).json()["versions"]
    assert len(versions) == 1
    refused = await scene.open("t2", status=409, input={"content": "And this?", "images": [picture(200_000)]})
    assert refused["code"] == "turn_active"
    assert len((await scene.ann.get(f"{scene.path}/files")).json()["files"]) == 1


CALL = {"call_id": "c1", "model": "m-large", "prompt_tokens": 100, "completion_tokens": 50, "cost_usd": "0.012345"}


async def used(scene: Scene, turn_id: str = "t1") -> Any:
    return (await scene.ann.get(f"{scene.path}/turns/{turn_id}/usage")).json()


async def test_an_answer_with_tools_and_its_usage_are_stored_once_and_unchanged(scene: Scene) -> None:
    await scene.open()  # S11, S13, S14
    await scene.lease()
    parts = [
        {"type": "text", "text": "Two files."},
        {
            "type": "tool-call",
            "toolCallId": "1",
            "toolName": "list",
            "args": {"path": "/"},
            "argsText": '{\n  "path": "/"\n}',
            "result": {"files": ["a", "b"]},
            "langchainToolCallId": "lc-1",
        },
    ]
    first = await scene.finalize(parts=parts, usage={"calls": [CALL]})
    assert first["turn"]["parts"] == parts
    assert first["report"]["usage"] == "inserted"
    expected = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, "cost_micros": 12345}
    assert expected.items() <= (await used(scene))["usage"].items()
    later = {**CALL, "call_id": "c2", "cost_usd": "9"}
    second = await scene.finalize(parts=[{"type": "text", "text": "other"}], usage={"calls": [later]})
    assert (second["report"]["content"], second["report"]["usage"]) == ("amended", "kept_existing")
    assert expected.items() <= (await used(scene))["usage"].items()
    rows = (await scene.ann.get("/usage")).json()["rows"]
    assert [(row["cost_micros"], row["usage_type"], row["user_id"]) for row in rows] == [(12345, "chat", "ann")]
    assert rows[0]["message_id"] == first["turn"]["output_message_id"]
    totals = (await scene.ann.get(f"{scene.path}/usage")).json()
    assert totals["total"]["cost_micros"] == 12345


async def test_calls_of_a_lost_producer_are_billed_for_the_time_being_and_settled_when_it_comes_back(
    own_scene: Scene,
) -> None:
    await own_scene.open()  # W1, W6
    await own_scene.lease()
    await own_scene.add(1, said("half"), {"type": "usage.call", **CALL})
    await reap(own_scene, "lease_expires_at")
    provisional = await used(own_scene)
    assert (provisional["usage_state"], provisional["usage"]["total_tokens"]) == ("provisional", 150)
    more = {**CALL, "call_id": "c2", "completion_tokens": 7}
    healed = await own_scene.finalize(parts=[{"type": "text", "text": "whole"}], usage={"calls": [CALL, more]})
    assert healed["report"]["usage"] == "upgraded"
    settled = await used(own_scene)
    assert (settled["usage_state"], settled["usage"]["total_tokens"]) == ("recorded", 257)
    stale = await own_scene.finalize(epoch=9, status=409)
    assert stale["code"] == "stale_epoch"
    assert await used(own_scene) == settled


BREAKS = {
    "sqlite": (
        ["CREATE TRIGGER breaks BEFORE INSERT ON token_usage BEGIN SELECT * FROM nowhere; END"],
        ["DROP TRIGGER breaks"],
    ),
    "postgresql": (
        [
            "CREATE FUNCTION fails() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'no'; END $$ LANGUAGE plpgsql",
            "CREATE TRIGGER breaks BEFORE INSERT ON token_usage FOR EACH ROW EXECUTE FUNCTION fails()",
        ],
        ["DROP TRIGGER breaks ON token_usage"],
    ),
}
"""How writing a bill is made to fail, and to work again."""


async def run(own_scene: Scene, *statements: str) -> None:
    async with open_store(owner_of(own_scene.service.database_url), SystemClock()) as store:
        for statement in statements:
            await store.database.transact(lambda connection, statement=statement: connection.exec_driver_sql(statement))


async def test_an_answer_is_kept_where_its_bill_cannot_be_written_yet(own_scene: Scene) -> None:
    await own_scene.open()  # W7
    await own_scene.lease()
    breaks, mends = BREAKS["sqlite" if "sqlite" in own_scene.service.database_url else "postgresql"]
    await run(own_scene, *breaks)
    settled = await own_scene.finalize(parts=[{"type": "text", "text": "kept"}], usage={"calls": [CALL]})
    assert (settled["report"]["content"], settled["report"]["usage"]) == ("written", "deferred")
    await run(own_scene, *mends)
    assert (await used(own_scene))["usage_state"] == "pending"
    assert await chats(own_scene) == ["hello", "kept"]
    await reap(own_scene)
    assert (await used(own_scene))["usage"]["total_tokens"] == 150
    assert (await used(own_scene))["usage_state"] == "recorded"


async def test_the_cost_is_not_for_everybody(scene: Scene) -> None:
    await scene.service.seat_user(scene.path.rpartition("/")[2], "ben")
    await scene.open()  # R11
    await scene.lease()
    await scene.add(1, {"type": "usage.call", **CALL})
    await scene.finalize(usage={"calls": [CALL]})
    async with scene.stream() as frames:
        assert all("cost" not in json.dumps(frame) for frame in await frames.rest())
    seen = (await scene.service.user("ben").get(f"{scene.path}/turns/t1/usage")).json()["usage"]
    assert seen["total_tokens"] == 150
    assert "cost_micros" not in seen
    assert (await scene.robot.get(f"{scene.path}/turns/t1/usage")).json()["usage"]["cost_micros"] == 12345


async def test_an_answer_that_was_cut_off_ends_for_its_length(scene: Scene) -> None:
    await scene.open()  # U7, X10
    await scene.lease()
    settled = await scene.finalize(usage={"calls": [{**CALL, "finish_reason": "length"}]})
    assert settled["turn"]["finish_reason"] == "length"


async def test_usage_that_cannot_be_is_refused(scene: Scene) -> None:
    await scene.open()  # U4
    await scene.lease()
    for wrong in ({"prompt_tokens": -1}, {"completion_tokens": 1.5}, {"cost_usd": "-1"}):
        await scene.finalize(status=422, usage={"calls": [{**CALL, **wrong}]})
        await scene.add(1, {"type": "usage.call", **CALL, **wrong}, status=422)
    assert (await scene.turn())["status"] == "streaming"


async def test_parts_are_there_for_those_who_ask(scene: Scene) -> None:
    await say(scene, scene.ann, "plain")
    await scene.open(input={"content": "hello", "images": [picture(10)]})
    message = (await scene.messages())[-1]
    assert "parts" not in message
    plain, asked = (await scene.messages(include="parts"))[-2:]
    assert plain["parts"] == [{"type": "text", "text": "plain"}]
    assert [part["type"] for part in asked["parts"]] == ["text", "image"]
    one = await scene.ann.get(f"{scene.path}/messages/{message['id']}", params={"include": "parts"})
    assert one.json() == asked


async def test_what_happened_long_ago_is_told_as_a_whole(own_scene: Scene) -> None:
    await own_scene.open()
    await own_scene.lease()
    await own_scene.add(1, said("the answer"))
    ended = await own_scene.finalize()
    await reap(own_scene, "finished_at")
    async with open_store(own_scene.service.database_url, SystemClock()) as store:
        async with store.transactions.read("default") as tx:
            turn = await tx.turns.find(UUID(own_scene.path.rpartition("/")[2]), "t1")
            assert turn is not None
            assert await tx.turns.events(turn.pk, 0, 10) == []
    async with own_scene.stream() as frames:
        snapshot, ending = await frames.rest()
    assert (snapshot["event"], ending["event"]) == ("turn.snapshot", "turn.finalized")
    assert snapshot["parts"] == ending["parts"] == ended["turn"]["parts"]
    last = {"Last-Event-ID": str(snapshot["place"])}
    assert (await own_scene.ann.get(f"{own_scene.path}/turns/t1/stream", headers=last)).status_code == 204
    again = await own_scene.finalize()
    assert again["turn"]["parts"] == ended["turn"]["parts"]
    assert await chats(own_scene) == ["hello", "the answer"]


async def test_a_turn_that_is_not_due_is_not_looked_at(own_scene: Scene) -> None:
    await own_scene.open()
    async with open_store(own_scene.service.database_url, SystemClock()) as store:
        watch, now = SqlTurnWatch(store.database, SystemClock()), SystemClock().now()
        assert await watch.due(now, 10) == []  # its assistant may answer in the plain way, up to the deadline
        await own_scene.lease()
        assert await watch.due(now + timedelta(seconds=70), 10) == []  # the lease is over, the grace is not
        assert [due.turn_id for due in await watch.due(now + timedelta(seconds=90), 10)] == ["t1"]


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (f"SELECT pk FROM turns WHERE conversation_id = 'c' AND assistant_id = 'a' AND {ACTIVE}", "uq_turns_active"),
        (f"SELECT pk FROM turns WHERE finished_at < 'x' AND {FORGETTABLE}", "ix_turns_finished_at"),
        (f"SELECT pk FROM turns WHERE {UNBILLED}", "ix_turns_unbilled"),
        (f"SELECT pk FROM turns WHERE {WATCHED} AND watched_until < 'x'", "ix_turns_watched_until"),
    ],
)
def test_turns_are_found_by_their_partial_indexes(sqlite_template: Path, statement: str, index: str) -> None:
    with contextlib.closing(sqlite3.connect(sqlite_template)) as connection:
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}"))
    assert index in plan


async def test_a_turn_may_take_the_place_of_the_one_under_way(scene: Scene) -> None:
    await scene.open("t1")
    await scene.lease("t1")
    opening = asyncio.create_task(scene.open("t2", options={"on_busy": "cancel_active"}))
    async with scene.stream("t1") as frames:
        while (await frames.next() or {})["event"] != "turn.cancel_requested":
            pass
    assert not opening.done()
    await scene.finalize("t1", outcome="aborted")
    assert (await opening)["turn"]["status"] == "opened"
    await scene.service.seat_user(scene.path.rpartition("/")[2], "ben")
    body = {"turn_id": "t3", "assistant_id": scene.assistant, "input": {"content": "now me"}}
    ben = scene.service.user("ben")
    refused = await ben.post(f"{scene.path}/turns", json={**body, "options": {"on_busy": "cancel_active"}})
    assert (refused.status_code, refused.json()["code"]) == (409, "turn_active")
    assert (await scene.turn("t2"))["status"] == "opened"


async def test_readers_of_the_conversation_hear_of_turns_if_they_ask(scene: Scene) -> None:
    await scene.open()
    await scene.lease()
    await scene.finalize(parts=[{"type": "text", "text": "one"}])
    await scene.finalize(parts=[{"type": "text", "text": "two"}])

    async def heard(**query: str) -> list[str]:
        names: list[str] = []
        async with scene.ann.stream("GET", f"{scene.path}/events", params={"last_event_id": "0", **query}) as response:
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    names.append(line.removeprefix("event: "))
                if names.count("message.created") == 3:
                    break
        return [name for name in names if name.startswith("turn.") or name == "message.updated"]

    await say(scene, scene.ann, "and then")
    assert await heard() == []
    assert await heard(include="turns") == ["turn.opened", "turn.status", "turn.status", "message.updated"]
    await eventually(lambda: len(scene.recorder.events(scene.assistant)) >= 2)
    assert not [event for event in scene.recorder.events(scene.assistant) if event["event"].startswith("turn.")]


async def test_each_route_says_how_much_it_takes(sqlite_service: Service) -> None:
    async with set_up(sqlite_service) as scene:
        await limits_of(scene)


async def limits_of(scene: Scene) -> None:
    await scene.open(input={"content": "Look", "images": [picture(7 << 20)]})
    await scene.lease()
    refused = await scene.add(1, said("x" * (256 << 10)), status=413)
    assert (refused["code"], refused["limit_bytes"]) == ("too_large", 256 << 10)
    refused = await scene.finalize(status=413, metadata={"x": "y" * (9 << 20)})
    assert refused["limit_bytes"] == 8 << 20
    refused = await scene.open("t2", status=413, input={"content": "x" * (257 << 10)})
    assert (refused["code"], refused["limit_bytes"]) == ("payload_too_large", 256 << 10)
    refused = await scene.open("t2", status=413, input={"content": "Look", "images": [picture(9 << 20)]})
    assert refused["code"] == "payload_too_large"


async def test_usage_in_a_plain_message_counts_only_from_the_assistant_that_answers(scene: Scene) -> None:
    await scene.open()  # L4, W12
    await say(scene, scene.ann, "mine", turn_id="t9", token_usage={"prompt_tokens": 0, "completion_tokens": 0})
    assert (await used(scene))["usage"] is None
    await say(scene, scene.robot, "the answer", token_usage={"prompt_tokens": 3, "completion_tokens": 4})
    settled = await used(scene)
    assert (settled["usage_state"], settled["usage"]["total_tokens"]) == ("provisional", 7)
    await scene.open("t2")
    await say(scene, scene.robot, "another", token_usage={"prompt_tokens": "many"})
    assert (await used(scene, "t2"))["usage"] is None
    await scene.open("t3")
    await say(scene, scene.robot, "one more", token_usage=[1])
    assert await chats(scene) == ["hello", "mine", "the answer", "hello", "another", "hello", "one more"]
