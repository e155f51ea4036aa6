"""What the specification of turns wants to see (section 9) that no other file shows. Numbers are those of its list."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.http.test_turns import CALL, Scene, chats, reap, said, say, set_up, used
from tests.support.service import Service, running_service

from workbench.domain.turns.reaping import LOST


@pytest.fixture
async def scene(service: Service) -> AsyncGenerator[Scene]:
    async with set_up(service) as made:
        yield made


@pytest.fixture
async def own_scene(own_service: Service) -> AsyncGenerator[Scene]:
    async with set_up(own_service) as made:
        yield made


async def test_mentioned_documents_are_one_part_of_the_question(scene: Scene) -> None:
    mentions = [
        {"id": 11, "title": "Alpha", "document_type": "GENERAL"},
        {"id": 12, "title": "B", "document_type": "X"},
    ]
    opened = await scene.open(input={"content": "Compare", "mentioned_documents": mentions})  # S8
    assert opened["input_message"]["parts"] == [
        {"type": "text", "text": "Compare"},
        {"type": "mentioned-documents", "documents": mentions},
    ]
    assert opened["warnings"] == []


async def test_the_end_of_an_unknown_turn_leaves_nothing(scene: Scene) -> None:
    refused = await scene.finalize("never", status=404, usage={"calls": [CALL]})  # S15
    assert refused["code"] == "turn_not_found"
    assert (await scene.ann.get("/usage")).json()["rows"] == []


async def test_an_end_changes_the_answer_of_its_own_turn_and_no_other_message(scene: Scene) -> None:
    first = await scene.open("t1", input={"content": "one?"})  # W11
    await scene.lease("t1")
    await scene.finalize("t1", parts=[{"type": "text", "text": "one"}])
    second = await scene.open("t2", input={"content": "two?"})
    await scene.lease("t2")
    for other in (first["output_message"]["id"], second["input_message"]["id"]):
        named = {"id": other, "message_id": other, "output_message_id": other, "input_message_id": other}
        await scene.finalize("t2", parts=[{"type": "text", "text": "two"}], metadata=named, usage={"calls": [CALL]})
    assert await chats(scene) == ["one?", "one", "two?", "two"]
    assert (await used(scene, "t1"))["usage"] is None
    assert (await scene.turn("t2"))["output_message_id"] == second["output_message"]["id"]


async def test_what_was_streamed_with_tools_is_what_is_stored(scene: Scene) -> None:
    await scene.open()  # X2
    await scene.lease()
    call = {"toolCallId": "c", "toolName": "list"}
    await scene.add(
        1,
        {"type": "reasoning.delta", "id": "r", "delta": "hm"},
        said("Let me "),
        said("look."),
        {"type": "tool.start", **call},
        {"type": "tool.args.delta", **call, "delta": '{"path"'},
        {"type": "tool.args", **call, "args": {"path": "/", "deep": True}},
        {"type": "tool.result", **call, "result": {"files": ["a"]}},
        said("One file.", "u"),
    )
    settled = await scene.finalize(usage={"calls": [CALL]})
    reasoning, before, tool, after = settled["turn"]["parts"]
    assert (reasoning["type"], reasoning["text"], reasoning["status"]) == ("reasoning", "hm", "completed")
    assert [part["text"] for part in (before, after)] == ["Let me look.", "One file."]
    assert tool["argsText"] == '{\n  "path": "/",\n  "deep": true\n}'
    assert (tool["args"], tool["result"]) == ({"path": "/", "deep": True}, {"files": ["a"]})
    stored = (await scene.messages(include="parts"))[-1]
    assert (stored["parts"], stored["content"]) == (settled["turn"]["parts"], "Let me look.\n\nOne file.")
    assert len((await scene.ann.get("/usage")).json()["rows"]) == 1


@pytest.mark.parametrize(("late", "code"), [(("lease_expires_at",), "producer_lost"), (("deadline_at",), "deadline")])
async def test_failures_are_told_in_words_that_are_registered(
    own_scene: Scene, late: tuple[str, ...], code: str
) -> None:
    await own_scene.open()  # X9, W1
    await own_scene.lease()
    call = {"toolCallId": "c", "toolName": "list"}
    await own_scene.add(1, said("half"), {"type": "tool.start", **call}, {"type": "usage.call", **CALL})
    assert await reap(own_scene, *late) == 1
    async with own_scene.stream() as frames:
        ending = (await frames.rest())[-1]
    assert (ending["event"], ending["finish_reason"]) == ("turn.failed", code)
    registered = LOST[code]
    assert ending["error"] == {"code": code, "message": registered.message, "retryable": code == "producer_lost"}
    text, tool, status = ending["parts"]
    assert (text["text"], tool["state"], status["code"]) == ("half", "aborted", "interrupted")
    assert (await used(own_scene))["usage_state"] == "provisional"


async def test_a_turn_that_waits_for_an_answer_is_found_among_many_newer_ones(scene: Scene) -> None:
    await scene.open("paused")  # X12
    await scene.lease("paused")
    await scene.finalize("paused", finish_reason="awaiting_input", parts=[{"type": "text", "text": "Shall I?"}])
    for number in range(25):
        await scene.open(f"later-{number}")
        await say(scene, scene.robot, "an answer", turn_id=f"later-{number}")
        turn = await scene.turn(f"later-{number}")
        if turn["status"] == "opened":
            await scene.lease(f"later-{number}")
            await scene.finalize(f"later-{number}")
    found = await scene.turn("paused")
    assert (found["finish_reason"], found["parts"][0]["text"]) == ("awaiting_input", "Shall I?")
    follows = await scene.open("answered", parent_turn_id="paused", input={"content": "Yes"})
    assert follows["turn"]["parent_turn_id"] == "paused"


async def test_opening_and_plain_messages_at_once_make_one_question_and_one_answer(scene: Scene) -> None:
    body = {"turn_id": "same", "assistant_id": scene.assistant, "input": {"content": "hello"}}
    plain = {"content": "hello", "turn_id": "same"}
    answers = await asyncio.gather(
        *(scene.ann.post(f"{scene.path}/turns", json=body) for _ in range(15)),
        scene.ann.post(f"{scene.path}/messages", json=plain),
        scene.robot.post(f"{scene.path}/messages", json={**plain, "content": "an answer"}),
    )  # W4
    assert {answer.status_code for answer in answers} <= {200, 201}
    opened = [answer.json() for answer in answers[:15]]
    assert len({(each["input_message"]["id"], each["output_message"]["id"]) for each in opened}) == 1
    assert answers[15].json()["id"] == opened[0]["input_message"]["id"]
    assert answers[16].json()["id"] == opened[0]["output_message"]["id"]
    listed = (await scene.ann.get(f"{scene.path}/turns")).json()["turns"]
    assert [turn["turn_id"] for turn in listed] == ["same"]
    assert await chats(scene) in (["hello", "an answer"], ["an answer", "hello"])


async def test_watchers_on_two_replicas_see_the_same_and_a_cancellation_crosses_them(
    database_url: str, tmp_path: Path
) -> None:
    async with (
        running_service(database_url, tmp_path / "data") as here,
        running_service(database_url, tmp_path / "data") as there,
        set_up(here) as scene,
    ):
        other = Scene(there, scene.recorder, scene.assistant, scene.path)
        await scene.open()  # W5, W15
        await scene.lease()
        async with scene.stream() as mine, other.stream() as theirs:
            seen: tuple[list[Any], list[Any]] = ([await mine.next()], [await theirs.next()])
            await scene.add(1, said("here "))
            await other.add(2, said("there"))
            cancelled = await other.ann.post(f"{other.path}/turns/t1/cancel", json={})
            assert cancelled.status_code == 202
            assert (await scene.add(3))["cancel_requested"]
            await scene.finalize(outcome="aborted")
            async with asyncio.timeout(20):
                seen[0].extend(await mine.rest())
                seen[1].extend(await theirs.rest())
    assert seen[0] == seen[1]
    assert [frame["place"] for frame in seen[0]] == list(range(1, len(seen[0]) + 1))
    assert seen[0][-1]["event"] == "turn.aborted"
    assert UUID(seen[0][0]["output_message_id"])
