"""Duplicates, and conversations that assistants make for others: one path, two meanings."""

from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import Behaviour, status
from tests.support.service import Service


@pytest.fixture
async def recorder(service: Service) -> AsyncGenerator[RecordingAssistantService]:
    async with service.recorder() as running:
        yield running


async def robot_of(ann: httpx.AsyncClient, recorder: RecordingAssistantService) -> str:
    made = {"assistant_service_id": recorder.service_id, "name": "Robot"}
    return (await ann.post("/assistants", json=made)).json()["id"]


async def talk_of(ann: httpx.AsyncClient, *assistants: str, **new: Any) -> str:
    conversation = (await ann.post("/conversations", json=new)).json()["id"]
    for assistant in assistants:
        (await ann.put(f"/conversations/{conversation}/participants/{assistant}", json={})).raise_for_status()
    return conversation


async def copied(who: httpx.AsyncClient, conversation: str, **wanted: Any) -> str:
    answer = await who.post(f"/conversations/{conversation}", json=wanted)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["conversation_ids", "assistant_ids"]
    (copy,) = answer.json()["conversation_ids"]
    return copy


async def all_of(who: httpx.AsyncClient, path: str, name: str) -> list[dict[str, Any]]:
    return (await who.get(path)).json()[name]


def without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


async def eventful(service: Service) -> str:
    """A conversation of ann's with messages, files in versions, an observer, and somebody who left."""
    ann = service.user("ann")
    original = await talk_of(ann, title="Plans", metadata={"a": 1, "b": 1})
    path = f"/conversations/{original}"
    for number in range(3):
        said = {"content": f"{number}", "metadata": {"n": number}, "message_type": "note" if number == 1 else "chat"}
        await ann.post(f"{path}/messages", json={**said, "debug_data": {"why": number}})
    for content in (b"one", b"two"):
        await ann.put(
            f"{path}/files", files={"files": ("a/b.txt", content)}, data={"metadata": '{"a/b.txt": {"k": 1}}'}
        )
    await ann.put(f"{path}/files", files={"files": ("c.txt", b"see")})
    await service.seat_user(original, "bob", "read")
    await service.seat_user(original, "cay")
    await service.user("cay").put(f"{path}/participants/me", json={"active_participant": False})
    await ann.put(f"{path}/participants/me", json={"status": "busy", "metadata": {"pinned": True}})
    return original


async def test_a_duplicate_has_everything_under_ids_of_its_own(service: Service) -> None:
    ann = service.user("ann")
    original = await eventful(service)
    path = f"/conversations/{original}"
    copy = await copied(ann, original, title="", metadata={"b": 2})
    assert copy != original
    copy_path = f"/conversations/{copy}"
    before, after = (await ann.get(path)).json(), (await ann.get(copy_path)).json()
    assert (after["title"], after["owner_id"], after["imported_from_conversation_id"]) == (
        "Plans (Copy)",
        "ann",
        original,
    )
    assert after["metadata"] == {**before["metadata"], "b": 2, "_original_conversation_id": original}
    assert after["created_datetime"] > before["created_datetime"]
    old, new = [await all_of(ann, f"{each}/messages", "messages") for each in (path, copy_path)]
    assert [without(one, "id") for one in new] == [without(one, "id") for one in old]
    ids = [one["id"] for one in [*old, *new]]
    assert len({*ids}) == 6
    assert [str(UUID(each)) for each in ids] == ids
    for number, message in enumerate(new):
        debug = (await ann.get(f"{copy_path}/messages/{message['id']}/debug_data")).json()
        assert debug == {"message_id": message["id"], "debug_data": {"why": number}}
    people = await all_of(ann, f"{copy_path}/participants?include_inactive=true", "participants")
    assert [(one["id"], one["conversation_permission"], one["status"], one["metadata"]) for one in people] == [
        ("ann", "read_write", "busy", {}),
        ("bob", "read", None, {}),
    ]


async def test_a_duplicate_has_the_files_and_outlives_the_original(service: Service) -> None:
    ann = service.user("ann")
    original = await eventful(service)
    path, copy_path = f"/conversations/{original}", f"/conversations/{await copied(ann, original)}"
    files = await all_of(ann, f"{copy_path}/files", "files")
    assert [without(one, "conversation_id") for one in files] == [
        without(one, "conversation_id") for one in await all_of(ann, f"{path}/files", "files")
    ]
    assert (await ann.get(f"{copy_path}/files/a/b.txt")).content == b"two"
    assert (await ann.get(f"{copy_path}/files/a/b.txt?version=1")).content == b"one"
    assert (await ann.delete(path)).status_code == 204
    assert (await ann.get(f"{copy_path}/files/c.txt")).content == b"see"
    said = (await ann.post(f"{copy_path}/messages", json={"content": "on"})).json()
    assert (await all_of(ann, f"{copy_path}/messages", "messages"))[-1] == said


async def test_titles_are_as_the_contract_has_them(service: Service) -> None:
    ann = service.user("ann")
    original = await talk_of(ann, title="Plans")
    for wanted, title in (({}, "New Conversation"), ({"title": ""}, "Plans (Copy)"), ({"title": "Mine"}, "Mine")):
        copy = await copied(ann, original, **wanted)
        assert (await ann.get(f"/conversations/{copy}")).json()["title"] == title


async def test_everybody_in_the_copy_is_told_of_it(service: Service) -> None:
    ann, bob = service.user("ann"), service.user("bob")
    original = await talk_of(ann)
    await service.seat_user(original, "bob")
    async with bob.stream("GET", "/events") as stream:
        lines = stream.aiter_lines()
        copy = await copied(bob, original)
        async for line in lines:
            if line.startswith("event: "):
                assert line == "event: conversation.created"
                break
    listed = await all_of(ann, "/conversations", "conversations")
    assert [(one["id"], one["owner_id"]) for one in listed] == [(copy, "ann"), (original, "ann")]


async def test_only_who_may_write_duplicates(service: Service) -> None:
    ann = service.user("ann")
    original = await talk_of(ann)
    await service.seat_user(original, "oda", "read")
    for who in (service.user("oda"), service.user("eve"), service.user("ann", "elsewhere")):
        assert (await who.post(f"/conversations/{original}", json={})).status_code == 404
    assert (await ann.post(f"/conversations/{uuid4()}", json={})).status_code == 404
    assert (await ann.post("/conversations/ann", json={})).status_code == 422
    assert (await ann.post(f"/conversations/{original}", json={"metadata": {"a": "x" * 300_000}})).status_code == 413
    assert len(await all_of(ann, "/conversations", "conversations")) == 1


async def test_assistants_know_the_copy_as_they_know_the_original(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann = service.user("ann")
    robot, gone = await robot_of(ann, recorder), await robot_of(ann, recorder)
    original = await talk_of(ann, robot, gone, title="Plans")
    await ann.put(f"/conversations/{original}/participants/{gone}", json={"active_participant": False})
    recorder.answer(Kind.EXPORT_CONVERSATION, Behaviour(status=200, body=b"\x00what it knows\xff"))
    answer = (await ann.post(f"/conversations/{original}", json={"title": "Copy"})).json()
    assert answer["assistant_ids"] == [robot]
    (copy,) = answer["conversation_ids"]
    (joining,) = [call for call in recorder.received(Kind.PUT_CONVERSATION) if copy in call.path]
    assert joining.path == f"/{robot}/conversations/{copy}"
    assert joining.headers["content-type"].startswith("multipart/form-data")
    assert b'name="from_export"; filename="conversation_data.bin"' in joining.body
    assert b"\x00what it knows\xff" in joining.body
    assert f'{{"id":"{copy}","title":"Copy"}}'.encode() in joining.body
    delivery = (await ann.get(f"/assistants/{robot}/delivery")).json()
    assert {one["state"] for one in delivery["conversations"]} == {"live"}
    await ann.post(f"/conversations/{copy}/messages", json={"content": "hello"})
    await recorder.wait_for(lambda service: any(_is_said(call, copy) for call in service.events()))


def _is_said(call: Any, conversation: str) -> bool:
    return call["conversation_id"] == conversation and call["event"] == "message.created"


@pytest.mark.parametrize("failing", [Kind.EXPORT_CONVERSATION, Kind.PUT_CONVERSATION])
async def test_an_assistant_that_fails_does_not_keep_the_copy_from_being_made(
    service: Service, recorder: RecordingAssistantService, failing: Kind
) -> None:
    ann = service.user("ann")
    robot = await robot_of(ann, recorder)
    original = await talk_of(ann, robot)
    recorder.answer(failing, then=status(500))
    copy = await copied(ann, original)
    delivery = (await ann.get(f"/assistants/{robot}/delivery")).json()
    assert {one["conversation_id"]: one["state"] for one in delivery["conversations"]} == {
        original: "live",
        copy: "rejoining",
    }
    seats = await all_of(ann, f"/conversations/{copy}/participants", "participants")
    assert [one["id"] for one in seats] == ["ann", robot]


async def test_an_assistant_duplicates_where_it_is(service: Service, recorder: RecordingAssistantService) -> None:
    ann = service.user("ann")
    robot_id = await robot_of(ann, recorder)
    original = await talk_of(ann, robot_id, title="Plans")
    robot = service.assistant(robot_id, recorder.service_id)
    copy = await copied(robot, original, title="")
    assert (await ann.get(f"/conversations/{copy}")).json()["owner_id"] == "ann"
    assert (await robot.delete(f"/conversations/{copy}")).status_code == 204
    assert (await ann.get(f"/conversations/{copy}")).status_code == 404
    assert (await robot.delete(f"/conversations/{original}")).status_code == 204
    assert (await ann.get(f"/conversations/{original}")).status_code == 200


async def test_an_assistant_makes_a_conversation_for_an_owner(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann = service.user("ann")
    robot_id = await robot_of(ann, recorder)
    await service.user("bob").get("/users/me")
    robot = service.assistant(robot_id, recorder.service_id)
    answer = await robot.post("/conversations/bob", json={"title": "For Bob", "metadata": {"a": 1}})
    assert answer.status_code == 200
    made = answer.json()
    assert (made["owner_id"], made["title"], made["metadata"]) == ("bob", "For Bob", {"a": 1, "__user_set_title": True})
    assert [one["id"] for one in made["participants"]] == [robot_id]
    path = f"/conversations/{made['id']}"
    assert (await service.user("bob").get(path)).status_code == 404
    (joining,) = recorder.received(Kind.PUT_CONVERSATION)
    assert joining.path == f"/{robot_id}{path}"
    await recorder.wait_for(2)
    assert [call["event"] for call in recorder.events()] == ["conversation.created", "participant.created"]
    share = {"conversation_id": made["id"], "label": "", "conversation_permission": "read_write"}
    shared = (await robot.post("/conversation-shares/bob", json=share)).json()
    assert (await service.user("bob").post(f"/conversation-shares/{shared['id']}/redemptions")).status_code == 200
    assert (await service.user("bob").get(path)).json()["owner_id"] == "bob"
    assert (await robot.delete(path)).status_code == 204
    assert (await service.user("bob").get(path)).status_code == 404


async def test_what_cannot_be_made_leaves_nothing(service: Service, recorder: RecordingAssistantService) -> None:
    ann = service.user("ann")
    robot_id = await robot_of(ann, recorder)
    robot = service.assistant(robot_id, recorder.service_id)
    assert (await robot.post("/conversations/nobody", json={})).status_code == 404
    assert (await robot.post(f"/conversations/{uuid4()}", json={})).status_code == 404
    assert (await robot.post("/conversations/ann", json={"title": 1})).status_code == 422
    itself = service.assistant_service(recorder.service_id)
    assert (await itself.post("/conversations/ann", json={})).status_code == 401
    recorder.answer(Kind.PUT_CONVERSATION, then=status(500))
    refused = await robot.post("/conversations/ann", json={})
    assert (refused.status_code, refused.json()["code"]) == (500, "assistant_failed")
    assert await all_of(robot, "/conversations", "conversations") == []
    assert (await ann.get(f"/assistants/{robot_id}/delivery")).json()["conversations"] == []
