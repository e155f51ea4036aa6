"""Services of flows as assistants: what they say in a conversation is a turn, whatever bus it came over (W24)."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from tests.flows.talking import ASKED, BLUEPRINT, WENT
from tests.support.models import ScriptedModels, call, said
from tests.support.processes import WORKBENCH
from tests.support.servers import eventually, until
from tests.support.service import Service, running_service

from workbench.domain.assistant_services.model import AssistantAddress, ServiceAddress
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.model_assistants.ports import Ask, CallTool
from workbench.domain.parts.events import ProducerEvent
from workbench.domain.residents.ports import ANEW
from workbench.wiring.container import make_container

FLOWS = "workbench.flow"
SERVICES = ("tests.flows.talking:services",)
TOKEN = "a-token-that-operators-gave-to-hosts"


class Talk:
    """Ann, a flow, and a conversation that its assistant takes part in."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.ann = service.user("ann")
        self.assistant = ""
        self.path = ""

    async def start(self) -> None:
        (await self.ann.put("/flow-blueprints/talking", json=BLUEPRINT)).raise_for_status()
        started = await self.ann.post("/flows?wait=ready", json={"flow_id": "f1", "blueprint": "talking"})
        assert started.status_code == 201, started.text

    async def begin(self, interface: str = "chat") -> "Talk":
        await self.start()
        ASKED.clear()
        conversation = (await self.ann.post("/conversations", json={"title": "Printers"})).json()["id"]
        self.path = f"/conversations/{conversation}"
        self.assistant = await self.seat(interface)
        return self

    async def seat(self, interface: str, service_id: str = FLOWS) -> str:
        new = {"assistant_service_id": service_id, "template_id": f"f1.{interface}", "name": interface.title()}
        created = await self.ann.post("/assistants", json=new)
        assert created.status_code == 201, created.text
        assistant: str = created.json()["id"]
        (await self.ann.put(f"{self.path}/participants/{assistant}", json={})).raise_for_status()
        return assistant

    async def say(self, content: str, **fields: Any) -> Any:
        answer = await self.ann.post(f"{self.path}/messages", json={"content": content, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def answers(self, kind: str = "chat") -> list[Any]:
        found = (await self.ann.get(f"{self.path}/messages", params={"message_type": kind})).json()["messages"]
        return [one for one in found if one["sender"]["participant_role"] == "assistant"]

    async def answer(self, number: int = 1) -> Any:
        async def there() -> Any:
            return (await self.answers())[number - 1 :]

        return (await until(there, timeout_seconds=20))[0]

    async def turns(self) -> list[Any]:
        return (await self.ann.get(f"{self.path}/turns")).json()["turns"]

    async def over(self, number: int = 1) -> Any:
        """The newest turn, when so many are over; with its parts."""

        async def there() -> Any:
            over = [one for one in await self.turns() if one["finished_at"]]
            return sorted(over, key=lambda one: one["created_at"])[number - 1 :]

        newest = (await until(there, timeout_seconds=20))[-1]
        return (await self.ann.get(f"{self.path}/turns/{newest['turn_id']}")).json()


@pytest.fixture
async def talk(database_url: str, tmp_path: Path) -> AsyncGenerator[Talk]:
    async with running_service(database_url, tmp_path / "data", flows={"services": SERVICES}) as service:
        yield Talk(service)


async def test_a_flow_is_offered_only_where_it_runs(talk: Talk) -> None:
    assert (await talk.ann.get("/assistant-services")).json()["assistant_service_infos"] == []
    assert (await talk.ann.get("/assistant-service-registrations")).json()["assistant_service_registrations"] == []
    await talk.start()
    (info,) = (await talk.ann.get("/assistant-services")).json()["assistant_service_infos"]
    assert info["assistant_service_id"] == FLOWS
    assert [(one["id"], one["name"]) for one in info["templates"]] == [
        ("f1.chat", "Tally"),
        ("f1.mapped", "Mapped"),
        ("f1.shy", "Shy"),
    ]
    (listed,) = (await talk.ann.get("/assistant-service-registrations")).json()["assistant_service_registrations"]
    assert listed["assistant_service_id"] == FLOWS
    eve = talk.service.user("eve", "elsewhere")
    assert (await eve.get("/assistant-services")).json()["assistant_service_infos"] == []
    assert (await eve.get("/assistant-service-registrations")).json()["assistant_service_registrations"] == []
    new = {"assistant_service_id": FLOWS, "name": "Tally"}
    assert (await eve.post("/assistants", json={**new, "template_id": "f1.chat"})).status_code == 404
    assert (await talk.ann.post("/assistants", json={**new, "template_id": "f1.hidden"})).status_code == 404
    made = (await talk.ann.post("/assistants", json={**new, "template_id": "f1.chat"})).json()
    assert made["image"] == "data:image/png;base64,AA=="
    config = f"/assistants/{made['id']}/config"
    shown = (await talk.ann.get(config)).json()["config"]
    assert shown == {"flow_id": "f1", "interface": "chat", "respond": "always", "history_messages": 20}
    assert (await talk.ann.put(config, json={"config": shown})).status_code == 200
    refused = await talk.ann.put(config, json={"config": {"respond": "mention"}})
    assert (refused.status_code, refused.json()["field"]) == (400, "config.respond")


async def test_a_message_is_answered_by_a_turn_that_is_billed(talk: Talk) -> None:
    await talk.begin()
    message = await talk.say("hello")
    answer = await talk.answer()
    assert answer["content"] == "You said hello."
    turn = await talk.over()
    assert turn["turn_id"] == f"{message['id']}.{talk.assistant}"
    assert (turn["status"], turn["usage_state"]) == ("finalized", "recorded")
    (row,) = (await talk.ann.get("/usage")).json()["rows"]
    assert (row["prompt_tokens"], row["completion_tokens"], row["assistant_service_id"]) == (3, 2, FLOWS)
    (told,) = ASKED
    assert told["conversation_id"] == turn["conversation_id"]
    assert told["message"] == {
        "id": message["id"],
        "content": "hello",
        "sender": {"id": "ann", "role": "user", "name": "Ann"},
    }
    assert told["history"] == []
    await talk.say("again")
    await talk.answer(2)
    assert [(one["role"], one["name"], one["content"]) for one in ASKED[1]["history"]] == [
        ("user", "Ann", "hello"),
        ("assistant", "Chat", "You said hello."),
    ]


async def test_what_is_no_text_is_told_as_what_it_is(talk: Talk) -> None:
    await talk.begin()
    await talk.say("work")
    parts = (await talk.over())["parts"]
    assert [part["type"] for part in parts] == ["reasoning", "tool-call", "data-flow", "data-flow", "text"]
    assert (parts[1]["toolName"], parts[1]["args"], parts[1]["result"]) == ("look", {"for": "it"}, [1])
    assert [part["data"] for part in parts[2:4]] == [{"type": "tool_call", "id": 7}, {"chart": 1}]
    assert parts[4]["text"] == "You said work."


async def test_what_it_is_sent_can_be_shaped(talk: Talk) -> None:
    await talk.begin("mapped")
    await talk.say("hello")
    assert (await talk.answer())["content"] == "You said hello."
    assert ASKED == [{"mapped": "hello", "by": "Ann"}]


async def test_one_that_wants_to_be_named_answers_only_then(talk: Talk) -> None:
    await talk.begin("shy")
    await talk.say("not you")
    await talk.say("you", metadata={"mentions": [talk.assistant]})
    assert (await talk.answer())["content"] == "You said you."
    assert len(await talk.turns()) == 1


async def test_an_error_of_the_service_ends_the_turn_and_keeps_what_was_said(talk: Talk) -> None:
    await talk.begin()
    await talk.say("fail")
    turn = await talk.over()
    assert (turn["status"], turn["error"]["code"]) == ("failed", "service_error")
    assert turn["error"]["message"] == "There is nothing to say."
    assert turn["parts"][0]["text"] == "half "
    assert turn["usage_state"] != "recorded"


async def test_cancelling_the_turn_cancels_the_request(talk: Talk) -> None:
    await talk.begin()
    WENT.clear()
    await talk.say("wait")
    await eventually(lambda: ASKED, timeout_seconds=15)
    (turn,) = await talk.turns()
    (await talk.ann.post(f"{talk.path}/turns/{turn['turn_id']}/cancel", json={})).raise_for_status()
    assert (await talk.over())["status"] == "aborted"
    await eventually(lambda: WENT, timeout_seconds=15)
    assert (await talk.ann.get("/flows/f1/requests")).json()["requests"] == []


async def test_a_flow_that_is_stopped_is_told_of_once_and_answers_again_when_it_runs(talk: Talk) -> None:
    await talk.begin()
    await talk.ann.delete("/flows/f1?drain_s=0")
    await talk.say("one")
    first = await talk.over()
    assert (first["status"], first["error"]["code"]) == ("failed", "flow_not_running")
    await talk.say("two")
    await talk.over(2)
    assert len(await talk.answers("notice")) == 1
    await talk.start()
    await talk.say("three")
    await eventually(lambda: ASKED, timeout_seconds=15)
    assert (await talk.over(3))["parts"][-1]["text"] == "You said three."


async def test_a_flow_that_is_stopped_in_the_middle_is_told_of_once_too(talk: Talk) -> None:
    await talk.begin()
    await talk.say("wait")
    await eventually(lambda: ASKED, timeout_seconds=15)
    assert (await talk.ann.delete("/flows/f1?drain_s=0")).json()["state"] == "stopped"
    turn = await talk.over()
    assert (turn["status"], turn["error"]["code"]) == ("failed", "flow_stopped")
    assert turn["parts"][0]["text"] == "one "
    assert len(await talk.answers("notice")) == 1
    await talk.say("and now")
    assert (await talk.over(2))["error"]["code"] == "flow_not_running"
    assert len(await talk.answers("notice")) == 1


async def test_assistants_do_not_talk_for_ever(talk: Talk) -> None:
    await talk.begin()
    async with talk.service.recorder() as recorder:
        new = {"assistant_service_id": recorder.service_id, "template_id": "default", "name": "Rec"}
        other = (await talk.ann.post("/assistants", json=new)).json()["id"]
        (await talk.ann.put(f"{talk.path}/participants/{other}", json={})).raise_for_status()
        rec = talk.service.assistant(other)
        named = {"metadata": {"mentions": [talk.assistant]}}
        await rec.post(f"{talk.path}/messages", json={"content": "not to you"})
        await rec.post(f"{talk.path}/messages", json={"content": "hi", **named})
        assert (await talk.answer(3))["content"] == "You said hi."
        await rec.post(f"{talk.path}/messages", json={"content": "and you", **named})
        await talk.answer(5)
        await rec.post(f"{talk.path}/messages", json={"content": "too long", **named})
        await talk.say("stop it")
        await talk.answer(7)
    assert [one["message"]["content"] for one in ASKED] == ["hi", "and you", "stop it"]


async def test_nobody_outside_speaks_as_the_service(talk: Talk) -> None:
    await talk.begin()
    as_assistant = talk.service.assistant(talk.assistant, FLOWS)
    assert (await as_assistant.get(f"{talk.path}/messages")).status_code == 401


async def test_over_rabbitmq_it_is_the_same(sqlite_url: str, tmp_path: Path, rabbit_url: str) -> None:
    settings: dict[str, Any] = {"flows": {"services": SERVICES}, "bus": {"url": rabbit_url}}
    async with running_service(sqlite_url, tmp_path / "data", **settings) as service:
        talk = await Talk(service).begin()
        await talk.say("work")
        parts = (await talk.over())["parts"]
        assert parts[-1]["text"] == "You said work."
        assert len((await talk.ann.get("/usage")).json()["rows"]) == 1
        await talk.ann.delete("/flows/f1?drain_s=0")


async def test_an_answer_that_begins_anew_leaves_nothing_of_what_was_said_before(
    sqlite_url: str, tmp_path: Path
) -> None:
    async def twice(_: Ask, __: CallTool) -> AsyncGenerator[ProducerEvent]:
        for each in said("lost"):
            yield each
        yield call(1)
        yield ANEW
        for each in said("kept"):
            yield each

    models = ScriptedModels(twice)
    async with running_service(sqlite_url, tmp_path / "data", models.provider) as service:
        talk = Talk(service)
        talk.path = f"/conversations/{(await talk.ann.post('/conversations', json={'title': 'x'})).json()['id']}"
        new = {"assistant_service_id": "workbench.model", "template_id": "chat", "name": "Mo"}
        mo = (await talk.ann.post("/assistants", json=new)).json()["id"]
        (await talk.ann.put(f"{talk.path}/participants/{mo}", json={})).raise_for_status()
        await talk.say("hello")
        turn = await talk.over()
    assert turn["parts"] == [{"type": "text", "text": "kept"}]
    assert (turn["status"], turn["usage_state"]) == ("finalized", "recorded")


@asynccontextmanager
async def host_process(service: Service, folder: Path, rabbit_url: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A host that is a process of its own, and knows nothing but the broker and the service."""
    settings = {
        "WORKBENCH__BUS__URL": rabbit_url,
        "WORKBENCH__DATA_ROOT": str(folder),
        "WORKBENCH__FLOWS__HOST_TOKENS": TOKEN,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [WORKBENCH, "flows", "host", *SERVICES, "--url", service.url]
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **settings}, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def test_an_answer_whose_host_dies_begins_anew_in_the_conversation(
    sqlite_url: str, tmp_path: Path, rabbit_url: str
) -> None:
    settings: dict[str, Any] = {"flows": {"host_tokens": (TOKEN,)}, "bus": {"url": rabbit_url}}
    mark = tmp_path / "mark"
    async with (
        running_service(sqlite_url, tmp_path / "data", **settings) as service,
        host_process(service, tmp_path / "first", rabbit_url) as first,
    ):
        talk = await Talk(service).begin()
        await talk.say(f"once {mark}")
        await eventually(mark.exists, timeout_seconds=20)
        async with host_process(service, tmp_path / "second", rabbit_url):

            async def both_are_there() -> bool:
                found = (await talk.ann.get("/flows/f1/services")).json()["services"]
                return [each["live_hosts"] for each in found if each["name"] == "chat"] == [2]

            await until(both_are_there, timeout_seconds=30)
            first.kill()
            assert (await talk.answer())["content"] == f"You said once {mark}."
            turn = await talk.over()
            assert (turn["status"], turn["usage_state"]) == ("finalized", "recorded")
            assert [part["text"] for part in turn["parts"]] == [f"You said once {mark}."]
            assert len((await talk.ann.get("/usage")).json()["rows"]) == 1
            assert (await talk.ann.delete("/flows/f1?drain_s=0")).json()["state"] in ("stopped", "stopping")


async def test_an_event_that_comes_twice_is_answered_once(talk: Talk) -> None:
    await talk.begin()
    message = await talk.say("hello")
    await talk.over()
    container = make_container(talk.service.settings)
    client = await container.get(AssistantClient)
    service = ServiceAddress(assistant_service_id=FLOWS, url="workbench:")
    address = AssistantAddress(assistant_id=UUID(talk.assistant), service=service)
    envelope = msgspec.json.encode({"event": "message.created", "data": {"message": message}})
    await client.post_event(address, UUID(talk.path.rpartition("/")[2]), envelope)
    await container.close()
    assert len(await talk.turns()) == 1
    assert len(await talk.answers()) == 1
    assert len(ASKED) == 1
