"""Assistant services and assistants over HTTP: registered, heard of, created, seated, sent away."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import Table, func, select
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import Behaviour, cut, drop, hang, redirect, status
from tests.support.clocks import SettableClock, StoppedClock
from tests.support.databases import open_store
from tests.support.servers import serve
from tests.support.service import Service, open_stream, running_service

from workbench.adapters.sql.tables import assistant_services, assistants, deliveries
from workbench.domain.identity.model import EVERYWHERE

REGISTRATIONS = "/assistant-service-registrations"
TAKEN = "assistant service with this assistant_service_id already exists"
CAUSE = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def recorder() -> AsyncGenerator[RecordingAssistantService]:
    async with RecordingAssistantService() as running:
        yield running


@pytest.fixture
def service(own_service: Service) -> Service:
    """Many tests count rows, or are the first to hear of a service."""
    return own_service


@pytest.fixture
async def on_sqlite(sqlite_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    """For what the wire says, whatever the database."""
    async with running_service(sqlite_url, tmp_path / "data") as service:
        yield service


@pytest.fixture
async def secured(database_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    async with running_service(database_url, tmp_path / "data", service={"assistant_keys": "secured"}) as service:
        yield service


def registration(service_id: str, **fields: Any) -> dict[str, Any]:
    return {"assistant_service_id": service_id, "name": "Robots", "description": "All of them", **fields}


def heartbeat(url: str = "http://127.0.0.1:9/", seconds: float = 60, **fields: Any) -> dict[str, Any]:
    return {"name": "n", "description": "d", "url": url, "online_expires_in_seconds": seconds, **fields}


async def create(client: httpx.AsyncClient, recorder: RecordingAssistantService, **fields: Any) -> Any:
    new = {"assistant_service_id": recorder.service_id, "name": "Robot", **fields}
    answer = await client.post("/assistants", json=new)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def conversation_of(client: httpx.AsyncClient) -> str:
    return f"/conversations/{(await client.post('/conversations', json={})).json()['id']}"


async def seats(client: httpx.AsyncClient, path: str) -> dict[str, bool]:
    """Who is or was in the conversation, and whether they are active."""
    answer = await client.get(f"{path}/participants?include_inactive=true")
    return {each["id"]: each["active_participant"] for each in answer.json()["participants"]}


async def count(service: Service, table: Table) -> int:
    async with open_store(service.database_url) as store:
        own = table.c.workspace_id != EVERYWHERE
        return (await store.database.rows(select(func.count()).select_from(table).where(own)))[0][0]


async def test_a_registered_service_waits_to_be_heard_of(service: Service) -> None:
    answer = await service.user("ann").post(REGISTRATIONS, json=registration("  Robots.Example-1  "))
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert datetime.fromisoformat(made.pop("created_datetime")).tzinfo is not None
    assert made == {
        "assistant_service_id": "robots.example-1",
        "created_by_user_id": "ann",
        "created_by_user_name": "Ann",
        "name": "Robots",
        "description": "All of them",
        "include_in_listing": True,
        "api_key_name": "",
        "assistant_service_url": "",
        "assistant_service_online": False,
        "assistant_service_online_expiration_datetime": None,
        "api_key": "",
        "api_key_last_used_datetime": None,
        "api_key_expiration_datetime": None,
    }


async def test_a_registration_that_makes_no_sense_is_refused(on_sqlite: Service) -> None:
    ann = on_sqlite.user("ann")
    wrong: list[dict[str, Any]] = [
        *({"assistant_service_id": text} for text in ("abc", "under_score", "slash/slash", "", None, 7)),
        *({"name": value} for value in ("", None)),
        {"description": None},
        {"include_in_listing": None},
    ]
    for each in wrong:
        answer = await ann.post(REGISTRATIONS, json={**registration("robots.example"), **each})
        assert answer.status_code == 422, each
        assert answer.json()["detail"][0]["loc"] == ["body", *each]
    assert await count(on_sqlite, assistant_services) == 0


async def test_an_id_is_registered_once_whoever_comes_first(service: Service) -> None:
    people = [service.user(name, workspace) for name in ("ann", "bea", "cay") for workspace in ("default", "elsewhere")]
    answers = await asyncio.gather(*(who.post(REGISTRATIONS, json=registration("robots.example")) for who in people))
    answers.append(await people[0].post(REGISTRATIONS, json=registration("Robots.Example")))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 6
    assert {answer.json()["detail"] for answer in answers if answer.status_code == 409} == {TAKEN}


async def test_a_first_visit_made_many_times_at_once_registers_all_the_same(service: Service) -> None:
    ann = service.user("ann")
    bodies = [registration(f"robots-{number}") for number in range(6)]
    answers = await asyncio.gather(*(ann.post(REGISTRATIONS, json=body) for body in bodies))
    assert [answer.status_code for answer in answers] == [200] * 6


async def test_a_key_is_shown_once_and_opens_only_its_own_service(secured: Service) -> None:
    ann = secured.user("ann")
    made = [(await ann.post(REGISTRATIONS, json=registration(name))).json() for name in ("robots.one", "robots.two")]
    keys = [each["api_key"] for each in made]
    assert [len(key) for key in keys] == [43, 43]
    assert keys[0] != keys[1]
    assert all(key.replace("-", "").replace("_", "").isalnum() for key in keys)
    right = secured.assistant_service("robots.one", keys[0])
    heard = await right.put(f"{REGISTRATIONS}/robots.one", json=heartbeat("https://robots.example"))
    assert heard.status_code == 200, heard.text
    assert (heard.json()["api_key"], heard.json()["assistant_service_online"]) == (None, True)
    for service_id, key in [("robots.one", keys[1]), ("robots.one", ""), ("robots.none", keys[0])]:
        stranger = secured.assistant_service(service_id, key)
        refused = await stranger.put(f"{REGISTRATIONS}/{service_id}", json=heartbeat("https://robots.example"))
        assert (refused.status_code, refused.json()["detail"]) == (401, "Invalid credentials")
    assert await count(secured, assistant_services) == 2


async def test_a_key_is_stored_unreadable(secured: Service) -> None:
    made = (await secured.user("ann").post(REGISTRATIONS, json=registration("robots.one"))).json()
    async with open_store(secured.database_url) as store:
        ((stored,),) = await store.database.rows(
            select(assistant_services.c.api_key_encrypted).where(assistant_services.c.workspace_id != EVERYWHERE)
        )
    assert stored
    assert made["api_key"] not in str(stored)


async def test_with_keys_a_service_must_be_reached_by_https(secured: Service) -> None:
    made = (await secured.user("ann").post(REGISTRATIONS, json=registration("robots.one"))).json()
    itself = secured.assistant_service("robots.one", made["api_key"])
    refused = await itself.put(f"{REGISTRATIONS}/robots.one", json=heartbeat("http://robots.example"))
    assert (refused.status_code, refused.json()["detail"]) == (400, "url must be https")


async def test_an_unknown_service_registers_itself_by_its_first_heartbeat(service: Service) -> None:
    itself = service.assistant_service("My.Robots")
    answer = await itself.put(f"{REGISTRATIONS}/My.Robots", json=heartbeat(name="Mine", description="of me"))
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert (made["assistant_service_id"], made["name"], made["description"]) == ("My.Robots", "Mine", "of me")
    assert (made["created_by_user_id"], made["created_by_user_name"]) == (
        "semantic-workbench",
        "Semantic Workbench Service",
    )
    assert (made["include_in_listing"], made["assistant_service_online"], made["api_key"]) == (True, True, None)
    again = await itself.put(
        f"{REGISTRATIONS}/My.Robots", json=heartbeat("http://127.0.0.1:10", 0, name="Other", description="")
    )
    expected = {**made, "assistant_service_url": "http://127.0.0.1:10/", "assistant_service_online": False}
    found = again.json()
    for moving in ("assistant_service_online_expiration_datetime", "api_key_last_used_datetime"):
        assert found.pop(moving) != expected.pop(moving)
    assert found == expected


async def test_first_heartbeats_at_the_same_time_are_all_heard(service: Service) -> None:
    clients = [service.assistant_service("robots.example") for _ in range(6)]
    beats = (client.put(f"{REGISTRATIONS}/robots.example", json=heartbeat()) for client in clients)
    assert [answer.status_code for answer in await asyncio.gather(*beats)] == [200] * 6
    assert await count(service, assistant_services) == 1


async def test_a_services_url_is_kept_in_one_form(on_sqlite: Service) -> None:
    itself = on_sqlite.assistant_service("robots.example")
    for said, kept in (
        ("HTTP://LocalHost:80", "http://localhost/"),
        ("https://Robots.Example:443/My/Agents/", "https://robots.example/My/Agents/"),
        ("https://robots.example:80/", "https://robots.example:80/"),
        ("http://[::1]:9001/a", "http://[::1]:9001/a"),
        (" http://127.0.0.1:9 ", "http://127.0.0.1:9/"),
    ):
        answer = await itself.put(f"{REGISTRATIONS}/robots.example", json=heartbeat(said))
        assert answer.json()["assistant_service_url"] == kept


async def test_what_is_no_url_of_a_service_is_refused(on_sqlite: Service) -> None:
    itself = on_sqlite.assistant_service("robots.example")
    without_host = ("robots.example", "http://", "/here", "")
    for said in (
        *without_host,
        "ftp://robots.example",
        "http://a:b@c/",
        "http://c/?q=1",
        "http://c/#f",
        "http://c:99999/",
    ):
        answer = await itself.put(f"{REGISTRATIONS}/robots.example", json=heartbeat(said))
        assert (answer.status_code, answer.json().get("field")) == (400, "url"), said
    assert await count(on_sqlite, assistant_services) == 0


async def test_a_heartbeat_says_everything(on_sqlite: Service) -> None:
    itself = on_sqlite.assistant_service("robots.example")
    for missing in heartbeat():
        body = {name: value for name, value in heartbeat().items() if name != missing}
        answer = await itself.put(f"{REGISTRATIONS}/robots.example", json=body)
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", missing])
    for seconds in (-1, "soon", None, 1e9):
        answer = await itself.put(f"{REGISTRATIONS}/robots.example", json=heartbeat(seconds=seconds))
        assert answer.status_code == 422, seconds


async def test_no_service_speaks_for_another(on_sqlite: Service) -> None:
    answer = await on_sqlite.assistant_service("robots.example").put(f"{REGISTRATIONS}/other.example", json=heartbeat())
    assert answer.status_code == 403
    assert await count(on_sqlite, assistant_services) == 0


async def test_a_service_is_online_until_the_time_it_said(
    database_url: str, tmp_path: Path, recorder: RecordingAssistantService
) -> None:
    held = StoppedClock(SettableClock(datetime.now(UTC)))
    async with running_service(database_url, tmp_path / "data", held) as service:
        ann = service.user("ann")
        await recorder.announce(service.url, expires_seconds=60)
        made = await create(ann, recorder)
        path = await conversation_of(ann)
        robot = f"{path}/participants/{made['id']}"
        assert (await ann.put(robot, json={})).json()["online"] is True

        async def online() -> list[bool]:
            assistant = (await ann.get(f"/assistants/{made['id']}")).json()
            listed = (await ann.get(path)).json()["participants"][1]
            return [assistant["assistant_service_online"], (await ann.get(robot)).json()["online"], listed["online"]]

        held.clock.move(seconds=59)
        assert await online() == [True] * 3
        held.clock.move(seconds=2)
        assert await online() == [False] * 3
        await recorder.announce(service.url, expires_seconds=60)
        assert await online() == [True] * 3
        await recorder.announce(service.url, expires_seconds=0)
        assert await online() == [False] * 3


async def test_a_created_assistant_is_told_to_its_service_and_shown_to_its_owner(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann = service.user("ann")
    await recorder.announce(service.url)
    ann.headers["X-Request-ID"] = CAUSE
    made = await create(ann, recorder, name='Röbot "1"', image="data:,x", metadata={"a": [1]}, template_id="other")
    assert list(made) == [
        "id",
        "name",
        "image",
        "assistant_service_id",
        "assistant_service_online",
        "template_id",
        "metadata",
        "created_datetime",
    ]
    assert (made["name"], made["image"], made["metadata"]) == ('Röbot "1"', "data:,x", {"a": [1]})
    assert (made["template_id"], made["assistant_service_online"]) == ("other", True)
    (put,) = recorder.received()
    assert (put.method, put.path, list(put.form)) == ("PUT", f"/{made['id']}", ["assistant"])
    assert json.loads(put.form["assistant"]) == {"assistant_name": 'Röbot "1"', "template_id": "other"}
    assert put.headers["content-type"] == "application/x-www-form-urlencoded"
    assert (put.headers["x-api-key"], put.headers["x-request-id"]) == ("", CAUSE)
    assert (await ann.get(f"/assistants/{made['id']}")).json() == made
    assert (await service.user("bea").get(f"/assistants/{made['id']}")).status_code == 404


async def test_a_path_in_a_services_url_is_kept(on_sqlite: Service) -> None:
    async with RecordingAssistantService(prefix="/my/agents") as recorder:
        ann = on_sqlite.user("ann")
        await recorder.announce(on_sqlite.url)
        made = await create(ann, recorder)
        path = await conversation_of(ann)
        await ann.put(f"{path}/participants/{made['id']}", json={})
        await recorder.wait_for(1)
    kinds = [request.kind for request in recorder.received()]
    assert kinds == [Kind.SERVICE_INFO, Kind.PUT_ASSISTANT, Kind.PUT_CONVERSATION, Kind.EVENT]
    asked, *others = recorder.received()
    assert asked.path == "/my/agents/"
    assert all(request.path.startswith(f"/my/agents/{made['id']}") for request in others)


async def test_a_created_assistant_may_call_back_before_its_service_has_answered(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann = service.user("ann")
    await recorder.announce(service.url)
    recorder.answer(Kind.PUT_ASSISTANT, hang())
    creating = asyncio.create_task(create(ann, recorder))
    await recorder.wait_for(lambda it: it.received(Kind.PUT_ASSISTANT))
    itself = service.assistant(str(recorder.received(Kind.PUT_ASSISTANT)[0].assistant_id))
    called_back = await itself.get("/conversations")
    recorder.release()
    await creating
    assert (called_back.status_code, called_back.json()) == (200, {"conversations": []})


async def test_the_services_words_of_an_unknown_or_sleeping_one(
    on_sqlite: Service, recorder: RecordingAssistantService
) -> None:
    ann = on_sqlite.user("ann")
    unknown = await ann.post("/assistants", json={"assistant_service_id": "none.example", "name": "n"})
    assert (unknown.status_code, unknown.json()["detail"]) == (
        400,
        "assistant service id none.example is not valid",
    )
    await recorder.announce(on_sqlite.url, expires_seconds=0)
    asleep = await ann.post("/assistants", json={"assistant_service_id": recorder.service_id, "name": "n"})
    assert (asleep.status_code, asleep.json()["detail"]) == (
        400,
        f"assistant service 'Recorder' ({recorder.service_id}) is currently offline",
    )
    await ann.post(REGISTRATIONS, json=registration("silent.example"))
    silent = await ann.post("/assistants", json={"assistant_service_id": "silent.example", "name": "n"})
    assert silent.json()["detail"] == "assistant service 'Robots' (silent.example) is currently offline"
    assert (recorder.received(), await count(on_sqlite, assistants)) == ([], 0)


TROUBLES = [
    (status(500, "a"), 500),
    (status(404, "a"), 404),
    (status(409, "a"), 409),
    (status(422, "a"), 422),
    (status(503, "a"), 503),
    (status(401, "a"), 424),
    (status(403, "a"), 424),
    (redirect("http://127.0.0.1:9/"), 424),
]


async def test_what_a_service_answers_to_a_new_assistant_is_passed_on(
    on_sqlite: Service, recorder: RecordingAssistantService
) -> None:
    ann = on_sqlite.user("ann")
    await recorder.announce(on_sqlite.url)
    for trouble, expected in TROUBLES:
        recorder.answer(Kind.PUT_ASSISTANT, trouble)
        failed = await ann.post("/assistants", json={"assistant_service_id": recorder.service_id, "name": "n"})
        words = f"Assistant responded with error; response: {trouble.body.decode()}"
        assert (failed.status_code, failed.json()["detail"]) == (expected, words), trouble
    assert await count(on_sqlite, assistants) == 0
    assert len(recorder.received(Kind.PUT_ASSISTANT)) == len(TROUBLES)


async def test_an_unreachable_service_is_named_and_leaves_nothing_behind(on_sqlite: Service) -> None:
    ann = on_sqlite.user("ann")
    async with RecordingAssistantService() as recorder:
        new = {"assistant_service_id": recorder.service_id, "name": "n", "image": "data:,x"}
        await recorder.announce(on_sqlite.url)
        recorder.answer(Kind.PUT_ASSISTANT, drop())
        hung_up = await ann.post("/assistants", json=new)
        assistant = recorder.requests[0].assistant_id
        assert hung_up.status_code == 424
        assert hung_up.json()["detail"] == (
            f"Failed to connect to assistant at url {recorder.url}/{assistant}; "
            "RemoteProtocolError: Server disconnected without sending a response."
        )
        assert (await ann.get(f"/assistants/{assistant}")).status_code == 404
        assert (await on_sqlite.assistant(str(assistant)).get("/conversations")).status_code == 401
        await recorder.stop()
        away = await ann.post("/assistants", json=new)
        words = rf"Failed to connect to assistant at url {re.escape(recorder.url)}/[0-9a-f-]{{36}}; ConnectError: .+"
        assert away.status_code == 424
        assert re.fullmatch(words, away.json()["detail"])
    assert await count(on_sqlite, assistants) == 0


async def test_an_assistant_takes_part_before_its_service_has_answered_and_is_told_of_after(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann = service.user("ann")
    await recorder.announce(service.url)
    made = await create(ann, recorder, image="data:,x")
    path = await conversation_of(ann)
    itself = service.assistant(made["id"])
    recorder.answer(Kind.PUT_CONVERSATION, hang())
    async with open_stream(ann, f"{path}/events") as stream:
        adding = asyncio.create_task(ann.put(f"{path}/participants/{made['id']}", json={}))
        await recorder.wait_for(lambda it: it.received(Kind.PUT_CONVERSATION))
        greeting = await itself.post(f"{path}/messages", json={"content": "I am coming"})
        assert greeting.status_code == 200, greeting.text
        assert await seats(itself, path) == {"ann": True, made["id"]: True}
        assert not adding.done()
        assert recorder.events() == []
        recorder.release()
        added = await adding
        told = await stream.take(2)
    assert added.status_code == 200, added.text
    assert (added.json()["name"], added.json()["image"]) == ("Robot", "data:,x")
    assert (added.json()["active_participant"], added.json()["conversation_permission"]) == (True, "read_write")
    assert [event.name for event in told] == ["message.created", "participant.created"]
    assert told[1].data["data"]["participant"] == added.json()
    assert [each["id"] for each in told[1].data["data"]["participants"]] == ["ann", made["id"]]
    await recorder.wait_for(2)
    heard = [request.json["event"] for request in recorder.received(Kind.EVENT)]
    assert heard == ["message.created", "participant.created"]
    assert recorder.events()[1]["data"] == told[1].data["data"]


async def test_an_assistant_that_could_not_come_back_is_out_as_before(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann = service.user("ann")
    await recorder.announce(service.url)
    path = await conversation_of(ann)
    robot = f"{path}/participants/{(await create(ann, recorder))['id']}"
    await ann.put(robot, json={"metadata": {"kept": True}})
    await ann.put(robot, json={"active_participant": False})
    before = (await ann.get(robot)).json()
    back = {"active_participant": True, "status": "new", "metadata": {"x": 1}}
    async with open_stream(ann, f"{path}/events") as stream:
        for trouble, expected in [*TROUBLES, (drop(), 424)]:
            recorder.answer(Kind.PUT_CONVERSATION, trouble)
            failed = await ann.put(robot, json=back)
            assert failed.status_code == expected, failed.text
            assert (await ann.get(robot)).json() == before
            recorder.answer(Kind.PUT_CONVERSATION, trouble)
            elsewhere = await conversation_of(ann)
            failed = await ann.put(robot.replace(path, elsewhere), json={})
            assert (failed.status_code, await seats(ann, elsewhere)) == (expected, {"ann": True})
        recorder.answer(Kind.PUT_CONVERSATION, cut())  # it has said yes, and nothing more is asked of it
        assert (await ann.put(robot, json=back)).status_code == 200
        first = await stream.next()
    assert (first.name, first.data["data"]["participant"]["status"]) == ("participant.updated", "new")


async def test_of_two_joinings_at_once_the_one_that_fails_undoes_nothing(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann = service.user("ann")
    await recorder.announce(service.url)
    made = await create(ann, recorder)
    path = await conversation_of(ann)
    robot = f"{path}/participants/{made['id']}"
    recorder.answer(Kind.PUT_CONVERSATION, hang(status(500)))
    failing = asyncio.create_task(ann.put(robot, json={}))
    await recorder.wait_for(lambda it: it.received(Kind.PUT_CONVERSATION))
    assert (await ann.put(robot, json={})).status_code == 200
    recorder.release()
    assert (await failing).status_code == 500
    await ann.post(f"{path}/messages", json={"content": "hello"})
    await recorder.wait_for(lambda it: it.events() and it.events()[-1]["event"] == "message.created")
    assert await seats(ann, path) == {"ann": True, made["id"]: True}


async def test_of_two_joinings_at_once_one_may_find_the_other_undone(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann = service.user("ann")
    await recorder.announce(service.url)
    made = await create(ann, recorder)
    path = await conversation_of(ann)
    robot = f"{path}/participants/{made['id']}"
    recorder.answer(Kind.PUT_CONVERSATION, hang(status(500)))
    failing = asyncio.create_task(ann.put(robot, json={}))
    await recorder.wait_for(lambda it: it.received(Kind.PUT_CONVERSATION))
    async with RecordingAssistantService() as second_thoughts:
        await second_thoughts.announce(service.url)
        second_thoughts.answer(Kind.PUT_CONVERSATION, hang(status(204)))
        joining = asyncio.create_task(ann.put(robot, json={}))
        await second_thoughts.wait_for(lambda it: it.received(Kind.PUT_CONVERSATION))
        recorder.release()
        assert (await failing).status_code == 500
        second_thoughts.release()
        assert (await joining).status_code == 409
    assert await seats(ann, path) == {"ann": True}
    assert await count(service, deliveries) == 0


async def test_a_second_try_to_join_connects(service: Service, recorder: RecordingAssistantService) -> None:
    ann = service.user("ann")
    await recorder.announce(service.url)
    made = await create(ann, recorder)
    path = await conversation_of(ann)
    recorder.answer(Kind.PUT_CONVERSATION, status(500))
    failed = await ann.put(f"{path}/participants/{made['id']}", json={})
    assert (failed.status_code, await seats(ann, path)) == (500, {"ann": True})
    assert await count(service, deliveries) == 0
    joined = await ann.put(f"{path}/participants/{made['id']}", json={})
    assert (joined.status_code, joined.json()["active_participant"]) == (200, True)
    await ann.post(f"{path}/messages", json={"content": "hello"})
    await recorder.wait_for(2)
    assert [event["event"] for event in recorder.events()] == ["participant.created", "message.created"]


async def test_an_assistant_of_a_sleeping_service_cannot_join(
    on_sqlite: Service, recorder: RecordingAssistantService
) -> None:
    ann = on_sqlite.user("ann")
    await recorder.announce(on_sqlite.url)
    made = await create(ann, recorder)
    await recorder.announce(on_sqlite.url, expires_seconds=0)
    path = await conversation_of(ann)
    failed = await ann.put(f"{path}/participants/{made['id']}", json={})
    assert (failed.status_code, await seats(ann, path)) == (424, {"ann": True})
    assert recorder.received(Kind.PUT_CONVERSATION) == []


async def test_a_farewell_that_waits_survives_a_return_that_fails(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann = service.user("ann")
    await recorder.announce(service.url)
    made = await create(ann, recorder)
    path = await conversation_of(ann)
    robot = f"{path}/participants/{made['id']}"
    await ann.put(robot, json={})
    recorder.answer(Kind.DELETE_CONVERSATION, status(500))
    recorder.answer(Kind.PUT_CONVERSATION, status(500))
    await ann.put(robot, json={"active_participant": False})
    await recorder.wait_for(lambda it: it.received(Kind.DELETE_CONVERSATION))
    assert (await ann.put(robot, json={"active_participant": True})).status_code == 500
    await recorder.wait_for(lambda it: not it.conversations)


async def test_an_assistant_that_leaves_while_it_joins_is_out(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann = service.user("ann")
    await recorder.announce(service.url)
    made = await create(ann, recorder)
    path = await conversation_of(ann)
    recorder.answer(Kind.PUT_CONVERSATION, hang())
    adding = asyncio.create_task(ann.put(f"{path}/participants/{made['id']}", json={}))
    await recorder.wait_for(lambda it: it.received(Kind.PUT_CONVERSATION))
    assert (await service.assistant(made["id"]).delete(path)).status_code == 204
    recorder.release()
    assert (await adding).status_code == 200
    await ann.post(f"{path}/messages", json={"content": "are you there"})
    assert await seats(ann, path) == {"ann": True, made["id"]: False}
    async with asyncio.timeout(5):
        while await count(service, deliveries):  # noqa: ASYNC110 - the row goes by another event loop
            await asyncio.sleep(0.01)
    assert recorder.events() == []


@pytest.mark.parametrize(("trouble", "expected"), [(hang(), 404), (hang(status(500)), 500)])
async def test_a_conversation_that_is_deleted_while_an_assistant_joins_is_gone(
    service: Service, recorder: RecordingAssistantService, trouble: Behaviour, expected: int
) -> None:
    ann = service.user("ann")
    await recorder.announce(service.url)
    made = await create(ann, recorder)
    path = await conversation_of(ann)
    recorder.answer(Kind.PUT_CONVERSATION, trouble)
    adding = asyncio.create_task(ann.put(f"{path}/participants/{made['id']}", json={}))
    await recorder.wait_for(lambda it: it.received(Kind.PUT_CONVERSATION))
    assert (await ann.delete(path)).status_code == 204
    recorder.release()
    assert (await adding).status_code == expected
    assert (await ann.get(path)).status_code == 404


async def test_an_assistant_that_is_removed_is_told_and_hears_no_more(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann = service.user("ann")
    await recorder.announce(service.url)
    made = await create(ann, recorder)
    path = await conversation_of(ann)
    robot = f"{path}/participants/{made['id']}"
    await ann.put(robot, json={"status": "ready"})
    await recorder.wait_for(1)
    removed = await ann.patch(robot, json={"active_participant": False})
    assert (removed.status_code, removed.json()["status"]) == (200, None)
    await ann.post(f"{path}/messages", json={"content": "not for you"})
    await recorder.wait_for(lambda it: not it.conversations)
    assert [event["event"] for event in recorder.events()] == ["participant.created"]
    assert await seats(ann, path) == {"ann": True, made["id"]: False}
    itself = service.assistant(made["id"])
    assert (await itself.post(f"{path}/messages", json={"content": "x"})).status_code == 404
    assert (await itself.put(f"{path}/participants/me", json={})).status_code == 404
    assert (await itself.put(f"{path}/participants/me", json={"active_participant": True})).status_code == 404


async def test_an_assistant_leaves_by_deleting_the_conversation(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann = service.user("ann")
    await recorder.announce(service.url)
    made = await create(ann, recorder)
    path = await conversation_of(ann)
    await ann.put(f"{path}/participants/{made['id']}", json={})
    itself = service.assistant(made["id"])
    assert [each["id"] for each in (await itself.get("/conversations")).json()["conversations"]] == [path[15:]]
    async with open_stream(ann, f"{path}/events") as stream:
        assert (await itself.delete(path)).status_code == 204
        told = await stream.next()
    assert (told.name, told.data["data"]["participant"]["active_participant"]) == ("participant.updated", False)
    await recorder.wait_for(lambda it: it.received(Kind.DELETE_CONVERSATION))
    assert (await itself.delete(path)).status_code == 404
    assert (await itself.get("/conversations")).json() == {"conversations": []}
    assert (await ann.get(path)).status_code == 200


async def test_an_assistant_changes_its_own_seat_only(service: Service, recorder: RecordingAssistantService) -> None:
    ann = service.user("ann")
    await recorder.announce(service.url)
    mine, other = await create(ann, recorder), await create(ann, recorder)
    path = await conversation_of(ann)
    for each in (mine, other):
        await ann.put(f"{path}/participants/{each['id']}", json={})
    itself = service.assistant(mine["id"])
    for spelled in ("me", mine["id"]):
        changed = await itself.patch(f"{path}/participants/{spelled}", json={"status": spelled})
        assert (changed.status_code, changed.json()["status"]) == (200, spelled)
    for stranger in ("ann", other["id"], str(uuid4())):
        assert (await itself.patch(f"{path}/participants/{stranger}", json={})).status_code == 403


async def test_only_its_owner_seats_and_removes_an_assistant(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann, bea = service.user("ann"), service.user("bea")
    await recorder.announce(service.url)
    hers = f"/participants/{(await create(bea, recorder))['id']}"
    path = await conversation_of(ann)
    assert (await bea.put(path + hers, json={})).status_code == 404  # not in the conversation
    await service.seat_user(path.removeprefix("/conversations/"), "bea", "read")
    assert (await bea.put(path + hers, json={})).status_code == 404  # only looking on
    shared = await conversation_of(ann)
    await service.seat_user(shared.removeprefix("/conversations/"), "bea")
    assert (await ann.put(shared + hers, json={})).status_code == 404  # not hers
    assert (await bea.put(shared + hers, json={})).status_code == 200
    assert (await ann.put(shared + hers, json={"active_participant": False})).status_code == 404
    assert (await ann.put(f"{shared}/participants/bea", json={})).status_code == 403
    assert (await ann.put(f"{shared}/participants/{uuid4()}", json={})).status_code == 404
    seen = (await ann.get(f"/assistants/{hers.removeprefix('/participants/')}")).status_code
    assert seen == 200  # met in a conversation
    assert (await bea.put(shared + hers, json={"active_participant": False})).status_code == 200
    assert (await ann.get(f"/assistants/{hers.removeprefix('/participants/')}")).status_code == 404


async def test_an_owner_who_left_may_still_send_the_assistant_away(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann = service.user("ann")
    await recorder.announce(service.url)
    made = await create(ann, recorder)
    path = await conversation_of(ann)
    await ann.put(f"{path}/participants/{made['id']}", json={})
    await ann.put(f"{path}/participants/me", json={"active_participant": False})
    gone = await ann.put(f"{path}/participants/{made['id']}", json={"active_participant": False})
    assert (gone.status_code, await seats(ann, path)) == (200, {"ann": False, made["id"]: False})


async def test_connections_to_a_service_are_used_again(on_sqlite: Service) -> None:
    callers: set[tuple[str, int]] = set()

    async def record(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            callers.add(scope["client"])
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"{}"})

    async with serve(record) as url:
        itself, ann = on_sqlite.assistant_service("robots.example"), on_sqlite.user("ann")
        await itself.put(f"{REGISTRATIONS}/robots.example", json=heartbeat(url))
        for number in range(5):
            new = {"assistant_service_id": "robots.example", "name": str(number)}
            assert (await ann.post("/assistants", json=new)).status_code == 201
    assert len(callers) == 1


async def test_ids_of_assistants_that_are_none_are_not_found(on_sqlite: Service) -> None:
    ann = on_sqlite.user("ann")
    path = await conversation_of(ann)
    assert (await ann.get(f"/assistants/{uuid4()}")).status_code == 404
    assert (await ann.put(f"{path}/participants/{uuid4()}", json={})).status_code == 404
    assert (await ann.put(f"{path}/participants/nobody", json={})).status_code == 403
