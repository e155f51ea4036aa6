"""The example assistant service, run for real against a small stand-in of the workbench."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator
from uuid import uuid4

import httpx
import pytest
from tests.support.servers import eventually, serve
from tests.support.workbench_stand_in import CalledService, WorkbenchStandIn, seated, standing_in

from workbench.examples.echo_assistant import service
from workbench.sdk import Settings, create_app

SERVICE_ID = "echo.workbench.example"
KEY = "a-shared-key"


@pytest.fixture
async def workbench() -> AsyncGenerator[WorkbenchStandIn]:
    async with standing_in() as stand_in:
        yield stand_in


@pytest.fixture
async def echo(workbench: WorkbenchStandIn) -> AsyncGenerator[CalledService]:
    async with seated(service, workbench, KEY) as running:
        yield running


async def test_announces_itself(workbench: WorkbenchStandIn, echo: CalledService) -> None:
    await eventually(workbench.heartbeats)
    beat = workbench.heartbeats()[0]
    assert (beat.method, beat.path) == ("PUT", f"/assistant-service-registrations/{SERVICE_ID}")
    assert beat.json == {
        "name": "Echo",
        "description": "Repeats what you say.",
        "url": str(echo.client.base_url).rstrip("/"),
        "online_expires_in_seconds": 105.0,
    }
    assert (beat.headers["x-assistant-service-id"], beat.headers["x-api-key"]) == (SERVICE_ID, KEY)


async def test_announces_itself_again_soon_after_a_failure() -> None:
    workbench = WorkbenchStandIn()
    workbench.failures.append(503)
    async with serve(workbench) as url, serve(create_app(service, Settings(workbench_url=url, url="http://any"))):
        await eventually(lambda: len(workbench.heartbeats()) == 2)
    first, second = workbench.heartbeats()
    assert 0.4 < second.at_seconds - first.at_seconds < 10


async def test_tells_what_it_offers_to_anybody(echo: CalledService) -> None:
    info = (await echo.client.get("/", headers={"X-API-Key": ""})).json()
    assert info["assistant_service_id"] == SERVICE_ID
    (template,) = info["templates"]
    assert template["id"] == "default"
    assert set(template["config"]) == {"config", "errors", "json_schema", "ui_schema"}
    assert template["config"]["json_schema"]["properties"].keys() == template["config"]["config"].keys()


async def test_repeats_what_a_person_says(workbench: WorkbenchStandIn, echo: CalledService) -> None:
    event = await echo.say("good morning to you")
    (reply,) = await workbench.replies(1)
    assert (reply["message_type"], reply["content"]) == ("chat", "You said: good morning to you (4 words)")
    assert reply["metadata"] == {"reply_to": event["data"]["message"]["id"]}
    request = next(request for request in workbench.requests if request.path.endswith("/messages"))
    assert request.path == f"/conversations/{echo.conversation_id}/messages"
    headers = {name: request.headers[name] for name in ("x-assistant-service-id", "x-assistant-id", "x-api-key")}
    assert list(headers.values()) == [SERVICE_ID, str(echo.assistant_id), KEY]
    assert request.headers["x-request-id"] == "c0ffee"


async def test_shows_that_it_thinks_and_clears_this_afterwards(
    workbench: WorkbenchStandIn, echo: CalledService
) -> None:
    await echo.say("hm")
    path = f"/conversations/{echo.conversation_id}"
    await eventually(lambda: len(workbench.calls(path)) == 3)
    before, post, after = workbench.calls(path)
    assert before == ("PUT", f"{path}/participants/me", {"status": "thinking..."})
    assert post[:2] == ("POST", f"{path}/messages")
    assert after == ("PUT", f"{path}/participants/me", {})


async def test_replies_in_the_order_in_which_it_was_told(workbench: WorkbenchStandIn, echo: CalledService) -> None:
    for number in range(5):
        await echo.say(f"{number}")
    replies = await workbench.replies(5)
    assert [reply["content"] for reply in replies] == [f"You said: {number} (1 word)" for number in range(5)]


@pytest.mark.parametrize(
    ("command", "response"),
    [
        ("/reverse some text", "txet emos"),
        ("/reverse\ngrüße", "eßürg"),
        ("/reverse", ""),
        (
            "/help",
            "/reverse some text - says it backwards\n"  # noqa: ISC004 - one answer
            "/save name some text - keeps it as a file\n"
            "/count 5 - counts so far, slowly\n"
            "/help - says this",
        ),
        ("/save name", "Error: I know no command /save. Type /help to see those that I know."),
        ("/count me in", "Error: I know no command /count. Type /help to see those that I know."),
        ("/dance now", "Error: I know no command /dance. Type /help to see those that I know."),
    ],
)
async def test_does_what_a_command_asks(
    workbench: WorkbenchStandIn, echo: CalledService, command: str, response: str
) -> None:
    await echo.say(command, message_type="command")
    (reply,) = await workbench.replies(1)
    assert (reply["message_type"], reply["content"]) == ("command-response", response)


async def test_greets_when_it_has_been_added_itself(workbench: WorkbenchStandIn, echo: CalledService) -> None:
    await echo.tell(echo.joined(uuid4()))
    await echo.tell(echo.joined(echo.assistant_id))
    (greeting,) = await workbench.replies(1)
    assert greeting["message_type"] == "chat"
    assert "/help" in greeting["content"]


async def test_greets_as_its_owner_wishes(workbench: WorkbenchStandIn, echo: CalledService) -> None:
    path = f"/{echo.assistant_id}/config"
    config = (await echo.client.put(path, json={"config": {"greeting": "Ahoy!"}})).json()
    assert config == (await echo.client.get(path)).json()
    assert config["config"] == {"greeting": "Ahoy!"}
    await echo.tell(echo.joined(echo.assistant_id))
    (greeting,) = await workbench.replies(1)
    assert greeting["content"] == "Ahoy!"


async def test_answers_neither_itself_nor_other_assistants_nor_notices(
    workbench: WorkbenchStandIn, echo: CalledService
) -> None:
    await echo.say("You said: hi", role="assistant", sender=str(echo.assistant_id))
    await echo.say("hi", role="assistant", sender=str(uuid4()))
    await echo.say("a service speaks", role="service")
    await echo.say("somebody joined", message_type="notice")
    await echo.tell(echo.event("file.created", {"file": {"filename": "a.txt"}}))
    await echo.say("and now a person")
    assert [reply["content"] for reply in await workbench.replies(1)] == ["You said: and now a person (4 words)"]


async def test_answers_an_event_once_however_often_it_is_delivered(
    workbench: WorkbenchStandIn, echo: CalledService
) -> None:
    event = await echo.say("once")
    assert (await echo.tell(event)).status_code == 204
    await echo.say("twice")
    replies = await workbench.replies(2)
    assert [reply["content"] for reply in replies] == ["You said: once (1 word)", "You said: twice (1 word)"]


async def test_answers_with_the_same_message_id_when_it_forgot_that_it_had_answered(
    workbench: WorkbenchStandIn, echo: CalledService
) -> None:
    event = await echo.say("once")
    await workbench.replies(1)
    await echo.client.delete(echo.seat)
    await echo.sit_down()
    await echo.tell(event)
    first, second = await workbench.replies(2)
    assert first["id"] == second["id"]


async def test_counts_what_it_has_answered(workbench: WorkbenchStandIn, echo: CalledService) -> None:
    for content in ("one", "two"):
        await echo.say(content)
    await eventually(lambda: len(workbench.state_events()) == 2)
    event = workbench.state_events()[0]
    assert event.json == {"state_id": "answered", "event": "updated", "state": None}
    assert event.query == {"conversation_id": str(echo.conversation_id)}
    assert event.path == f"/assistants/{echo.assistant_id}/states/events"
    state = (await echo.client.get(f"{echo.seat}/states/answered")).json()
    assert state["data"] == {"messages": 2}


async def test_tries_again_when_the_workbench_is_busy(workbench: WorkbenchStandIn, echo: CalledService) -> None:
    await eventually(workbench.heartbeats)
    workbench.failures.extend([503, 500])
    await echo.say("patience")
    (reply,) = await workbench.replies(1)
    assert reply["content"] == "You said: patience (1 word)"


async def test_a_message_that_is_refused_does_not_keep_the_next_from_being_answered(
    workbench: WorkbenchStandIn, echo: CalledService
) -> None:
    await eventually(workbench.heartbeats)
    workbench.failures.extend([403, 403, 403])
    await echo.say("refused")
    await echo.say("welcome")
    (reply,) = await workbench.replies(1)
    assert reply["content"] == "You said: welcome (1 word)"


async def test_a_reply_that_had_arrived_already_is_well(workbench: WorkbenchStandIn, echo: CalledService) -> None:
    await eventually(workbench.heartbeats)
    workbench.failures.extend([200, 409])
    await echo.say("again")
    await echo.say("next")
    (reply,) = await workbench.replies(1)
    assert reply["content"] == "You said: next (1 word)"


async def test_knows_nothing_of_conversations_where_it_does_not_sit(echo: CalledService) -> None:
    event = echo.joined(echo.assistant_id)
    for path in (f"/{uuid4()}/conversations/{echo.conversation_id}", f"/{echo.assistant_id}/conversations/{uuid4()}"):
        assert (await echo.client.post(f"{path}/events", json=event)).status_code == 404
    assert (await echo.client.delete(echo.seat)).status_code == 204
    assert (await echo.tell(event)).status_code == 404
    assert (await echo.client.put(f"/{uuid4()}/conversations/{uuid4()}")).status_code == 404


async def test_forgets_a_deleted_assistant(echo: CalledService) -> None:
    path = f"/{echo.assistant_id}"
    assert (await echo.client.delete(path)).status_code == 204
    assert (await echo.client.delete(path)).status_code == 404
    assert (await echo.tell(echo.joined(echo.assistant_id))).status_code == 404


async def test_refuses_those_who_do_not_know_the_key(echo: CalledService) -> None:
    for key in ("", "another", "schlüssel"):
        answer = await echo.client.put(f"/{uuid4()}", headers={"X-API-Key": key.encode()})
        assert answer.status_code == 401
        assert answer.json()["detail"] == "Invalid credentials"


async def test_takes_a_key_that_had_to_be_percent_encoded(workbench: WorkbenchStandIn) -> None:
    app = create_app(service, Settings(workbench_url=workbench.url, url="http://any", api_key="a key/+="))
    async with serve(app) as url, httpx.AsyncClient(base_url=url, verify=False) as client:
        headers = {"X-API-Key": "a%20key%2F%2B%3D"}
        assert (await client.delete(f"/{uuid4()}", headers=headers)).status_code == 404


async def test_refuses_a_form_without_sense(echo: CalledService) -> None:
    for form in ({}, {"assistant": "not json"}, {"assistant": "{}"}):
        assert (await echo.client.put(f"/{uuid4()}", data=form)).status_code == 422


async def test_runs_from_the_command_line_until_it_is_told_to_stop(workbench: WorkbenchStandIn) -> None:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workbench.examples.echo_assistant", "--workbench-url", workbench.url),
        stdout=asyncio.subprocess.PIPE,
    )
    assert program.stdout is not None
    line = (await program.stdout.readline()).decode().strip()
    url = line.removeprefix("listening on ")
    await eventually(workbench.heartbeats)
    assert workbench.heartbeats()[0].json["url"] == url
    async with httpx.AsyncClient(verify=False) as client:
        assert (await client.get(url)).json()["assistant_service_id"] == SERVICE_ID
    program.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(program.wait(), 5) == 0
