"""Imports over HTTP: what was exported here or by the older service comes in whole, or not at all."""

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import Select, Table, select, update
from tests.http.test_duplicates import all_of, robot_of, talk_of
from tests.http.test_exports import eventful
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import Behaviour, status
from tests.support.databases import open_store
from tests.support.saying import say_much
from tests.support.service import Service, running_service

from workbench.adapters.sql.tables import (
    assistants,
    contents,
    conversations,
    deliveries,
    files,
    jobs,
    messages,
    participants,
)
from workbench.domain.archive.storing import UNDO_JOB

IMPORT = "/conversations/import"


@pytest.fixture
async def recorder(service: Service) -> AsyncGenerator[RecordingAssistantService]:
    async with service.recorder() as running:
        yield running


async def exported(who: httpx.AsyncClient, *conversations: str) -> bytes:
    answer = await who.get("/conversations/export", params={"id": conversations})
    assert answer.status_code == 200, answer.text
    return answer.content


async def brought(who: httpx.AsyncClient, archive: bytes) -> httpx.Response:
    return await who.post(IMPORT, files={"from_export": ("archive.zip", archive, "application/zip")}, timeout=60)


async def imported(who: httpx.AsyncClient, archive: bytes) -> dict[str, Any]:
    answer = await brought(who, archive)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["conversation_ids", "assistant_ids"]
    return answer.json()


def without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


def zipped(parts: dict[str, bytes | str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return packed.getvalue()


def lines(*records: tuple[str, dict[str, Any]]) -> bytes:
    return b"".join(
        json.dumps({"type": kind, "data": data}, ensure_ascii=False).encode() + b"\n" for kind, data in records
    )


def of_the_test(service: Service, table: Table) -> Select[Any]:
    return select(table).where(table.c.workspace_id == service.workspace())


async def rows(service: Service) -> dict[str, int]:
    tables = (conversations, messages, files, assistants, deliveries)
    async with open_store(service.database_url) as store:
        return {table.name: len(await store.database.rows(of_the_test(service, table))) for table in tables}


async def test_what_was_exported_comes_in_whole(service: Service, recorder: RecordingAssistantService) -> None:
    ann = service.user("ann")
    robot = await robot_of(ann, recorder)
    original = await eventful(service, robot)
    await service.assistant(robot, recorder.service_id).post(
        f"/conversations/{original}/messages", json={"content": "hi"}
    )
    recorder.answer(Kind.EXPORT_CONVERSATION, then=Behaviour(status=200, body=b"\x00of the conversation"))
    archive = await exported(ann, original)
    result = await imported(ann, archive)
    (copy,) = result["conversation_ids"]
    assert result["assistant_ids"] == [robot]
    path, copy_path = f"/conversations/{original}", f"/conversations/{copy}"
    found = (await ann.get(copy_path)).json()
    assert (found["title"], found["owner_id"], found["imported_from_conversation_id"]) == ("Plans (1)", "ann", original)
    old, new = [await all_of(ann, f"{each}/messages", "messages") for each in (path, copy_path)]
    assert [without(one, "id") for one in new] == [without(one, "id") for one in old]
    assert not {one["id"] for one in old} & {one["id"] for one in new}
    debug = (await ann.get(f"{copy_path}/messages/{new[0]['id']}/debug_data")).json()
    assert debug["debug_data"] == {"d": 1}
    assert (await ann.get(f"{copy_path}/files/a/b.txt")).content == b"two"
    assert (await ann.get(f"{copy_path}/files/a/b.txt?version=1")).content == b"one"
    people = await all_of(ann, f"{copy_path}/participants?include_inactive=true", "participants")
    assert {one["id"]: one["active_participant"] for one in people} == {"ann": True, "bob": False, robot: True}
    assert (await service.user("bob").get(copy_path)).status_code == 404
    joining = recorder.received(Kind.PUT_CONVERSATION)[-1]
    assert joining.path == f"/{robot}/conversations/{copy}"
    assert joining.form["from_export"] == b"\x00of the conversation"
    again = await imported(ann, archive)
    assert (await ann.get(f"/conversations/{again['conversation_ids'][0]}")).json()["title"] == "Plans (2)"
    assert [one["id"] for one in await all_of(ann, "/assistants", "assistants")] == [robot]
    assert (await imported(ann, await exported(ann, copy)))["assistant_ids"] == [robot]


async def test_somebody_else_gets_an_assistant_of_their_own(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann, bob = service.user("ann"), service.user("bob")
    robot = await robot_of(ann, recorder)
    original = await eventful(service, robot)
    await service.assistant(robot, recorder.service_id).post(
        f"/conversations/{original}/messages", json={"content": "hi"}
    )
    recorder.answer(Kind.EXPORT_ASSISTANT, then=Behaviour(status=200, body=b"\x00of the assistant"))
    result = await imported(bob, await exported(ann, original))
    (conversation,), (assistant,) = result["conversation_ids"], result["assistant_ids"]
    assert assistant != robot
    (mine,) = await all_of(bob, "/assistants", "assistants")
    assert (mine["id"], mine["name"], mine["assistant_service_id"]) == (assistant, "Robot", recorder.service_id)
    made = [call for call in recorder.received(Kind.PUT_ASSISTANT) if call.assistant_id == assistant]
    assert [call.form["from_export"] for call in made] == [b"\x00of the assistant"]
    said = await all_of(bob, f"/conversations/{conversation}/messages", "messages")
    assert said[-1]["sender"] == {"participant_role": "assistant", "participant_id": assistant}
    people = await all_of(bob, f"/conversations/{conversation}/participants?include_inactive=true", "participants")
    assert {one["id"]: one["active_participant"] for one in people} == {"ann": False, "bob": True, assistant: True}
    await bob.post(f"/conversations/{conversation}/messages", json={"content": "on"})
    await recorder.wait_for(lambda it: [one for one in it.events(assistant) if one["event"] == "message.created"])


async def test_two_conversations_come_in_their_order(service: Service) -> None:
    ann = service.user("ann")
    first, second = [await talk_of(ann, title=title) for title in ("b", "a")]
    result = await imported(ann, await exported(ann, second, first))
    titles = [(await ann.get(f"/conversations/{each}")).json()["title"] for each in result["conversation_ids"]]
    assert titles == ["b (1)", "a (1)"]


async def test_nothing_is_nothing(service: Service) -> None:
    ann = service.user("ann")
    archive = await exported(ann, str(uuid4()))
    assert await imported(ann, archive) == {"conversation_ids": [], "assistant_ids": []}


def of_the_older_service() -> tuple[bytes, str]:
    """An archive as the older service writes it: times without a zone, fields in another order, folders."""
    talk, robot, file, message = (str(uuid4()) for _ in range(4))
    now = "2025-05-01T12:00:00.123456"
    stored = f"{UUID(file).hex}_1"
    seat = {"joined_datetime": now, "status": "busy", "status_updated_datetime": now, "meta_data": {}, "image": None}
    records = lines(
        (
            "Conversation",
            {"meta_data": {"k": 1}, "title": "Old", "owner_id": "x.y", "created_datetime": now, "conversation_id": talk}
            | {"imported_from_conversation_id": None},
        ),
        (
            "ConversationMessage",
            {"sequence": 7, "message_id": message, "conversation_id": talk, "created_datetime": now, "meta_data": {}}
            | {"sender_participant_id": robot, "sender_participant_role": "assistant", "message_type": "chat"}
            | {"content": "one\u2028two \u0085 ü", "content_type": "text/plain", "filenames": ["a.txt"]},
        ),
        ("ConversationMessageDebug", {"message_id": message, "data": {"why": [1]}}),
        ("SomethingNew", {"of": "a newer service"}),
        (
            "UserParticipant",
            {**seat, "conversation_id": talk, "user_id": "x.y", "name": "Xavier", "service_user": False}
            | {"active_participant": True, "conversation_permission": "read"},
        ),
        (
            "AssistantParticipant",
            {
                **seat,
                "conversation_id": talk,
                "assistant_id": robot,
                "name": "Gone",
                "image": "i",
                "active_participant": True,
            },
        ),
        (
            "File",
            {
                "file_id": file,
                "conversation_id": talk,
                "filename": "a.txt",
                "current_version": 1,
                "created_datetime": now,
            },
        ),
        (
            "FileVersion",
            {
                "file_id": file,
                "version": 1,
                "participant_id": "x.y",
                "participant_role": "user",
                "created_datetime": now,
            }
            | {"meta_data": {"v": 1}, "content_type": "text/plain", "file_size": 4, "storage_filename": stored},
        ),
    )
    name = hashlib.sha256(stored.encode()).hexdigest()
    parts: dict[str, bytes | str] = {"workbench.jsonl": records, "files/": "", f"files/{talk}/": ""}
    return zipped({**parts, f"files/{talk}/{name}": b"text", "files/left.over": b"x"}), robot


async def test_an_archive_of_the_older_service_comes_in(service: Service) -> None:
    ann = service.user("ann")
    archive, robot = of_the_older_service()
    result = await imported(ann, archive)
    assert result["assistant_ids"] == []
    path = f"/conversations/{result['conversation_ids'][0]}"
    found = (await ann.get(path)).json()
    assert (found["title"], found["metadata"], found["owner_id"]) == ("Old", {"k": 1}, "ann")
    (said,) = await all_of(ann, f"{path}/messages", "messages")
    assert (said["content"], said["timestamp"]) == ("one\u2028two \u0085 ü", "2025-05-01T12:00:00.123456Z")
    assert said["sender"] == {"participant_role": "assistant", "participant_id": robot}
    assert (await ann.get(f"{path}/messages/{said['id']}/debug_data")).json()["debug_data"] == {"why": [1]}
    people = {one["id"]: one for one in await all_of(ann, f"{path}/participants?include_inactive=true", "participants")}
    gone, xavier = people[robot], people["x.y"]
    assert (gone["name"], gone["image"], gone["active_participant"], gone["online"]) == ("Gone", "i", False, False)
    assert (xavier["active_participant"], xavier["status"], xavier["name"]) == (False, None, "Xavier")
    (file,) = await all_of(ann, f"{path}/files", "files")
    assert (file["created_datetime"], file["metadata"], file["file_size"]) == (
        "2025-05-01T12:00:00.123456Z",
        {"v": 1},
        4,
    )
    assert (await ann.get(f"{path}/files/a.txt")).content == b"text"


@pytest.mark.parametrize("failing", [Kind.PUT_ASSISTANT, Kind.PUT_CONVERSATION])
async def test_a_service_that_does_not_take_its_part_leaves_nothing(
    service: Service, recorder: RecordingAssistantService, failing: Kind
) -> None:
    ann, cay = service.user("ann"), service.user("cay")
    archive = await exported(ann, await eventful(service, await robot_of(ann, recorder)))
    before = await rows(service)
    recorder.answer(failing, then=status(503))
    answer = await brought(cay, archive)
    assert (answer.status_code, answer.json()["code"]) == (503, "assistant_failed")
    assert await rows(service) == before
    assert await all_of(cay, "/assistants", "assistants") == []
    assert await all_of(cay, "/conversations", "conversations") == []
    assert len(recorder.received(Kind.DELETE_ASSISTANT)) == 1
    recorder.behave()
    await recorder.announce(service.url, expires_seconds=0)
    answer = await brought(cay, archive)
    assert (answer.status_code, "is offline" in answer.json()["detail"]) == (424, True)
    assert await rows(service) == before
    await recorder.announce(service.url)
    assert len((await imported(cay, archive))["assistant_ids"]) == 1


async def test_an_unknown_service_is_named(service: Service, recorder: RecordingAssistantService) -> None:
    ann = service.user("ann")
    archive = await exported(ann, await talk_of(ann, await robot_of(ann, recorder)))
    answer = await brought(service.user("ann", "elsewhere"), archive)
    assert answer.status_code == 400
    assert answer.json()["detail"] == f"assistant service id {recorder.service_id} is not valid"


BAD: list[tuple[bytes, str]] = [
    (b"not a zip", "bad_archive"),
    (zipped({"other": b""}), "bad_archive"),
    (zipped({"workbench.jsonl": b"nonsense\n"}), "bad_archive"),
    (zipped({"workbench.jsonl": b"\xff\n"}), "bad_archive"),
    (
        zipped({"workbench.jsonl": lines(("ConversationMessageDebug", {"message_id": str(uuid4()), "data": {}}))}),
        "bad_archive",
    ),
    (zipped({"workbench.jsonl": b"", "../out": b"x"}), "bad_archive"),
]


async def test_what_is_no_archive_is_refused(service: Service) -> None:
    ann = service.user("ann")
    for archive, code in BAD:
        answer = await brought(ann, archive)
        assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    assert (await ann.post(IMPORT, files={"other": b""})).status_code == 422
    assert (await ann.post(IMPORT, json={})).status_code == 422
    answer = await brought(ann, zipped({"workbench.jsonl": b"\n" * (40 << 20)}))
    assert answer.status_code == 413
    assert (await rows(service))["conversations"] == 0


async def test_limits_hold_and_leave_nothing(sqlite_url: str, tmp_path: Path) -> None:
    limits = {"archive_bytes": 100_000, "archive_unpacked_bytes": 2_000_000, "file_bytes": 50_000}
    async with running_service(sqlite_url, tmp_path / "data", limits=limits) as service:
        ann = service.user("ann")
        answer = await brought(ann, zipped({"workbench.jsonl": b"", "x": bytes(range(256)) * 4000 + b"y" * 200}) * 50)
        assert (answer.status_code, answer.json()["limit"]) == (413, "packed_bytes")
        archive, _ = of_the_older_service()
        packed = io.BytesIO(archive)
        with zipfile.ZipFile(packed) as read:
            parts: dict[str, bytes | str] = {name: read.read(name) for name in read.namelist()}
        large = {name: (b"z" * 60_000 if content == b"text" else content) for name, content in parts.items()}
        answer = await brought(ann, zipped(large))
        assert (answer.status_code, answer.json()["limit"]) == (413, "file_bytes")
        assert (await rows(service))["conversations"] == 0
        assert [path for path in service.settings.storage_root.rglob("*") if path.is_file()] == []


async def test_imports_at_once_are_each_whole(service: Service) -> None:
    ann = service.user("ann")
    archive, _ = of_the_older_service()
    results = await asyncio.gather(*(imported(ann, archive) for _ in range(4)))
    ids = [result["conversation_ids"][0] for result in results]
    assert len(set(ids)) == 4
    for each in ids:
        assert len(await all_of(ann, f"/conversations/{each}/messages", "messages")) == 1
        assert (await ann.get(f"/conversations/{each}/files/a.txt")).content == b"text"
    async with open_store(service.database_url) as store:
        assert len(await store.database.rows(of_the_test(service, contents))) == 1


async def test_a_long_history_keeps_its_order(service: Service) -> None:
    ann = service.user("ann")
    original = await talk_of(ann)
    await say_much(service, original, 1_100)
    (copy,) = (await imported(ann, await exported(ann, original)))["conversation_ids"]
    said = [one["content"] for one in await all_of(ann, f"/conversations/{copy}/messages?limit=500", "messages")]
    assert said == [str(number) for number in range(600, 1_100)]


async def test_what_a_process_left_when_it_died_is_taken_away(database_url: str, tmp_path: Path) -> None:
    async with running_service(database_url, tmp_path / "data") as service:
        ann = service.user("ann")
        archive, _ = of_the_older_service()
        kept, lost = [(await imported(ann, archive))["conversation_ids"][0] for _ in range(2)]
        async with open_store(service.database_url) as store:
            await store.database.transact(lambda connection: _die(connection, lost))
        async with asyncio.timeout(15):
            while (await rows(service))["conversations"] != 1:  # noqa: ASYNC110 - a job of another event loop
                await asyncio.sleep(0.1)
        assert (await ann.get(f"/conversations/{kept}/files/a.txt")).content == b"text"


def _die(connection: Any, lost: str) -> None:
    """Take the importer's seat away, as if it had never been given, and let the job of both imports be due."""
    connection.execute(
        participants.delete().where(participants.c.conversation_id == UUID(lost), participants.c.id == "ann")
    )
    connection.execute(update(jobs).where(jobs.c.kind == UNDO_JOB).values(run_at=jobs.c.created_datetime))
