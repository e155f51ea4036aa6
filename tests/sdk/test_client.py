"""The client of the workbench: against a real one, and against a stand-in where that shows what is sent."""

from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
from tests.support.assistants import RecordingAssistantService
from tests.support.servers import ReservedPort
from tests.support.service import Service, running_service
from tests.support.workbench_stand_in import (
    NOW,
    WorkbenchStandIn,
    conversation_json,
    message_json,
    standing_in,
)

from workbench.sdk import CallError, NewMessage, UnreachableError, WorkbenchClient


class Manner(msgspec.Struct):
    words: int = 3


@pytest.fixture
async def service(sqlite_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    async with running_service(sqlite_url, tmp_path) as running:
        yield running


@pytest.fixture
async def ann(service: Service) -> AsyncGenerator[WorkbenchClient]:
    async with WorkbenchClient.for_user(service.url, service.token()) as client:
        yield client


@pytest.fixture
async def recorder(service: Service) -> AsyncGenerator[RecordingAssistantService]:
    async with RecordingAssistantService() as running:
        assert (await running.announce(service.url)).is_success
        yield running


@pytest.fixture
async def workbench() -> AsyncGenerator[WorkbenchStandIn]:
    async with standing_in() as stand_in:
        yield stand_in


@pytest.fixture
async def caller(workbench: WorkbenchStandIn) -> AsyncGenerator[WorkbenchClient]:
    async with WorkbenchClient.for_service(workbench.url, "noter.example", "key", patience_seconds=0.5) as client:
        yield client


async def test_a_user_opens_a_conversation_and_talks(ann: WorkbenchClient) -> None:
    conversation = await ann.create_conversation("A talk", {"colour": "red"})
    talk = ann.conversation(conversation.id)
    assert (conversation.title, conversation.metadata["colour"]) == ("A talk", "red")
    first = await talk.post("hello")
    second = await talk.post(NewMessage(content="/go", message_type="command", metadata={"a": 1}))
    assert await talk.messages() == [first]
    assert await talk.messages(message_types=()) == [first, second]
    assert await talk.messages(message_types=("chat", "command"), after=first.id) == [second]
    assert await talk.messages(message_types=(), before=second.id, limit=1) == [first]
    assert await talk.messages(participant_ids=("nobody",)) == []
    assert await talk.message(second.id) == second
    assert (await talk.change(title="Another", metadata={"size": 1})).title == "Another"
    seen = await talk.get()
    assert (seen.title, seen.metadata["colour"], seen.metadata["size"]) == ("Another", "red", 1)
    assert seen.latest_message == first
    assert [one.id for one in await ann.conversations()] == [conversation.id]


async def test_a_message_with_an_id_is_stored_once(ann: WorkbenchClient) -> None:
    talk = ann.conversation((await ann.create_conversation()).id)
    new = NewMessage(id=uuid4(), content="hello")
    assert await talk.post(new) == await talk.post(new)
    with pytest.raises(CallError) as caught:
        await talk.post(NewMessage(id=new.id, content="other"))
    assert caught.value.status == 409
    assert str(new.id) in caught.value.detail


async def test_an_assistant_joins_speaks_for_itself_and_leaves(
    service: Service, ann: WorkbenchClient, recorder: RecordingAssistantService
) -> None:
    assistant = await ann.create_assistant(recorder.service_id, "Echo", metadata={"a": 1})
    assert (assistant.name, assistant.metadata) == ("Echo", {"a": 1})
    talk = ann.conversation((await ann.create_conversation()).id)
    assert (await talk.add(assistant.id)).active_participant
    async with WorkbenchClient.for_service(service.url, recorder.service_id) as its_service:
        echo = its_service.as_assistant(assistant.id)
        seat = echo.conversation(talk.id)
        assert (await seat.set_status("thinking...")).status == "thinking..."
        assert (await seat.me()).id == str(assistant.id)
        assert (await seat.set_status(None)).status is None
        assert (await seat.post("hello")).sender.participant_id == str(assistant.id)
        assert [one.id for one in await echo.conversations()] == [talk.id]
    assert [one.role for one in await talk.participants()] == ["user", "assistant"]
    assert not (await talk.remove(assistant.id)).active_participant
    assert [one.role for one in await talk.participants()] == ["user"]
    assert len(await talk.participants(include_inactive=True)) == 2


async def test_an_assistant_is_looked_at_changed_and_deleted(
    workbench: WorkbenchStandIn, caller: WorkbenchClient
) -> None:
    assistant_id = uuid4()
    path = f"/assistants/{assistant_id}"
    found = {
        "id": str(assistant_id),
        "name": "Echo",
        "image": None,
        "assistant_service_id": "noter.example",
        "assistant_service_online": True,
        "template_id": "default",
        "metadata": {},
        "created_datetime": NOW,
    }
    talk = conversation_json(uuid4(), latest_message=message_json())
    workbench.answers |= {
        f"GET {path}": found,
        "GET /assistants": {"assistants": [found]},
        f"PATCH {path}": {**found, "name": "Other"},
        f"GET {path}/conversations": {"conversations": [talk]},
    }
    talk_id = UUID(talk["id"])
    assert await caller.assistants() == await caller.assistants(talk_id)
    assert [request.query for request in workbench.requests] == [{}, {"conversation_id": talk["id"]}]
    workbench.requests.clear()
    echo = caller.assistant(assistant_id)
    assert (await echo.get()).name == "Echo"
    assert (await echo.change(name="Other")).name == "Other"
    assert [str(one.id) for one in await echo.conversations()] == [talk["id"]]
    await echo.delete()
    workbench.failures.append(404)
    await echo.delete()
    calls = [(method, body) for method, _, body in workbench.calls(path)]
    assert calls == [("GET", None), ("PATCH", {"name": "Other"}), ("GET", None), ("DELETE", None), ("DELETE", None)]


async def test_config_and_states_are_read_and_set(workbench: WorkbenchStandIn, caller: WorkbenchClient) -> None:
    assistant_id, conversation_id = uuid4(), uuid4()
    config = {"config": {"words": 3}, "errors": None, "json_schema": {}, "ui_schema": {}}
    states = f"/assistants/{assistant_id}/conversations/{conversation_id}/states"
    state = {"id": "no/tes", "data": {"words": 1}, "json_schema": None, "ui_schema": None}
    workbench.answers = {
        f"GET /assistants/{assistant_id}/config": config,
        f"PUT /assistants/{assistant_id}/config": config,
        f"GET {states}": {"states": [{"id": "notes", "display_name": "Notes", "description": "What was noted."}]},
        f"GET {states}/no/tes": state,
        f"PUT {states}/no/tes": state,
    }
    assistant = caller.assistant(assistant_id)
    assert (await assistant.config()).config == {"words": 3}
    assert (await assistant.set_config(Manner(4))).errors is None
    assert (await assistant.states(conversation_id))[0].enabled
    assert (await assistant.state(conversation_id, "no/tes")).data == {"words": 1}
    assert (await assistant.set_state(conversation_id, "no/tes", {"words": 2})).id == "no/tes"
    await assistant.send_state_event("notes", "focus")
    puts = [(method, body) for method, _, body in workbench.calls("/assistants") if body is not None]
    assert puts == [
        ("PUT", {"config": {"words": 4}}),
        ("PUT", {"data": {"words": 2}}),
        ("POST", {"state_id": "notes", "event": "focus", "state": None}),
    ]
    assert workbench.state_events()[0].query == {}


async def test_default_values_are_left_out(workbench: WorkbenchStandIn, caller: WorkbenchClient) -> None:
    conversation = conversation_json(uuid4())
    path = f"/conversations/{conversation['id']}"
    workbench.answers = {"POST /conversations": conversation, f"PATCH {path}": conversation}
    await caller.create_conversation()
    talk = caller.conversation(UUID(conversation["id"]))
    await talk.change()
    await talk.set_status(None)
    await talk.post("hello")
    assert [body for _, _, body in workbench.calls("/conversations")] == [{}, {}, {}, {"content": "hello"}]


async def test_what_is_gone_has_nobody_and_needs_no_deleting(ann: WorkbenchClient) -> None:
    gone = ann.conversation(uuid4())
    assert await gone.participants() == []
    await gone.delete()
    with pytest.raises(CallError, match="404"):
        await gone.get()


async def test_a_call_is_repeated_only_where_that_does_no_harm(
    workbench: WorkbenchStandIn, caller: WorkbenchClient
) -> None:
    talk = caller.conversation(uuid4())
    workbench.failures.extend([503, 429])
    await talk.post(NewMessage(id=uuid4(), content="again"))
    assert [request.status for request in workbench.requests] == [503, 429, 200]
    workbench.failures.append(503)
    with pytest.raises(CallError) as caught:
        await talk.post("once")
    assert (caught.value.status, caught.value.detail) == (503, "no")


async def test_patience_has_an_end(workbench: WorkbenchStandIn, caller: WorkbenchClient) -> None:
    workbench.failures.extend([500] * 10)
    with pytest.raises(CallError, match=r"POST .*/messages was answered 500: no"):
        await caller.conversation(uuid4()).post(NewMessage(id=uuid4(), content="again"))
    assert len(workbench.requests) == 3


async def test_a_workbench_that_is_away_cannot_be_reached() -> None:
    port = ReservedPort()
    async with WorkbenchClient.for_user(port.url, "token", patience_seconds=0.1) as client:
        with pytest.raises(UnreachableError, match="GET /conversations: ConnectError"):
            await client.conversations()
    port.release()


async def test_an_answer_that_does_not_fit_is_no_answer(workbench: WorkbenchStandIn, caller: WorkbenchClient) -> None:
    with pytest.raises(CallError, match="an answer that does not fit"):
        await caller.conversations()
