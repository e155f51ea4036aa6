"""The example assistant service, run for real against a small stand-in of the workbench."""

import asyncio
import signal
import sys
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from tests.support.servers import (
    Receive,
    ReceivedRequest,
    ReservedPort,
    Scope,
    Send,
    eventually,
    read_request,
    send_json,
    serve,
)

from workbench.examples.echo_assistant import create_app
from workbench.examples.echo_workbench import REMEMBERED_EVENTS, Event, EventData, Inbox, Settings

SERVICE_ID = "echo.workbench.example"
KEY = "a-shared-key"


class WorkbenchStandIn:
    """Records what assistants ask of a workbench; answers 200, or first with the statuses in `failures`."""

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []
        self.failures: deque[int] = deque()
        self.url = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = await read_request(scope, receive)
        request.status = self.failures.popleft() if self.failures else 200
        self.requests.append(request)
        await send_json(send, request.status, {})

    def heartbeats(self) -> list[ReceivedRequest]:
        return [request for request in self.requests if "registrations" in request.path]

    def messages(self) -> list[dict[str, Any]]:
        """The messages that were taken."""
        posts = [request for request in self.requests if request.path.endswith("/messages")]
        return [request.json for request in posts if request.status == 200]

    async def replies(self, count: int) -> list[dict[str, Any]]:
        await eventually(lambda: len(self.messages()) >= count, reason=f"posted: {self.messages()}")
        return self.messages()


class Echo:
    """The service under test, with one assistant in one conversation."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.assistant_id, self.conversation_id = uuid4(), uuid4()
        self.seat = f"/{self.assistant_id}/conversations/{self.conversation_id}"

    async def sit_down(self) -> None:
        form = {"assistant": '{"assistant_name": "Echo", "template_id": "default"}'}
        assert (await self.client.put(f"/{self.assistant_id}", data=form)).status_code == 204
        form = {"conversation": '{"id": "any", "title": "Any"}'}
        assert (await self.client.put(self.seat, data=form)).status_code == 204

    async def tell(self, event: dict[str, Any]) -> httpx.Response:
        return await self.client.post(f"{self.seat}/events", json=event)

    async def say(
        self, content: str, *, message_type: str = "chat", role: str = "user", sender: str = "ada"
    ) -> dict[str, Any]:
        """Have somebody write a message; returns the event that told of it."""
        message = {
            "id": str(uuid4()),
            "sender": {"participant_role": role, "participant_id": sender},
            "message_type": message_type,
            "timestamp": "2026-01-02T03:04:05.678901Z",
            "content_type": "text/plain",
            "content": content,
            "filenames": [],
            "metadata": {},
            "has_debug_data": False,
        }
        event = self.event("message.created", {"message": message})
        assert (await self.tell(event)).status_code == 204
        return event

    def event(self, name: str, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": uuid4().hex,
            "correlation_id": "c0ffee",
            "conversation_id": str(self.conversation_id),
            "event": name,
            "timestamp": "2026-01-02T03:04:05.678901Z",
            "data": data,
        }

    def joined(self, participant_id: UUID | str) -> dict[str, Any]:
        participant = {"role": "assistant", "id": str(participant_id), "name": "Echo", "active_participant": True}
        return self.event("participant.created", {"participant": participant, "participants": [participant]})


@pytest.fixture
async def workbench() -> AsyncGenerator[WorkbenchStandIn]:
    stand_in = WorkbenchStandIn()
    async with serve(stand_in) as url:
        stand_in.url = url
        yield stand_in


@pytest.fixture
async def echo(workbench: WorkbenchStandIn) -> AsyncGenerator[Echo]:
    port = ReservedPort()
    app = create_app(Settings(workbench_url=workbench.url, url=port.url, service_id=SERVICE_ID, api_key=KEY))
    async with (
        serve(app, port=port.number),
        httpx.AsyncClient(base_url=port.url, headers={"X-API-Key": KEY}, verify=False) as client,
    ):
        echo = Echo(client)
        await echo.sit_down()
        yield echo
    port.release()


async def test_announces_itself(workbench: WorkbenchStandIn, echo: Echo) -> None:
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
    async with serve(workbench) as url, serve(create_app(Settings(workbench_url=url, url="http://any"))):
        await eventually(lambda: len(workbench.heartbeats()) == 2)
    first, second = workbench.heartbeats()
    assert 0.4 < second.at_seconds - first.at_seconds < 10


async def test_tells_what_it_offers_to_anybody(echo: Echo) -> None:
    info = (await echo.client.get("/", headers={"X-API-Key": ""})).json()
    assert info["assistant_service_id"] == SERVICE_ID
    (template,) = info["templates"]
    assert template["id"] == "default"
    assert set(template["config"]) == {"config", "errors", "json_schema", "ui_schema"}
    assert template["config"]["json_schema"]["properties"].keys() == template["config"]["config"].keys()


async def test_repeats_what_a_person_says(workbench: WorkbenchStandIn, echo: Echo) -> None:
    event = await echo.say("good morning to you")
    (reply,) = await workbench.replies(1)
    assert (reply["message_type"], reply["content"]) == ("chat", "You said: good morning to you (4 words)")
    assert reply["metadata"] == {"reply_to": event["data"]["message"]["id"]}
    request = next(request for request in workbench.requests if request.path.endswith("/messages"))
    assert request.path == f"/conversations/{echo.conversation_id}/messages"
    headers = {name: request.headers[name] for name in ("x-assistant-service-id", "x-assistant-id", "x-api-key")}
    assert list(headers.values()) == [SERVICE_ID, str(echo.assistant_id), KEY]
    assert request.headers["x-request-id"] == "c0ffee"


async def test_shows_that_it_thinks_and_clears_this_afterwards(workbench: WorkbenchStandIn, echo: Echo) -> None:
    await echo.say("hm")
    path = f"/conversations/{echo.conversation_id}"

    def calls() -> list[tuple[str, str, Any]]:
        return [(r.method, r.path, r.json) for r in workbench.requests if r.path.startswith(path)]

    await eventually(lambda: len(calls()) == 3)
    before, post, after = calls()
    assert before == ("PUT", f"{path}/participants/me", {"status": "thinking..."})
    assert post[:2] == ("POST", f"{path}/messages")
    assert after == ("PUT", f"{path}/participants/me", {})


async def test_replies_in_the_order_in_which_it_was_told(workbench: WorkbenchStandIn, echo: Echo) -> None:
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
        ("/help", "/reverse some text - says it backwards\n/help - says this"),
        ("/dance now", "Error: I know no command /dance. Type /help to see those that I know."),
    ],
)
async def test_does_what_a_command_asks(workbench: WorkbenchStandIn, echo: Echo, command: str, response: str) -> None:
    await echo.say(command, message_type="command")
    (reply,) = await workbench.replies(1)
    assert (reply["message_type"], reply["content"]) == ("command-response", response)


async def test_greets_when_it_has_been_added_itself(workbench: WorkbenchStandIn, echo: Echo) -> None:
    await echo.tell(echo.joined(uuid4()))
    await echo.tell(echo.joined(echo.assistant_id))
    (greeting,) = await workbench.replies(1)
    assert greeting["message_type"] == "chat"
    assert "/help" in greeting["content"]


async def test_greets_as_its_owner_wishes(workbench: WorkbenchStandIn, echo: Echo) -> None:
    path = f"/{echo.assistant_id}/config"
    config = (await echo.client.put(path, json={"config": {"greeting": "Ahoy!"}})).json()
    assert config == (await echo.client.get(path)).json()
    assert config["config"] == {"greeting": "Ahoy!"}
    await echo.tell(echo.joined(echo.assistant_id))
    (greeting,) = await workbench.replies(1)
    assert greeting["content"] == "Ahoy!"


async def test_answers_neither_itself_nor_other_assistants_nor_notices(workbench: WorkbenchStandIn, echo: Echo) -> None:
    await echo.say("You said: hi", role="assistant", sender=str(echo.assistant_id))
    await echo.say("hi", role="assistant", sender=str(uuid4()))
    await echo.say("a service speaks", role="service")
    await echo.say("somebody joined", message_type="notice")
    await echo.tell(echo.event("file.created", {"file": {"filename": "a.txt"}}))
    await echo.say("and now a person")
    assert [reply["content"] for reply in await workbench.replies(1)] == ["You said: and now a person (4 words)"]


async def test_answers_an_event_once_however_often_it_is_delivered(workbench: WorkbenchStandIn, echo: Echo) -> None:
    event = await echo.say("once")
    assert (await echo.tell(event)).status_code == 204
    await echo.say("twice")
    replies = await workbench.replies(2)
    assert [reply["content"] for reply in replies] == ["You said: once (1 word)", "You said: twice (1 word)"]


async def test_answers_with_the_same_message_id_when_it_forgot_that_it_had_answered(
    workbench: WorkbenchStandIn, echo: Echo
) -> None:
    event = await echo.say("once")
    await workbench.replies(1)
    await echo.client.delete(echo.seat)
    await echo.sit_down()
    await echo.tell(event)
    first, second = await workbench.replies(2)
    assert first["id"] == second["id"]


async def test_remembers_only_so_many_events() -> None:
    handled: list[str] = []

    async def handle(event: Event) -> None:
        handled.append(event.id)

    inbox = Inbox(handle)
    names = [*map(str, range(REMEMBERED_EVENTS + 1)), "1", "0"]
    for name in names:
        inbox.take(Event(name, "", uuid4(), "conversation.updated", EventData()))
    await eventually(lambda: len(handled) == REMEMBERED_EVENTS + 2)
    assert handled == [*names[:-2], "0"]
    inbox.worker.cancel()


async def test_tries_again_when_the_workbench_is_busy(workbench: WorkbenchStandIn, echo: Echo) -> None:
    await eventually(workbench.heartbeats)
    workbench.failures.extend([503, 500])
    await echo.say("patience")
    (reply,) = await workbench.replies(1)
    assert reply["content"] == "You said: patience (1 word)"


async def test_a_message_that_is_refused_does_not_keep_the_next_from_being_answered(
    workbench: WorkbenchStandIn, echo: Echo
) -> None:
    await eventually(workbench.heartbeats)
    workbench.failures.extend([403, 403, 403])
    await echo.say("refused")
    await echo.say("welcome")
    (reply,) = await workbench.replies(1)
    assert reply["content"] == "You said: welcome (1 word)"


async def test_a_reply_that_had_arrived_already_is_well(workbench: WorkbenchStandIn, echo: Echo) -> None:
    await eventually(workbench.heartbeats)
    workbench.failures.extend([200, 409])
    await echo.say("again")
    await echo.say("next")
    (reply,) = await workbench.replies(1)
    assert reply["content"] == "You said: next (1 word)"


async def test_knows_nothing_of_conversations_where_it_does_not_sit(echo: Echo) -> None:
    event = echo.joined(echo.assistant_id)
    for path in (f"/{uuid4()}/conversations/{echo.conversation_id}", f"/{echo.assistant_id}/conversations/{uuid4()}"):
        assert (await echo.client.post(f"{path}/events", json=event)).status_code == 404
    assert (await echo.client.delete(echo.seat)).status_code == 204
    assert (await echo.tell(event)).status_code == 404
    assert (await echo.client.put(f"/{uuid4()}/conversations/{uuid4()}")).status_code == 404


async def test_forgets_a_deleted_assistant(echo: Echo) -> None:
    path = f"/{echo.assistant_id}"
    assert (await echo.client.delete(path)).status_code == 204
    assert (await echo.client.delete(path)).status_code == 404
    assert (await echo.tell(echo.joined(echo.assistant_id))).status_code == 404


async def test_refuses_those_who_do_not_know_the_key(echo: Echo) -> None:
    for key in ("", "another", "schlüssel"):
        answer = await echo.client.put(f"/{uuid4()}", headers={"X-API-Key": key.encode()})
        assert answer.status_code == 401
        assert answer.json()["detail"] == "Invalid credentials"


async def test_takes_a_key_that_had_to_be_percent_encoded(workbench: WorkbenchStandIn) -> None:
    app = create_app(Settings(workbench_url=workbench.url, url="http://any", api_key="a key/+="))
    async with serve(app) as url, httpx.AsyncClient(base_url=url, verify=False) as client:
        headers = {"X-API-Key": "a%20key%2F%2B%3D"}
        assert (await client.delete(f"/{uuid4()}", headers=headers)).status_code == 404


async def test_refuses_a_form_without_sense(echo: Echo) -> None:
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
