"""Input that nobody sends by accident: every answer is one that the document names, on both databases."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import garbage
from tests.support.service import Service, running_service

from workbench.domain.texts import MAX_DEPTH


def nested(depth: int) -> bytes:
    """A conversation's form of that depth."""
    return b'{"metadata":{"a":' + b"[" * (depth - 2) + b"]" * (depth - 2) + b"}}"


async def begin(ann: httpx.AsyncClient) -> str:
    return (await ann.post("/conversations", json={"title": "Plans"})).json()["id"]


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("/users?id=a%00nn", "/users?id=ann"),
        ("/users?id=ann&x=%%0000", "/users?id=ann"),
        ("/users/m%00e", "/users/me"),
        ("/assistant-services/a%00b", "/assistant-services/ab"),
        ("/assistant-services?user_id=a%00b", "/assistant-services?user_id=ab"),
        ("/assistant-service-registrations/a%00b", "/assistant-service-registrations/ab"),
        ("/conversations/{id}/messages?participant_id=a%00nn", "/conversations/{id}/messages?participant_id=ann"),
        ("/conversations/{id}/files?prefix=n%00otes", "/conversations/{id}/files?prefix=notes"),
        ("/conversations/{id}/participants/%00", "/conversations/{id}/participants"),
    ],
)
async def test_nul_counts_for_nothing_in_a_url_as_in_a_body(service: Service, path: str, plain: str) -> None:
    ann = service.user("ann")
    conversation = await begin(ann)
    await ann.put(f"/conversations/{conversation}/files", files={"files": ("notes.txt", b"kept", "text/plain")})
    odd = await ann.get(path.replace("{id}", conversation), follow_redirects=True)
    usual = await ann.get(plain.replace("{id}", conversation))
    assert (odd.status_code, odd.json()) == (usual.status_code, usual.json())
    assert odd.status_code in {200, 404}


@pytest.mark.parametrize("body", [b'{"title":"\xff"}', b'{"\xff":1}', nested(MAX_DEPTH + 1), nested(5000)])
async def test_json_that_cannot_be_kept_is_422(service: Service, body: bytes) -> None:
    ann = service.user("ann")
    refused = await ann.post("/conversations", content=body, headers={"Content-Type": "application/json"})
    (fault,) = refused.json()["detail"]
    assert (refused.status_code, fault["type"], fault["loc"]) == (422, "json_invalid", ["body"])
    assert (await ann.get("/conversations")).json() == {"conversations": []}


async def test_json_of_the_greatest_depth_is_kept_and_given_back(service: Service) -> None:
    ann = service.user("ann")
    body = nested(MAX_DEPTH)
    answer = await ann.post("/conversations", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    kept = (await ann.get(f"/conversations/{answer.json()['id']}")).json()
    assert kept["metadata"]["a"] == json.loads(body)["metadata"]["a"]


@pytest.mark.parametrize(
    "metadata", ['{"a.txt":{"deep":' + "[" * 5000 + "]" * 5000 + "}}", '{"a.txt":' * 200 + "0" + "}" * 200]
)
async def test_metadata_of_files_that_is_too_deep_is_refused_by_name(service: Service, metadata: str) -> None:
    ann = service.user("ann")
    path = f"/conversations/{await begin(ann)}/files"
    refused = await ann.put(path, files={"files": ("a.txt", b"a", "text/plain")}, data={"metadata": metadata})
    assert (refused.status_code, refused.json()["field"]) == (400, "metadata")
    assert (await ann.get(path)).json() == {"files": []}


@pytest.mark.parametrize("version", [0, -1, 2**31, 2**63, 10**30, -(10**30)])
async def test_a_version_that_no_file_can_have_is_404(service: Service, version: int) -> None:
    ann = service.user("ann")
    path = f"/conversations/{await begin(ann)}/files"
    await ann.put(path, files={"files": ("notes.txt", b"kept", "text/plain")})
    for name in ("notes.txt", "notes.txt/versions"):
        assert (await ann.get(f"{path}/{name}", params={"version": version})).status_code == 404


async def test_a_share_that_would_end_after_the_end_of_time_is_refused_by_name(service: Service) -> None:
    ann = service.user("ann")
    share = {"conversation_id": await begin(ann), "label": "", "conversation_permission": "read"}
    refused = await ann.post("/conversation-shares", json={**share, "expires_datetime": "9999-12-31T23:59:59-14:00"})
    assert (refused.status_code, refused.json()["field"]) == (400, "expires_datetime")


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-01-01T00:00:00"])
async def test_a_cursor_of_a_time_that_cannot_be_is_refused_by_name(service: Service, moment: str) -> None:
    inside = json.dumps([moment, "00000000-0000-4000-8000-000000000000"]).encode()
    cursor = base64.urlsafe_b64encode(inside).decode().rstrip("=")
    refused = await service.user("ann").get("/conversations", params={"limit": 2, "cursor": cursor})
    assert (refused.status_code, refused.json()["field"]) == (400, "cursor")


@pytest.mark.parametrize("answer", [b'{"config":{"a":"\xff"}}', b'{"config":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}"])
async def test_what_an_assistant_answers_may_be_odd_too(sqlite_url: str, tmp_path: Path, answer: bytes) -> None:
    async with running_service(sqlite_url, tmp_path / "data") as service, RecordingAssistantService() as recorder:
        (await recorder.announce(service.url)).raise_for_status()
        ann = service.user("ann")
        new: dict[str, Any] = {"assistant_service_id": recorder.service_id, "name": "Recorder"}
        assistant = (await ann.post("/assistants", json=new)).json()["id"]
        recorder.answer(Kind.GET_CONFIG, garbage(answer))
        failed = await ann.get(f"/assistants/{assistant}/config")
    assert (failed.status_code, failed.json()["code"]) == (502, "bad_answer")
