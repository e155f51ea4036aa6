"""The service's own assistants, as their users meet them: over the contract alone, the answer being a turn."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from dishka import Provider, Scope
from sqlalchemy import update
from tests.support.databases import open_store
from tests.support.models import ScriptedModels, Valve, call, event, said
from tests.support.servers import until
from tests.support.service import Service, running_service

from workbench.adapters.clock import SystemClock
from workbench.adapters.sql.turn_tables import turns
from workbench.domain.model_assistants.failures import ModelFailedError
from workbench.domain.model_assistants.ports import Ask, CallTool, ToolError
from workbench.domain.parts.events import ProducerEvent
from workbench.domain.turns.model import UNSTARTED
from workbench.entrypoints.workers.running import RunnerPolicy

MODEL = "workbench.model"


async def greeting(_: Ask, __: CallTool) -> AsyncGenerator[ProducerEvent]:
    for each in said("Hello, Ann."):
        yield each
    yield call()


class Talk:
    """Ann, a model assistant, and a conversation that it takes part in."""

    def __init__(self, service: Service, models: ScriptedModels) -> None:
        self.service = service
        self.models = models
        self.ann = service.user("ann")
        self.assistant = ""
        self.path = ""

    async def begin(self, template: str = "chat", **config: Any) -> "Talk":
        new = {"assistant_service_id": MODEL, "template_id": template, "name": "Mo"}
        created = await self.ann.post("/assistants", json=new)
        assert created.status_code == 201, created.text
        self.assistant = created.json()["id"]
        if config:
            await self.configure(**config)
        conversation = (await self.ann.post("/conversations", json={"title": "Printers"})).json()["id"]
        self.path = f"/conversations/{conversation}"
        (await self.ann.put(f"{self.path}/participants/{self.assistant}", json={})).raise_for_status()
        return self

    async def configure(self, status: int = 200, **config: Any) -> Any:
        answer = await self.ann.put(f"/assistants/{self.assistant}/config", json={"config": config})
        assert answer.status_code == status, answer.text
        return answer.json()

    async def say(self, content: str, **fields: Any) -> Any:
        answer = await self.ann.post(f"{self.path}/messages", json={"content": content, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def messages(self, **query: Any) -> list[Any]:
        return (await self.ann.get(f"{self.path}/messages", params=query)).json()["messages"]

    async def answers(self) -> list[Any]:
        return [one for one in await self.messages() if one["sender"]["participant_role"] == "assistant"]

    async def answer(self, number: int = 1) -> Any:
        """The answer, when it is there."""

        async def there() -> Any:
            return (await self.answers())[number - 1 :]

        return (await until(there))[0]

    async def turns(self) -> list[Any]:
        return (await self.ann.get(f"{self.path}/turns")).json()["turns"]

    async def turn(self, turn_id: str) -> Any:
        return (await self.ann.get(f"{self.path}/turns/{turn_id}")).json()

    async def finalized(self) -> bool:
        return (await self.turns())[0]["status"] == "finalized"

    async def seat(self) -> Any:
        return (await self.ann.get(f"{self.path}/participants/{self.assistant}")).json()


@pytest.fixture
def models() -> ScriptedModels:
    return ScriptedModels(greeting)


@pytest.fixture
async def talk(database_url: str, tmp_path: Path, models: ScriptedModels) -> AsyncGenerator[Talk]:
    async with running_service(database_url, tmp_path / "data", models.provider) as service:
        yield Talk(service, models)


async def test_a_plain_message_is_answered_by_a_turn_that_is_billed(talk: Talk) -> None:
    await talk.begin()
    message = await talk.say("Good morning")
    answer = await talk.answer()
    assert answer["content"] == "Hello, Ann."
    assert answer["message_type"] == "chat"
    (turn,) = await talk.turns()
    assert turn["turn_id"] == f"{message['id']}.{talk.assistant}"
    assert (turn["status"], turn["finish_reason"], turn["usage_state"]) == ("finalized", "stop", "recorded")
    assert turn["input_message_id"] == message["id"]
    assert turn["output_message_id"] == answer["id"]
    (row,) = (await talk.ann.get("/usage")).json()["rows"]
    assert (row["source"], row["prompt_tokens"], row["completion_tokens"]) == ("server", 10, 5)
    assert row["assistant_service_id"] == MODEL
    assert (await talk.seat())["status"] is None


async def test_the_seat_says_that_it_is_at_work_and_no_longer_when_it_is_done(talk: Talk) -> None:
    valve = Valve()
    talk.models.script = valve.script
    await talk.begin()
    await talk.say("Good morning")
    await asyncio.wait_for(valve.reached.wait(), 10)
    assert (await talk.seat())["status"] == "thinking..."
    valve.go_on.set()
    await talk.answer()
    assert (await talk.seat())["status"] is None


async def test_what_the_model_is_told(talk: Talk) -> None:
    await talk.begin(
        system_prompt="Be kind.", temperature=0.5, max_output_tokens=77, tools=["read_file"], mcp_servers=["tickets"]
    )
    await talk.say("Good morning")
    await talk.answer()
    await talk.say("And who are you?", filenames=["a.txt"])
    await talk.answer(2)
    ask = talk.models.asked[-1]
    assert (ask.model, ask.temperature, ask.max_output_tokens) == ("scripted", 0.5, 77)
    assert ask.instructions == 'Be kind.\n\nYour name is Mo. The conversation is called "Printers".'
    assert [(line.role, line.text) for line in ask.lines] == [
        ("user", "Good morning"),
        ("assistant", "Hello, Ann."),
        ("user", "And who are you?\n\n(attached: a.txt)"),
    ]
    assert [tool.name for tool in ask.tools] == ["read_file"]
    assert ask.tools[0].parameters["required"] == ["filename"]
    assert ask.mcp_servers == ("tickets",)


async def test_where_several_take_part_it_is_told_who_says_what(talk: Talk) -> None:
    await talk.begin()
    await talk.service.seat_user(talk.path.rpartition("/")[2], "ben")
    ben = talk.service.user("ben")
    (await ben.put("/users/me", json={})).raise_for_status()
    await ben.post(f"{talk.path}/messages", json={"content": "Hi"})
    await talk.answer()
    assert talk.models.asked[-1].lines[-1].text.endswith(": Hi")


async def test_a_message_for_somebody_else_is_not_answered(talk: Talk) -> None:
    await talk.begin()
    await talk.say("not you", metadata={"directed_at": "ben"})
    await talk.say("nor you", metadata={"mentions": ["ben"]})
    await talk.say("just a note", message_type="note")
    await talk.say("you", metadata={"mentions": [talk.assistant]})
    await talk.answer()
    assert len(await talk.turns()) == 1
    assert [line.text for line in talk.models.asked[0].lines][-1] == "you"


async def test_messages_that_come_meanwhile_are_answered_one_after_the_other(talk: Talk) -> None:
    valve = Valve()
    talk.models.script = valve.script
    await talk.begin()
    await talk.say("first")
    await asyncio.wait_for(valve.reached.wait(), 10)
    await talk.say("second")
    talk.models.script = greeting
    valve.go_on.set()
    assert (await talk.answer(1))["content"] == "one two"
    assert (await talk.answer(2))["content"] == "Hello, Ann."
    assert [line.text for line in talk.models.asked[1].lines] == ["first", "second"]


async def test_a_turn_may_be_opened_with_it_by_name(talk: Talk) -> None:
    await talk.begin()
    body = {"turn_id": "mine", "assistant_id": talk.assistant, "input": {"content": "hello"}}
    opened = await talk.ann.post(f"{talk.path}/turns", json=body)
    assert opened.status_code == 201, opened.text
    assert (await talk.answer())["content"] == "Hello, Ann."
    assert [turn["turn_id"] for turn in await talk.turns()] == ["mine"]


async def test_its_configuration_is_edited_through_the_ordinary_route(talk: Talk) -> None:
    await talk.begin("files")
    config = (await talk.ann.get(f"/assistants/{talk.assistant}/config")).json()
    assert config["config"]["tools"] == ["list_files", "read_file", "write_file", "search_conversation"]
    fields = config["json_schema"]["properties"]
    assert [choice["const"] for choice in fields["model"]["oneOf"]] == ["", "scripted"]
    assert fields["mcp_servers"]["items"]["enum"] == ["tickets"]
    changed = await talk.configure(model="scripted", temperature=1.5)
    assert changed["config"]["temperature"] == 1.5
    refused = await talk.configure(400, model="unheard-of")
    assert refused["field"] == "config.model"
    refused = await talk.configure(400, temperature=3)
    assert refused["field"] == "config.temperature"
    refused = await talk.configure(400, tools=["format_disk"])
    assert refused["field"].startswith("config.tools")


async def test_its_service_is_listed_in_every_workspace_and_nobody_can_change_it(talk: Talk) -> None:
    for workspace in ("default", "elsewhere"):
        user = talk.service.user("eve", workspace)
        infos = (await user.get("/assistant-services")).json()["assistant_service_infos"]
        assert [info["assistant_service_id"] for info in infos] == [MODEL]
        assert [template["id"] for template in infos[0]["templates"]] == ["chat", "files"]
        listed = (await user.get("/assistant-service-registrations")).json()["assistant_service_registrations"]
        assert [one["assistant_service_id"] for one in listed] == [MODEL]
        assert listed[0]["assistant_service_online"] is True
        path = f"/assistant-service-registrations/{MODEL}"
        assert (await user.patch(path, json={"name": "Mine"})).status_code == 404
        assert (await user.post(f"{path}/api-key")).status_code == 404
        assert (await user.delete(path)).status_code == 404
        new = {"assistant_service_id": MODEL, "name": "Mine", "description": ""}
        assert (await user.post("/assistant-service-registrations", json=new)).status_code == 409


async def test_nobody_outside_speaks_as_its_service(talk: Talk) -> None:
    await talk.begin()
    heartbeat = {"name": "x", "description": "", "url": "http://127.0.0.1:1", "online_expires_in_seconds": 60}
    impostor = talk.service.assistant_service(MODEL)
    answer = await impostor.put(f"/assistant-service-registrations/{MODEL}", json=heartbeat)
    assert answer.status_code == 401
    as_assistant = talk.service.assistant(talk.assistant, MODEL)
    assert (await as_assistant.get(f"{talk.path}/messages")).status_code == 401


async def test_another_workspace_neither_sees_nor_configures_it(talk: Talk) -> None:
    await talk.begin()
    eve = talk.service.user("eve", "elsewhere")
    assert (await eve.get(f"/assistants/{talk.assistant}")).status_code == 404
    assert (await eve.get(f"/assistants/{talk.assistant}/config")).status_code == 404
    assert (await eve.put(f"/assistants/{talk.assistant}/config", json={"config": {}})).status_code == 404


async def test_it_travels_with_its_configuration(talk: Talk) -> None:
    await talk.begin(system_prompt="Be brief.")
    archive = (await talk.ann.get(f"/assistants/{talk.assistant}/export")).content
    files = {"from_export": ("export.zip", archive, "application/zip")}
    imported = await talk.service.user("ben").post("/conversations/import", files=files)
    assert imported.status_code == 200, imported.text
    (other,) = imported.json()["assistant_ids"]
    config = (await talk.service.user("ben").get(f"/assistants/{other}/config")).json()
    assert config["config"]["system_prompt"] == "Be brief."


async def test_an_unknown_template_leaves_nothing_behind(talk: Talk) -> None:
    new = {"assistant_service_id": MODEL, "template_id": "poet", "name": "Mo"}
    assert (await talk.ann.post("/assistants", json=new)).status_code == 404
    assert (await talk.ann.get("/assistants")).json()["assistants"] == []


async def test_a_failing_model_ends_the_turn_with_words_that_are_safe(talk: Talk) -> None:
    async def failing(_: Ask, __: CallTool) -> AsyncGenerator[ProducerEvent]:
        yield event("text.start", id="t1")
        yield event("text.delta", id="t1", delta="I thi")
        yield call(finish_reason="error")
        raise ModelFailedError("model_unavailable") from RuntimeError("key sk-secret")

    talk.models.script = failing
    await talk.begin()
    await talk.say("hello")
    answer = await talk.answer()
    assert answer["content"] == "I thi"
    assert "secret" not in str(answer)
    (turn,) = await talk.turns()
    assert turn["status"] == "failed"
    assert turn["error"] == {
        "code": "model_unavailable",
        "message": "The model cannot be reached at the moment. Try again later.",
        "retryable": False,
    }
    assert turn["usage_state"] == "recorded"


async def test_a_model_that_is_too_busy_to_begin_gives_way_to_another_once(database_url: str, tmp_path: Path) -> None:
    async def busy(ask: Ask, _: CallTool) -> AsyncGenerator[ProducerEvent]:
        yield call(len(ask.model), model=ask.model, finish_reason="error", prompt_tokens=0, completion_tokens=0)
        if ask.model == "first":
            raise ModelFailedError("rate_limited")
        for each in said("from the spare"):
            yield each
        yield call(99, model=ask.model)

    models = ScriptedModels(busy, "first", "spare-one", fallback="spare-one")
    async with running_service(database_url, tmp_path / "data", models.provider) as service:
        talk = await Talk(service, models).begin()
        await talk.say("hello")
        assert (await talk.answer())["content"] == "from the spare"
        assert [ask.model for ask in models.asked] == ["first", "spare-one"]
        turn = await talk.turn((await talk.turns())[0]["turn_id"])
        assert turn["epoch"] == 1
        (row,) = (await talk.ann.get("/usage")).json()["rows"]
        assert row["call_count"] == 3


async def test_after_output_there_is_no_other_model(database_url: str, tmp_path: Path) -> None:
    async def late(_: Ask, __: CallTool) -> AsyncGenerator[ProducerEvent]:
        for each in said("half"):
            yield each
        raise ModelFailedError("rate_limited")

    models = ScriptedModels(late, "first", "spare", fallback="spare")
    async with running_service(database_url, tmp_path / "data", models.provider) as service:
        talk = await Talk(service, models).begin()
        await talk.say("hello")
        await talk.answer()
        assert len(models.asked) == 1
        assert (await talk.turns())[0]["error"]["code"] == "rate_limited"


async def test_a_turn_that_is_cancelled_stops_the_model_and_keeps_what_was_said(talk: Talk) -> None:
    valve = Valve()
    talk.models.script = valve.script
    await talk.begin()
    await talk.say("hello")
    await asyncio.wait_for(valve.reached.wait(), 10)
    (turn,) = await talk.turns()
    cancelled = await talk.ann.post(f"{talk.path}/turns/{turn['turn_id']}/cancel", json={})
    assert cancelled.status_code == 202
    answer = await talk.answer()
    assert answer["content"] == "one "
    assert valve.was_closed
    assert (await talk.turns())[0]["status"] == "aborted"
    assert (await talk.seat())["status"] is None


async def test_a_cancellation_on_another_replica_reaches_it(database_url: str, tmp_path: Path) -> None:  # W15
    valve = Valve()
    models = ScriptedModels(valve.script)
    async with running_service(database_url, tmp_path / "data", models.provider) as service:
        talk = await Talk(service, models).begin()
        await talk.say("hello")
        await asyncio.wait_for(valve.reached.wait(), 10)
        async with running_service(database_url, tmp_path / "data", ScriptedModels(greeting).provider) as replica:
            (turn,) = await talk.turns()
            path = f"{talk.path}/turns/{turn['turn_id']}/cancel"
            assert (await replica.user("ann").post(path, json={})).status_code == 202
            answer = await talk.answer()
        assert answer["content"] == "one "


async def test_a_turn_goes_on_when_all_who_watched_have_gone(talk: Talk) -> None:  # W2
    valve = Valve()
    talk.models.script = valve.script
    await talk.begin()
    await talk.say("hello")
    await asyncio.wait_for(valve.reached.wait(), 10)
    (turn,) = await talk.turns()
    async with talk.ann.stream("GET", f"{talk.path}/turns/{turn['turn_id']}/stream") as watched:
        async for line in watched.aiter_lines():
            if "one " in line:
                break
    valve.go_on.set()
    answer = await talk.answer()
    assert answer["content"] == "one two"
    whole = await talk.turn(turn["turn_id"])
    assert whole["parts"] == [{"type": "text", "text": "one two"}]
    assert len(await talk.answers()) == 1


async def test_a_tool_is_called_and_told_of(talk: Talk) -> None:
    async def with_tools(_: Ask, call_tool: CallTool) -> AsyncGenerator[ProducerEvent]:
        await call_tool("write_file", {"filename": "notes/a.txt", "content": "first line"})
        listed = await call_tool("list_files", {})
        read = await call_tool("read_file", {"filename": "notes/a.txt"})
        found = await call_tool("search_conversation", {"words": "GOOD morning"})
        yield event("tool.start", toolCallId="c1", toolName="list_files")
        yield event("tool.args", toolCallId="c1", toolName="list_files", args={})
        yield event("tool.result", toolCallId="c1", result=listed)
        for each in said(f"{listed['files'][0]['filename']}: {read['content']}; {len(found['messages'])}"):
            yield each

    talk.models.script = with_tools
    await talk.begin("files")
    await talk.say("Good morning")
    answer = await talk.answer()
    assert answer["content"] == "notes/a.txt: first line; 1"
    (turn,) = await talk.turns()
    parts = (await talk.turn(turn["turn_id"]))["parts"]
    assert [part["type"] for part in parts] == ["tool-call", "text"]
    assert parts[0]["result"]["files"][0]["size"] == 10
    (file,) = (await talk.ann.get(f"{talk.path}/files")).json()["files"]
    assert file["participant_id"] == talk.assistant


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("write_file", {"filename": "a", "content": "b"}, "no tool"),
        ("read_file", {"filename": "absent.txt"}, "no file"),
        ("read_file", {}, "filename"),
        ("search_conversation", {"words": "x"}, "no tool"),
    ],
)
async def test_a_tool_that_cannot_do_it_says_why(talk: Talk, name: str, arguments: Any, words: str) -> None:
    async def trying(_: Ask, call_tool: CallTool) -> AsyncGenerator[ProducerEvent]:
        try:
            await call_tool(name, arguments)
        except ToolError as error:
            for each in said(str(error)):
                yield each

    talk.models.script = trying
    await talk.begin(tools=["read_file", "list_files"])
    await talk.say("hello")
    assert words in (await talk.answer())["content"]


async def test_a_defect_of_ours_ends_the_turn(talk: Talk) -> None:
    async def broken(_: Ask, __: CallTool) -> AsyncGenerator[ProducerEvent]:
        yield event("text.start", id="t1")
        raise RuntimeError("defect")

    talk.models.script = broken
    await talk.begin()
    await talk.say("hello")
    await talk.answer()
    assert (await talk.turns())[0]["error"]["code"] == "server_error"


def runner(policy: RunnerPolicy) -> Provider:
    provider = Provider(scope=Scope.APP)
    provider.provide(lambda: policy, provides=RunnerPolicy)
    return provider


UNABLE = RunnerPolicy(at_once=0)
"""Begins no answers."""
HASTY = RunnerPolicy(drain_seconds=0.1)


async def test_a_turn_of_a_process_that_died_before_it_began_is_run_by_another_once(
    database_url: str, tmp_path: Path
) -> None:  # W17
    models = ScriptedModels(greeting)
    async with running_service(database_url, tmp_path / "data", models.provider, runner(UNABLE)) as service:
        talk = await Talk(service, models).begin()
        await talk.say("hello")
        assert (await until(talk.turns))[0]["status"] == "opened"
        async with open_store(database_url, SystemClock()) as store:
            aged = update(turns).values(created_at=SystemClock().now() - UNSTARTED * 2)
            await store.database.transact(lambda connection: connection.execute(aged))
        async with (
            running_service(database_url, tmp_path / "data", models.provider),
            running_service(database_url, tmp_path / "data", models.provider),
        ):
            assert (await talk.answer())["content"] == "Hello, Ann."
        (turn,) = await talk.turns()
        assert (turn["epoch"], turn["status"]) == (1, "finalized")
        assert len(models.asked) == 1


async def test_an_end_of_the_process_cuts_the_answer_short_and_it_can_be_run_again(
    database_url: str, tmp_path: Path
) -> None:
    valve = Valve()
    models = ScriptedModels(valve.script)
    async with running_service(database_url, tmp_path / "data", models.provider, runner(HASTY)) as ending:
        talk = await Talk(ending, models).begin()
        await talk.say("hello")
        await asyncio.wait_for(valve.reached.wait(), 10)
    async with running_service(database_url, tmp_path / "data", models.provider, runner(UNABLE)) as service:
        talk.ann = service.user("ann")
        assert (await talk.answer())["content"] == "one "
        (turn,) = await talk.turns()
        assert (turn["status"], turn["finish_reason"], turn["error"]["retryable"]) == ("failed", "shutdown", True)
        models.script = greeting
        retried = await talk.ann.post(f"{talk.path}/turns/{turn['turn_id']}/retry")
        assert retried.status_code == 202, retried.text
        async with running_service(database_url, tmp_path / "data", models.provider):
            await until(talk.finalized)
        (answer,) = await talk.answers()
        assert answer["content"] == "Hello, Ann."


async def test_without_a_model_it_says_which_setting_is_missing(service: Service) -> None:
    new = {"assistant_service_id": MODEL, "template_id": "chat", "name": "Mo"}
    answer = await service.user("ann").post("/assistants", json=new)
    assert answer.status_code == 503
    assert answer.json()["code"] == "no_model"
    assert "WORKBENCH__MODELS__NAMED__" in answer.json()["detail"]
    assert (await service.user("ann").get("/assistants")).json()["assistants"] == []
    assert (await service.user("ann").get("/assistant-services")).json()["assistant_service_infos"] == []


async def test_a_user_whose_budget_is_used_up_is_told_so_and_the_model_is_not_asked(talk: Talk) -> None:
    await talk.begin()
    limits = {"limits": [{"measure": "turns", "period": "day", "amount": 1}]}
    (await talk.service.admin().put("/budgets/user/ann", json=limits)).raise_for_status()
    await talk.say("Good morning")
    await talk.answer()
    await until(talk.finalized)
    (standing,) = (await talk.ann.get("/budgets/me")).json()["standings"]
    assert (standing["used"], standing["reserved"], standing["left"]) == (1, 0, 0)
    await talk.say("And good evening")

    async def told() -> Any:
        return (await talk.messages(message_type="notice")) or None

    (notice,) = await until(told)
    assert notice["metadata"]["code"] == "budget_exceeded"
    assert notice["content"].startswith("The budget of the user is used up until ")
    assert len(await talk.turns()) == 1
