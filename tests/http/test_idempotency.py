"""Requests under an Idempotency-Key over HTTP. The numbers are those of the specification of sessions (16)."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.support.bad_input import field_of
from tests.support.service import Service
from tests.support.troubleshooting import SESSIONS, SOLVED, act, by_hand, start

from workbench.entrypoints.http.app import create_app
from workbench.entrypoints.http.repeats import repeatable
from workbench.wiring.settings import Settings

NEW_SESSION = {"intake_content": {"text": "It does not work"}, "start_mode": "manual"}


def under(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


async def test_a_session_that_is_started_again_is_the_same_one(service: Service) -> None:
    ann = service.user()
    answers = [await ann.post(SESSIONS, json=NEW_SESSION, headers=under("start-1")) for _ in range(3)]
    assert [each.status_code for each in answers] == [201] * 3
    assert len({each.content for each in answers}) == len({each.headers["location"] for each in answers}) == 1
    assert answers[0].headers["content-type"] == "application/json"
    assert len((await ann.get(SESSIONS)).json()["items"]) == 1
    other = await ann.post(SESSIONS, json=NEW_SESSION, headers=under("start-2"))
    assert other.json()["session_id"] != answers[0].json()["session_id"]


async def test_the_same_key_for_something_else_is_refused(service: Service) -> None:
    ann = service.user()
    one, other = (await by_hand(ann))["path"], (await by_hand(ann))["path"]
    assert (await ann.post(f"{one}/pause", headers=under("k"))).status_code == 204
    again = await ann.post(f"{one}/pause", headers=under("k"))
    assert (again.status_code, again.content) == (204, b"")
    elsewhere = await ann.post(f"{other}/pause", headers=under("k"))
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (409, "idempotency_mismatch")
    assert (await ann.post(f"{one}/resolve", json=SOLVED, headers=under("k"))).status_code == 200
    changed = await ann.post(f"{one}/resolve", json={**SOLVED, "root_cause": "Dust"}, headers=under("k"))
    assert (changed.status_code, changed.json()["code"]) == (409, "idempotency_mismatch")


async def test_10_of_many_answers_under_one_key_at_once_one_counts(service: Service) -> None:
    ann = service.user()
    session = await start(ann)
    step = session["first_step"]
    body = {"step_id": step["step_id"], "option_value": step["options"][0]["value"]}
    callers = [service.user() for _ in range(10)]
    send = (each.post(f"{session['path']}/respond", json=body, headers=under("once")) for each in callers)
    answers = await asyncio.gather(*send)
    done = [each for each in answers if each.status_code == 200]
    waiting = [each for each in answers if each.status_code == 409]
    assert len(done) + len(waiting) == 10
    assert len({each.content for each in done}) == 1
    assert {(each.json()["code"], each.headers["retry-after"]) for each in waiting} <= {("in_progress", "2")}
    later = await ann.post(f"{session['path']}/respond", json=body, headers=under("once"))
    assert later.content == done[0].content
    steps = (await ann.get(session["path"])).json()["steps"]
    assert [each["answered_at"] is not None for each in steps] == [True, False]


async def test_a_refusal_is_no_answer_to_be_remembered(service: Service) -> None:
    ann = service.user()
    path = (await by_hand(ann))["path"]
    assert (await ann.post(f"{path}/resume", headers=under("r"))).status_code == 409
    assert (await act(ann, path, "pause")).status_code == 204
    assert (await ann.post(f"{path}/resume", headers=under("r"))).status_code == 204


@pytest.mark.parametrize("key", ["x" * 129, "a b", "", "\xe9"])
async def test_what_is_no_key_is_refused_before_anything_is_looked_up(sqlite_service: Service, key: str) -> None:
    ann = sqlite_service.user()
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    refused = await ann.post(f"{SESSIONS}/{uuid4()}/pause", headers=headers)
    assert (refused.status_code, field_of(refused)) == (400, "Idempotency-Key")


async def test_each_caller_has_keys_of_their_own(service: Service) -> None:
    callers = [service.user(), service.user("bea"), service.user("ann", "elsewhere")]
    answers = [await each.post("/conversations", json={"title": "T"}, headers=under("mine")) for each in callers]
    assert [each.status_code for each in answers] == [200] * 3
    assert len({each.json()["id"] for each in answers}) == 3


async def test_what_comes_before_a_key_counts_is_asked_first(service: Service) -> None:
    ann = service.user()
    first = await ann.post(SESSIONS, json=NEW_SESSION, headers=under("limited"))
    misfit = await ann.post(SESSIONS, json={}, headers=under("limited"))
    assert misfit.status_code == 400
    answers = [await ann.post(SESSIONS, json=NEW_SESSION, headers=under("limited")) for _ in range(4)]
    assert [each.status_code for each in answers] == [201, 201, 201, 429]
    assert answers[0].content == first.content


async def older_routes(ann: httpx.AsyncClient, service: Service) -> list[tuple[str, Any]]:
    conversation = (await ann.post("/conversations", json={"title": "T"})).json()["id"]
    share = {"conversation_id": conversation, "label": "", "conversation_permission": "read"}
    assistant = {"assistant_service_id": service.recorder_id, "name": "Robot"}
    return [
        ("/conversations", {"title": "T"}),
        (f"/conversations/{conversation}", {"title": "Copy"}),
        ("/conversation-shares", share),
        ("/assistants", assistant),
    ]


async def test_older_routes_keep_keys_too(service: Service) -> None:
    ann = service.user()
    async with service.recorder():
        for path, body in await older_routes(ann, service):
            answers = [await ann.post(path, json=body, headers=under("old")) for _ in range(2)]
            assert answers[0].is_success, answers[0].text
            assert answers[0].content == answers[1].content
            assert answers[0].status_code == answers[1].status_code
            other = await ann.post(path, json=body)
            assert other.content != answers[0].content
        assert len((await ann.get("/conversation-shares")).json()["conversation_shares"]) == 2


async def test_the_text_of_a_playbook_is_part_of_its_request(service: Service) -> None:
    ann = service.user()
    texts = [f"# {number}".encode() for number in range(2)]
    kind = {"Content-Type": "application/yaml"}
    answers = [await ann.post("/playbooks/validate", content=each, headers={**kind, **under("v")}) for each in texts]
    assert [each.status_code for each in answers] == [200, 409]


async def test_a_request_without_a_key_asks_nothing_of_anything() -> None:
    """There is neither a request nor a container to be asked here."""

    async def handler(number: int) -> int:
        return number

    assert await repeatable(handler)(7) == 7


def test_each_post_about_sessions_playbooks_and_tickets_takes_a_key(tmp_path: Path) -> None:
    paths = create_app(Settings.of(data_root=tmp_path)).openapi_schema.to_schema()["paths"]
    without = [
        path
        for path, methods in paths.items()
        if path.startswith(("/ai-sessions", "/playbooks", "/psa-connections")) and "post" in methods
        and "Idempotency-Key" not in [each["name"] for each in methods["post"].get("parameters", [])]
    ]  # fmt: skip
    assert without == []
