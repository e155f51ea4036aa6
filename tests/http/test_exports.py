"""Exports over HTTP: the archive is the contract's, to the letter."""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.http.test_duplicates import all_of, robot_of, talk_of
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import Behaviour, status
from tests.support.saying import say_much
from tests.support.service import Service

FIELDS = {
    "Assistant": "assistant_id owner_id assistant_service_id template_id created_datetime imported_from_assistant_id "
    "name image meta_data",
    "Conversation": "conversation_id created_datetime owner_id title meta_data imported_from_conversation_id",
    "ConversationMessage": "sequence message_id conversation_id created_datetime sender_participant_id "
    "sender_participant_role message_type content content_type meta_data filenames",
    "ConversationMessageDebug": "message_id data",
    "UserParticipant": "conversation_id user_id name image service_user joined_datetime status "
    "status_updated_datetime active_participant meta_data conversation_permission",
    "AssistantParticipant": "conversation_id assistant_id name image joined_datetime status status_updated_datetime "
    "active_participant meta_data",
    "File": "file_id conversation_id filename current_version created_datetime",
    "FileVersion": "file_id version participant_id participant_role created_datetime meta_data content_type file_size "
    "storage_filename",
}
"""The types of records, in the order in which an import must meet them, and their fields."""


@pytest.fixture
async def recorder(service: Service) -> AsyncGenerator[RecordingAssistantService]:
    async with service.recorder() as running:
        yield running


def opened(answer: httpx.Response) -> zipfile.ZipFile:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert int(answer.headers["content-length"]) == len(answer.content) > 0
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    return archive


def records(archive: zipfile.ZipFile) -> list[tuple[str, dict[str, Any]]]:
    lines = archive.read("workbench.jsonl").split(b"\n")
    assert lines.pop() == b""
    parsed = [json.loads(line) for line in lines]
    assert all(list(record) == ["type", "data"] for record in parsed)
    return [(record["type"], record["data"]) for record in parsed]


def of_type(archive: zipfile.ZipFile, kind: str) -> list[dict[str, Any]]:
    return [data for found, data in records(archive) if found == kind]


async def eventful(service: Service, robot: str) -> str:
    ann = service.user("ann")
    conversation = await talk_of(ann, robot, title="Plans", metadata={"a": 1})
    path = f"/conversations/{conversation}"
    await ann.post(
        f"{path}/messages", json={"content": "one\u2028line ü", "debug_data": {"d": 1}, "metadata": {"m": 1}}
    )
    await ann.post(f"{path}/messages", json={"content": "two", "message_type": "note", "filenames": ["a/b.txt"]})
    await ann.put(f"{path}/files", files={"files": ("a/b.txt", b"one")})
    await ann.put(f"{path}/files", files={"files": ("a/b.txt", b"two", "text/plain")})
    await service.seat_user(conversation, "bob", "read")
    return conversation


async def test_a_conversation_is_exported_whole(service: Service, recorder: RecordingAssistantService) -> None:
    ann = service.user("ann")
    robot = await robot_of(ann, recorder)
    conversation = await eventful(service, robot)
    recorder.answer(Kind.EXPORT_ASSISTANT, Behaviour(status=200, body=b"\x00of the assistant"))
    recorder.answer(Kind.EXPORT_CONVERSATION, Behaviour(status=200, body=b"\x00of the conversation"))
    answer = await ann.get("/conversations/export", params={"id": conversation})
    name = r'attachment; filename\*=UTF-8\'\'\S+; filename="semantic_workbench_conversation_export_\d{14}\.zip"'
    assert re.fullmatch(name, answer.headers["content-disposition"])
    archive = opened(answer)
    found = records(archive)
    assert [kind for kind, _ in found] == [
        *("Assistant", "Conversation", "ConversationMessage", "ConversationMessage", "ConversationMessageDebug"),
        *("UserParticipant", "UserParticipant", "AssistantParticipant", "File", "FileVersion", "FileVersion"),
    ]
    for kind, data in found:
        assert sorted(data) == sorted(FIELDS[kind].split()), kind
    (kept,) = of_type(archive, "Conversation")
    assert (kept["conversation_id"], kept["owner_id"], kept["title"]) == (conversation, "ann", "Plans")
    first, second = of_type(archive, "ConversationMessage")
    assert (first["content"], first["meta_data"], first["sequence"]) == ("one\u2028line ü", {"m": 1}, 1)
    assert (second["message_type"], second["filenames"], second["sequence"]) == ("note", ["a/b.txt"], 2)
    assert of_type(archive, "ConversationMessageDebug") == [{"message_id": first["message_id"], "data": {"d": 1}}]
    (file,) = of_type(archive, "File")
    versions = of_type(archive, "FileVersion")
    hexed = file["file_id"].replace("-", "")
    assert [one["storage_filename"] for one in versions] == [f"{hexed}_1", f"{hexed}_2"]
    paths = [f"files/{conversation}/{hashlib.sha256(one['storage_filename'].encode()).hexdigest()}" for one in versions]
    assert [archive.read(path) for path in paths] == [b"one", b"two"]
    of_robot = f"assistants/{robot}"
    assert sorted(archive.namelist()) == sorted(
        [
            *("workbench.jsonl", *paths, f"{of_robot}/assistant_data.bin"),
            f"{of_robot}/conversations/{conversation}/conversation_data.bin",
        ]
    )
    assert archive.read(f"{of_robot}/assistant_data.bin") == b"\x00of the assistant"
    assert archive.read(f"{of_robot}/conversations/{conversation}/conversation_data.bin") == b"\x00of the conversation"
    people = {one["user_id"]: one for one in of_type(archive, "UserParticipant")}
    assert (people["bob"]["conversation_permission"], people["ann"]["service_user"]) == ("read", False)


async def test_what_the_caller_does_not_see_is_left_out(service: Service) -> None:
    ann, bob = service.user("ann"), service.user("bob")
    mine, seen, gone = [await talk_of(ann, title=title) for title in ("a", "b", "c")]
    await service.seat_user(seen, "bob", "read")
    await service.seat_user(gone, "bob")
    await bob.put(f"/conversations/{gone}/participants/me", json={"active_participant": False})
    asked = [("id", f"{mine},{seen}"), ("id", gone), ("id", str(uuid4()))]
    archive = opened(await bob.get("/conversations/export", params=asked))
    assert [one["conversation_id"] for one in of_type(archive, "Conversation")] == [seen]
    everything = opened(await ann.get("/conversations/export", params={"id": [mine, seen, gone]}))
    assert [one["title"] for one in of_type(everything, "Conversation")] == ["a", "b", "c"]
    nothing = opened(await service.user("eve").get("/conversations/export", params={"id": mine}))
    assert nothing.namelist() == ["workbench.jsonl"]
    assert nothing.read("workbench.jsonl") == b""
    elsewhere = opened(await service.user("ann", "elsewhere").get("/conversations/export", params={"id": mine}))
    assert elsewhere.read("workbench.jsonl") == b""


async def test_ids_are_needed(service: Service) -> None:
    for query in ("", "?id=", "?id=none", "?id=" + ",".join(str(uuid4()) for _ in range(501))):
        assert (await service.user("ann").get(f"/conversations/export{query}")).status_code == 422, query


async def test_an_assistant_goes_along_with_the_conversations_both_are_in(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann = service.user("ann")
    robot, other = await robot_of(ann, recorder), await robot_of(ann, recorder)
    await ann.patch(f"/assistants/{robot}", json={"name": " My robot? ü "})
    both, left, alone = await talk_of(ann, robot, other), await talk_of(ann, robot), await talk_of(ann, robot)
    await ann.put(f"/conversations/{left}/participants/{robot}", json={"active_participant": False})
    await service.seat_user(alone, "bob")
    await ann.put(f"/conversations/{alone}/participants/me", json={"active_participant": False})
    answer = await ann.get(f"/assistants/{robot}/export")
    archive = opened(answer)
    assert re.search(r"filename=\"assistant_My_robot_%C3%BC_\d{14}\.zip\"", answer.headers["content-disposition"])
    assert {one["conversation_id"] for one in of_type(archive, "Conversation")} == {both, alone}
    assert [one["assistant_id"] for one in of_type(archive, "Assistant")] == [robot]
    seats = {(one["conversation_id"], one["assistant_id"]) for one in of_type(archive, "AssistantParticipant")}
    assert seats == {(both, robot), (both, other), (alone, robot)}
    assert [name for name in archive.namelist() if other in name] == []
    for who in (service.user("bob"), service.user("ann", "elsewhere")):
        assert (await who.get(f"/assistants/{robot}/export")).status_code == 404


async def test_a_service_that_knows_nothing_of_a_conversation_is_no_failure(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann = service.user("ann")
    robot = await robot_of(ann, recorder)
    conversation = await talk_of(ann, robot)
    recorder.answer(Kind.EXPORT_CONVERSATION, status(404))
    archive = opened(await ann.get("/conversations/export", params={"id": conversation}))
    assert [name for name in archive.namelist() if "conversation_data" in name] == []


@pytest.mark.parametrize("failing", [Kind.EXPORT_ASSISTANT, Kind.EXPORT_CONVERSATION])
async def test_a_service_that_fails_fails_the_export(
    service: Service, recorder: RecordingAssistantService, failing: Kind
) -> None:
    ann = service.user("ann")
    robot = await robot_of(ann, recorder)
    conversation = await talk_of(ann, robot)
    recorder.answer(failing, then=status(503))
    answer = await ann.get("/conversations/export", params={"id": conversation})
    assert (answer.status_code, answer.json()["code"]) == (503, "assistant_failed")
    recorder.behave()
    await recorder.announce(service.url, expires_seconds=0)
    answer = await ann.get("/conversations/export", params={"id": conversation})
    assert (answer.status_code, "is offline" in answer.json()["detail"]) == (424, True)


async def test_a_long_history_goes_along_in_its_order(service: Service) -> None:
    ann = service.user("ann")
    conversation = await talk_of(ann)
    await say_much(service, conversation, 1_100)
    archive = opened(await ann.get("/conversations/export", params={"id": conversation}))
    assert [one["content"] for one in of_type(archive, "ConversationMessage")] == [str(n) for n in range(1100)]
    assert len(await all_of(ann, f"/conversations/{conversation}/messages?limit=500", "messages")) == 500
