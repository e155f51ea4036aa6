"""Assistants: changed, listed, configured, looked into, deleted."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import Behaviour, cut, drop, garbage, redirect, status
from tests.support.servers import eventually
from tests.support.service import Service, open_stream, running_service


@pytest.fixture
async def recorder(service: Service) -> AsyncGenerator[RecordingAssistantService]:
    async with service.recorder(announced=False) as running:
        yield running


class Talk:
    """Ann's assistant in her conversation."""

    def __init__(self, ann: httpx.AsyncClient, assistant: dict[str, Any], path: str) -> None:
        self.ann, self.assistant, self.path = ann, assistant, path
        self.id = assistant["id"]
        self.conversation = path.removeprefix("/conversations/")
        self.states = f"/assistants/{self.id}{path}/states"


async def begin(service: Service, recorder: RecordingAssistantService, **fields: Any) -> Talk:
    ann = service.user("ann")
    (await recorder.announce(service.url)).raise_for_status()
    new = {"assistant_service_id": recorder.service_id, "name": "Robot", **fields}
    made = await ann.post("/assistants", json=new)
    assert made.status_code == 201, made.text
    path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"
    (await ann.put(f"{path}/participants/{made.json()['id']}", json={})).raise_for_status()
    return Talk(ann, made.json(), path)


async def seat_of(talk: Talk) -> dict[str, Any]:
    found = await talk.ann.get(f"{talk.path}/participants/{talk.id}")
    return found.json()


async def test_without_an_image_the_templates_icon_is_taken(
    service: Service, recorder: RecordingAssistantService
) -> None:
    recorder.info["metadata"] = {"_dashboard_card": {"default": {"icon": "data:,i"}, "other": {"icon": 7}}}
    talk = await begin(service, recorder)
    assert talk.assistant["image"] == "data:,i"
    for template, image, expected in (("other", None, None), ("default", "data:,own", "data:,own"), ("x", "", "")):
        new = {"assistant_service_id": recorder.service_id, "name": "n", "template_id": template, "image": image}
        made = (await talk.ann.post("/assistants", json=new)).json()
        assert (made["image"] or None) == (expected or None)
    recorder.answer(Kind.SERVICE_INFO, then=garbage())
    new = {"assistant_service_id": recorder.service_id, "name": "n"}
    assert (await talk.ann.post("/assistants", json=new)).json()["image"] is None


async def test_assistants_are_listed_newest_first_or_by_conversation(
    service: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(service, recorder)
    second = {"assistant_service_id": recorder.service_id, "name": "Second"}
    other = (await talk.ann.post("/assistants", json=second)).json()
    await service.seat_user(talk.conversation, "oda", "read")
    assert (await talk.ann.get("/assistants")).json() == {"assistants": [other, talk.assistant]}
    query = f"/assistants?conversation_id={talk.conversation}"
    assert (await talk.ann.get(query)).json() == {"assistants": [talk.assistant]}
    assert (await service.user("oda").get(query)).json() == {"assistants": [talk.assistant]}
    assert (await service.user("oda").get("/assistants")).json() == {"assistants": []}
    assert (await service.user("sam").get(query)).status_code == 404
    await talk.ann.put(f"{talk.path}/participants/{talk.id}", json={"active_participant": False})
    assert (await talk.ann.get(query)).json() == {"assistants": []}


async def test_a_change_reaches_the_service_and_every_seat(
    service: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(service, recorder)
    changed = await talk.ann.patch(f"/assistants/{talk.id}", json={"name": "Renamed", "image": "data:,x"})
    assert changed.json() == {**talk.assistant, "name": "Renamed", "image": "data:,x"}
    assert recorder.assistants[talk.id]["assistant_name"] == "Renamed"
    seat = await seat_of(talk)
    assert (seat["name"], seat["image"]) == ("Renamed", "data:,x")
    changed = await talk.ann.patch(f"/assistants/{talk.id}", json={"image": None, "name": None, "metadata": {"a": 1}})
    assert changed.json() == {**talk.assistant, "name": "Renamed", "image": None, "metadata": {"a": 1}}
    changed = await talk.ann.patch(f"/assistants/{talk.id}", json={"metadata": {"b": 2}})
    assert changed.json()["metadata"] == {"b": 2}
    assert (await talk.ann.patch(f"/assistants/{talk.id}", json={"metadata": None})).status_code == 422
    recorder.answer(Kind.PUT_ASSISTANT, status(500))
    assert (await talk.ann.patch(f"/assistants/{talk.id}", json={"name": "Lost"})).status_code == 500
    assert (await talk.ann.get(f"/assistants/{talk.id}")).json()["name"] == "Renamed"


async def test_while_the_service_is_away_all_but_the_name_can_change(
    service: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(service, recorder)
    await recorder.announce(service.url, expires_seconds=0)
    refused = await talk.ann.patch(f"/assistants/{talk.id}", json={"name": "New"})
    assert (refused.status_code, refused.json()["detail"]) == (
        400,
        "assistant service 'Recorder' is currently offline",
    )
    taken = await talk.ann.patch(f"/assistants/{talk.id}", json={"metadata": {"a": 1}, "image": "data:,y"})
    assert (taken.status_code, taken.json()["metadata"]) == (200, {"a": 1})
    assert (await seat_of(talk))["image"] == "data:,y"
    away = await talk.ann.get(f"/assistants/{talk.id}/config")
    assert away.status_code == 424
    assert away.json()["detail"] == (
        f"Failed to connect to assistant at url {recorder.url}/{talk.id}; its service is offline"
    )


async def test_a_deleted_assistant_leaves_everywhere_and_its_seat_stays(
    service: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(service, recorder)
    async with open_stream(talk.ann, f"{talk.path}/events") as stream:
        assert (await talk.ann.delete(f"/assistants/{talk.id}")).status_code == 204
        event = await stream.next()
    assert event.name == "participant.updated"
    told = event.data["data"]["participant"]
    assert (told["id"], told["active_participant"], told["online"]) == (talk.id, False, False)
    assert [request.kind for request in recorder.received(Kind.DELETE_CONVERSATION, Kind.DELETE_ASSISTANT)] == [
        Kind.DELETE_CONVERSATION,
        Kind.DELETE_ASSISTANT,
    ]
    seat = await seat_of(talk)
    assert (seat["name"], seat["active_participant"], seat["online"]) == ("Robot", False, False)
    assert (await talk.ann.get(f"/assistants/{talk.id}")).status_code == 404
    assert (await service.assistant(talk.id, recorder.service_id).get("/conversations")).status_code == 401


@pytest.mark.parametrize("trouble", [status(500), drop(), status(404)], ids=["500", "hangs up", "404"])
async def test_a_service_cannot_keep_an_assistant_from_being_deleted(
    service: Service, recorder: RecordingAssistantService, trouble: Behaviour
) -> None:
    talk = await begin(service, recorder)
    recorder.answer(Kind.DELETE_CONVERSATION, then=trouble)
    recorder.answer(Kind.DELETE_ASSISTANT, then=trouble)
    assert (await talk.ann.delete(f"/assistants/{talk.id}")).status_code == 204
    assert (await talk.ann.get(f"/assistants/{talk.id}")).status_code == 404


async def test_configuration_passes_through(service: Service, recorder: RecordingAssistantService) -> None:
    talk = await begin(service, recorder)
    url = f"/assistants/{talk.id}/config"
    assert set((await talk.ann.get(url)).json()) == {"config", "errors", "json_schema", "ui_schema"}
    put = await talk.ann.put(url, json={"config": {"greeting": "hé"}, "json_schema": {"x": 1}})
    assert put.json()["config"] == {"greeting": "hé"}
    assert recorder.received(Kind.PUT_CONFIG)[0].json == {"config": {"greeting": "hé"}}
    assert (await talk.ann.put(url, json={"config": 7})).status_code == 422
    assert (await service.user("bea").get(url)).status_code == 404


TROUBLES: list[tuple[Behaviour, int, str]] = [
    (status(400, "bad"), 400, "Assistant responded with error; response: "),
    (status(409, "bad"), 409, "Assistant responded with error; response: "),
    (status(500, "bad"), 500, "Assistant responded with error; response: "),
    (status(401, "bad"), 424, "Assistant responded with error; response: "),
    (redirect("http://127.0.0.1:9/"), 424, "Assistant responded with error; response: "),
    (drop(), 424, "Failed to connect to assistant at url "),
    (cut(), 424, "Failed to connect to assistant at url "),
    (garbage(), 502, "The answer of the assistant at url "),
    (garbage(b'{"config": 7}'), 502, "The answer of the assistant at url "),
    (garbage(b'{"config": {}, "x": "' + b"x" * (10 << 20) + b'"}'), 502, "The answer of the assistant at url "),
]


@pytest.mark.parametrize(("trouble", "expected", "words"), TROUBLES)
async def test_what_a_failing_assistant_answers(
    sqlite_service: Service, trouble: Behaviour, expected: int, words: str
) -> None:
    async with sqlite_service.recorder(announced=False) as recorder:
        talk = await begin(sqlite_service, recorder)
        recorder.answer(Kind.GET_CONFIG, trouble)
        failed = await talk.ann.get(f"/assistants/{talk.id}/config")
        assert (failed.status_code, failed.json()["detail"][: len(words)]) == (expected, words)
        assert (await talk.ann.get(f"/assistants/{talk.id}/config")).status_code == 200


async def test_states_are_listed_read_and_written(service: Service, recorder: RecordingAssistantService) -> None:
    talk = await begin(service, recorder)
    states = (await talk.ann.get(talk.states)).json()["states"]
    assert [state["id"] for state in states] == ["notes"]
    assert states[0]["enabled"] is True
    state = (await talk.ann.get(f"{talk.states}/notes")).json()
    assert state == {**state, "id": "notes", "data": {"text": "nothing yet"}}
    new = {"data": {"text": "new"}, "json_schema": None, "id": "x"}
    written = (await talk.ann.put(f"{talk.states}/notes", json=new)).json()
    assert written["data"] == {"text": "new"}
    assert recorder.received(Kind.PUT_STATE)[0].json == {"data": {"text": "new"}}
    assert (await talk.ann.get(f"{talk.states}/none")).status_code == 404
    other = f"/conversations/{(await talk.ann.post('/conversations', json={})).json()['id']}"
    assert (await talk.ann.get(f"/assistants/{talk.id}{other}/states")).status_code == 404


async def test_who_left_a_conversation_no_longer_looks_into_its_assistants(
    service: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(service, recorder)
    await service.seat_user(talk.conversation, "bea")
    bea = service.user("bea")
    assert (await bea.get(talk.states)).status_code == 200
    (await bea.put(f"{talk.path}/participants/me", json={"active_participant": False})).raise_for_status()
    assert (await bea.get(talk.states)).status_code == 404


async def test_an_assistant_tells_of_its_states_where_it_is(
    service: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(service, recorder)
    robot = service.assistant(talk.id, recorder.service_id)
    foreign = (await talk.ann.post("/conversations", json={})).json()["id"]
    url = f"/assistants/{talk.id}/states/events"
    async with open_stream(talk.ann, f"{talk.path}/events") as stream:
        for kind in ("created", "updated", "deleted", "focus"):
            body = {"state_id": "notes", "event": kind, "state": {"id": "notes", "data": {}}}
            query = f"?conversation_id={talk.conversation}" if kind == "focus" else ""
            assert (await robot.post(url + query, json=body)).status_code == 204
        events = await stream.take(4)
    assert [event.name for event in events] == [
        f"assistant.state.{kind}" for kind in ("created", "updated", "deleted", "focus")
    ]
    assert events[0].data["data"] == {
        "assistant_id": talk.id,
        "state_id": "notes",
        "conversation_id": talk.conversation,
    }
    body = {"state_id": "notes", "event": "focus", "state": None}
    assert (await robot.post(f"{url}?conversation_id={foreign}", json=body)).status_code == 404
    assert (await robot.post(url, json={"state_id": "notes", "event": "focus"})).status_code == 422
    assert (await robot.post(url, json={**body, "event": "danced"})).status_code == 422
    await eventually(lambda: len(recorder.events(talk.id)) == 5)


async def test_the_conversations_of_an_assistant_are_its_owners_to_see(
    service: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(service, recorder)
    (await talk.ann.post(f"{talk.path}/messages", json={"content": "hi"})).raise_for_status()
    found = (await talk.ann.get(f"/assistants/{talk.id}/conversations")).json()["conversations"]
    assert [(each["id"], each["conversation_permission"]) for each in found] == [(talk.conversation, "read_write")]
    assert found[0]["latest_message"]["content"] == "hi"
    assert (await service.user("bea").get(f"/assistants/{talk.id}/conversations")).status_code == 404


DEFAULTS = [
    {"assistant_service_id": "recorder.workbench.example", "template_id": "other", "name": "Helper"},
    {"assistant_service_id": "away.example", "name": "Away"},
]


async def test_everybody_gets_the_default_assistants_once(database_url: str, tmp_path: Path) -> None:
    async with (
        RecordingAssistantService() as recorder,
        running_service(database_url, tmp_path / "data", service={"default_assistants": DEFAULTS}) as service,
    ):
        ann = service.user("ann")
        assert (await ann.get("/assistants")).json() == {"assistants": []}
        (await recorder.announce(service.url)).raise_for_status()
        answers = await asyncio.gather(*(ann.get("/assistants") for _ in range(8)))
        assert {answer.status_code for answer in answers} == {200}
        mine = (await ann.get("/assistants")).json()["assistants"]
        assert [(each["name"], each["template_id"]) for each in mine] == [("Helper", "other")]
        assert (await ann.delete(f"/assistants/{mine[0]['id']}")).status_code == 204
        again = (await ann.get("/assistants")).json()["assistants"]
        assert [each["name"] for each in again] == ["Helper"]
        assert again[0]["id"] != mine[0]["id"]
        path = (await service.user("bea").post("/conversations", json={})).json()["id"]
        assert (await service.user("bea").get(f"/assistants?conversation_id={path}")).json() == {"assistants": []}
