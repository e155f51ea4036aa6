"""Titles that a model chooses, from a user's message to the event, over real HTTP on both sides."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from dishka import Provider, Scope
from sqlalchemy import select, update
from tests.support.assistants import RecordingAssistantService
from tests.support.behaviours import Behaviour, drop, garbage, hang, status
from tests.support.databases import open_store
from tests.support.openai_server import ModelServer, answer_of, model_server
from tests.support.service import Service, open_stream, running_service

from workbench.adapters.sql.tables import jobs
from workbench.adapters.sql.usage_tables import token_usage
from workbench.domain.jobs.model import RetryPolicy
from workbench.domain.messages.model import TITLE_JOB
from workbench.domain.titles.ports import TitleWriter

COUNT = "__auto_title_count"
CHOSEN = "__user_set_title"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
QUICK = RetryPolicy(attempts=3, first_seconds=0.02, factor=1.0)


class Retries(Provider):
    """Provides a policy that does not keep tests waiting."""

    def __init__(self, policy: RetryPolicy = QUICK) -> None:
        super().__init__(scope=Scope.APP)
        self.provide(lambda: policy, provides=RetryPolicy)


class Talk:
    """A user's conversation."""

    def __init__(self, ann: httpx.AsyncClient, path: str) -> None:
        self.ann, self.path = ann, path

    async def say(self, content: str, **more: Any) -> None:
        said = await self.ann.post(f"{self.path}/messages", json={"content": content, **more})
        said.raise_for_status()

    async def conversation(self) -> dict[str, Any]:
        return (await self.ann.get(self.path)).json()

    async def title(self) -> str:
        return (await self.conversation())["title"]

    async def count(self) -> int:
        return (await self.conversation())["metadata"].get(COUNT, 0)

    async def titled(self, times: int) -> dict[str, Any]:
        """Wait until a model was heard so often."""
        await until(lambda: self._heard(times))
        return await self.conversation()

    async def _heard(self, times: int) -> bool:
        return await self.count() >= times


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await true():  # noqa: ASYNC110 - what is looked at is in another thread's event loop
            await asyncio.sleep(0.02)


async def waiting(service: Service) -> list[Any]:
    async with open_store(service.database_url) as store:
        return list(
            await store.database.rows(
                select(jobs.c.key, jobs.c.attempts, jobs.c.last_error).where(jobs.c.kind == TITLE_JOB)
            )
        )


async def nothing_waits(service: Service) -> None:
    async def empty() -> bool:
        return not await waiting(service)

    await until(empty)


async def begin(service: Service, **new: Any) -> Talk:
    ann = service.user("ann")
    return Talk(ann, f"/conversations/{(await ann.post('/conversations', json=new)).json()['id']}")


@asynccontextmanager
async def titling(
    database_url: str, folder: Path, model: ModelServer, *providers: Provider, **titles: Any
) -> AsyncGenerator[Service]:
    """A service whose titles the model chooses."""
    group = {"provider": "openai", "model": "local", "base_url": f"{model.url}/v1", "timeout_seconds": 10, **titles}
    async with running_service(database_url, folder, *(providers or (Retries(),)), titles=group) as service:
        yield service


@pytest.fixture
async def model() -> AsyncGenerator[ModelServer]:
    async with model_server() as server:
        yield server


@pytest.fixture
async def service(database_url: str, tmp_path: Path, model: ModelServer) -> AsyncGenerator[Service]:
    async with titling(database_url, tmp_path / "data", model) as running:
        yield running


async def test_after_one_chat_message_of_a_user_the_models_title_is_set_and_told(
    service: Service, model: ModelServer
) -> None:
    model.answer("  Planning a\ntrip ")
    talk = await begin(service)
    async with open_stream(talk.ann, f"{talk.path}/events") as stream:
        await talk.say("Where shall we go?")
        said, updated = await stream.take(2)
    assert (said.name, updated.name) == ("message.created", "conversation.updated")
    told = updated.data["data"]["conversation"]
    assert (told["title"], told["latest_message"], told["conversation_permission"]) == (
        "Planning a trip",
        None,
        "read_write",
    )
    assert [person["id"] for person in told["participants"]] == ["ann"]
    conversation = await talk.conversation()
    assert conversation["title"] == "Planning a trip"
    assert conversation["metadata"] == {COUNT: 1} == told["metadata"]
    await nothing_waits(service)


async def test_assistants_are_told_of_a_title(service: Service, model: ModelServer) -> None:
    async with RecordingAssistantService() as recorder:
        talk = await begin(service)
        await seat(service, recorder, talk)
        await talk.say("hello")
        await recorder.wait_for(lambda it: [e for e in it.events() if e["event"] == "conversation.updated"])
        (event,) = (event for event in recorder.events() if event["event"] == "conversation.updated")
        assert event["data"]["conversation"]["title"] == "A Title"


async def seat(service: Service, recorder: RecordingAssistantService, talk: Talk) -> httpx.AsyncClient:
    """Put an assistant into the conversation."""
    (await recorder.announce(service.url)).raise_for_status()
    new = {"assistant_service_id": recorder.service_id, "name": "Robot"}
    assistant = (await talk.ann.post("/assistants", json=new)).json()["id"]
    (await talk.ann.put(f"{talk.path}/participants/{assistant}", json={})).raise_for_status()
    return service.assistant(assistant, recorder.service_id)


async def test_a_model_is_asked_three_times_at_most(service: Service, model: ModelServer) -> None:
    model.answer("One", "Two", "Three", "Four")
    talk = await begin(service)
    for number, title in enumerate(["One", "Two", "Three"], 1):
        await talk.say("and?")
        assert (await talk.titled(number))["title"] == title
        await nothing_waits(service)
    await talk.say("and?")
    assert await waiting(service) == []
    assert (await talk.title(), len(model.requests)) == ("Three", 3)


async def test_a_blank_title_keeps_the_one_there_is_but_counts(service: Service, model: ModelServer) -> None:
    model.answer("First", " \n ", "Third")
    talk = await begin(service)
    for number, title in enumerate(["First", "First", "Third"], 1):
        await talk.say("and?")
        assert (await talk.titled(number))["title"] == title


async def test_a_workspace_that_has_spent_its_budget_gets_no_titles_and_no_failures(
    service: Service, model: ModelServer
) -> None:
    limit = {"measure": "turns", "period": "day", "amount": 0}
    root = service.admin()
    (await root.put("/budgets/workspace/default", json={"limits": [limit]})).raise_for_status()
    talk = await begin(service)
    before = await talk.title()
    await talk.say("Where shall we go?")
    await nothing_waits(service)
    assert (await talk.title(), await talk.count(), len(model.requests)) == (before, 0, 0)
    (await root.delete("/budgets/workspace/default")).raise_for_status()
    (await root.put("/budgets/user/ann", json={"limits": [limit]})).raise_for_status()
    await talk.say("And when?")
    await talk.titled(1)


async def test_who_chose_a_title_keeps_it(service: Service, model: ModelServer) -> None:
    chosen, renamed = await begin(service, title="Mine"), await begin(service)
    await renamed.ann.patch(renamed.path, json={"title": "Ours"})
    for talk in (chosen, renamed):
        await talk.say("hello")
    assert await waiting(service) == []
    assert [await talk.title() for talk in (chosen, renamed)] == ["Mine", "Ours"]
    assert model.requests == []


async def test_a_title_chosen_while_the_model_thinks_wins(service: Service, model: ModelServer) -> None:
    model.answer(hang())
    talk = await begin(service)
    await talk.say("hello")
    await model.asked(1)
    await talk.ann.patch(talk.path, json={"title": "Mine"})
    model.release()
    await nothing_waits(service)
    conversation = await talk.conversation()
    assert (conversation["title"], conversation["metadata"]) == ("Mine", {CHOSEN: True})


async def test_titles_and_changes_at_once_lose_nothing(service: Service, model: ModelServer) -> None:
    talk = await begin(service)
    changes = [talk.ann.patch(talk.path, json={"metadata": {f"key {number}": number}}) for number in range(6)]
    answers = await asyncio.gather(talk.say("hello"), *changes)
    assert [answer.status_code for answer in answers[1:] if answer is not None] == [200] * 6
    conversation = await talk.titled(1)
    assert conversation["title"] == "A Title"
    assert conversation["metadata"] == {COUNT: 1, **{f"key {number}": number for number in range(6)}}


async def test_what_a_caller_writes_over_the_count_does_no_harm(service: Service, model: ModelServer) -> None:
    talk = await begin(service, metadata={COUNT: "many"})
    await talk.say("hello")
    await until(lambda: is_title(talk, "A Title"))
    assert await talk.count() == 1


async def is_title(talk: Talk, title: str) -> bool:
    return await talk.title() == title


async def test_only_chat_that_counts_as_a_users_asks_for_a_title(service: Service, model: ModelServer) -> None:
    async with RecordingAssistantService() as recorder:
        talk = await begin(service)
        robot = await seat(service, recorder, talk)
        await talk.say("a note", message_type="note")
        await talk.say("/help", message_type="command")
        (await robot.post(f"{talk.path}/messages", json={"content": "hello, I am here"})).raise_for_status()
        assert await waiting(service) == []
        for_ann = {"content": "for ann", "sender": {"participant_role": "user", "participant_id": "ann"}}
        (await robot.post(f"{talk.path}/messages", json=for_ann)).raise_for_status()
        await talk.titled(1)
    (prompt,) = model.prompts()
    assert [role for role, _ in prompt] == ["system", "user", "assistant", "user", "user"]
    assert [content for _, content in prompt[2:4]] == ["hello, I am here", "for ann"]


async def test_the_model_sees_the_last_ten_chat_messages_and_the_title(
    database_url: str, tmp_path: Path, model: ModelServer
) -> None:
    async with running_service(database_url, tmp_path / "data") as off:
        talk = await begin(off, metadata={COUNT: 1})
        for number in range(12):
            await talk.say(f"said {number}")
            await talk.say("aside", message_type="note")
        await talk.say(" ")
        assert await waiting(off) == []
    async with titling(database_url, tmp_path / "data", model) as service:
        talk = Talk(service.user("ann"), talk.path)
        model.answer(hang(), "Second", then="Second")
        await talk.say("x" * 10_000)
        await model.asked(1)
        await talk.say("too late to be seen")
        model.release()
        await talk.titled(2)
    (system, *shown, question), *_ = model.prompts()
    assert system[0] == "system"
    assert shown == [("user", f"said {number}") for number in range(4, 12)] + [("user", "x" * 4000)]
    assert question[0] == "user"
    assert '"New Conversation"' in question[1]
    assert model.requests[0].headers["authorization"] == "Bearer none"


async def test_the_prompt_names_the_title_that_a_model_chose_before(service: Service, model: ModelServer) -> None:
    model.answer("Cats & dogs")
    talk = await begin(service)
    for number in (1, 2):
        await talk.say("hello")
        await talk.titled(number)
    questions = [prompt[-1][1] for prompt in model.prompts()]
    assert ['"Cats & dogs"' in question for question in questions] == [False, True]


TROUBLES = {"500": status(500), "401": status(401), "garbage": garbage(), "html": Behaviour(status=200, body=b"<p>")}
TROUBLES |= {"no title": garbage(b'{"id": "one"}'), "gone": drop()}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
async def test_a_model_that_fails_is_asked_again(
    sqlite_url: str, tmp_path: Path, model: ModelServer, trouble: Behaviour
) -> None:
    async with titling(sqlite_url, tmp_path / "data", model) as service:
        model.answer(trouble, trouble, "At last")
        talk = await begin(service)
        await talk.say("hello")
        conversation = await talk.titled(1)
        assert (conversation["title"], conversation["metadata"]) == ("At last", {COUNT: 1})
        await nothing_waits(service)
    assert len(model.requests) == 3


async def test_a_model_that_takes_too_long_is_asked_again(sqlite_url: str, tmp_path: Path, model: ModelServer) -> None:
    async with titling(sqlite_url, tmp_path / "data", model, timeout_seconds=2) as service:
        model.answer(hang(), "In time")
        talk = await begin(service)
        await talk.say("hello")
        assert (await talk.titled(1))["title"] == "In time"


async def test_a_model_that_never_answers_well_is_given_up_until_the_next_message(
    sqlite_url: str, tmp_path: Path, model: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    async with titling(sqlite_url, tmp_path / "data", model, api_key="sk-very-secret") as service:
        model.answer(then=status(401, "wrong key sk-very-secret"))
        talk = await begin(service)
        await talk.say("hello")
        await nothing_waits(service)
        assert (len(model.requests), await talk.count()) == (QUICK.attempts, 0)
        model.answer(then="Better")
        await talk.say("again")
        assert (await talk.titled(1))["title"] == "Better"
    logged = capsys.readouterr()
    assert "the model's provider answered 401" in logged.out + logged.err
    assert "sk-very-secret" not in logged.out + logged.err


async def test_messages_that_come_meanwhile_cause_one_more_question(service: Service, model: ModelServer) -> None:
    model.answer(hang(), then="After all")
    talk = await begin(service)
    await talk.say("first")
    await model.asked(1)
    for number in range(5):
        await talk.say(f"more {number}")
    assert len(await waiting(service)) == 1
    assert len(model.requests) == 1
    model.answer(then="After all")
    model.release()
    await until(lambda: is_title(talk, "After all"))
    await nothing_waits(service)
    assert [prompt[-2][1] for prompt in model.prompts()][-1] == "more 4"


async def test_a_pending_title_survives_a_restart(database_url: str, tmp_path: Path, model: ModelServer) -> None:
    model.answer(hang())
    async with titling(database_url, tmp_path / "data", model) as service:
        talk = await begin(service)
        await talk.say("hello")
        await model.asked(1)
    model.answer(then="Later")
    async with titling(database_url, tmp_path / "data", model) as service:
        talk = Talk(service.user("ann"), talk.path)
        conversation = await talk.titled(1)
        assert (conversation["title"], conversation["metadata"]) == ("Later", {COUNT: 1})


async def test_a_job_that_ends_every_worker_is_given_up(sqlite_url: str, tmp_path: Path, model: ModelServer) -> None:
    model.answer(hang())
    async with titling(sqlite_url, tmp_path / "data", model) as service:
        talk = await begin(service)
        await talk.say("hello")
        await model.asked(1)
        async with open_store(sqlite_url) as store:
            died = update(jobs).values(attempts=QUICK.attempts, claim="dead", claimed_until=LONG_AGO)
            await store.database.transact(lambda connection: connection.execute(died))
        await service.user("ann").post("/conversations", json={})
        await nothing_waits(service)
        model.release()
        assert await talk.title() == "New Conversation"
    assert len(model.requests) == 1


async def test_replicas_ask_once_for_each_message(database_url: str, tmp_path: Path, model: ModelServer) -> None:
    async with (
        titling(database_url, tmp_path / "data", model) as one,
        titling(database_url, tmp_path / "data", model) as two,
    ):
        talks = [await begin(service) for service in (one, two) for _ in range(6)]
        await asyncio.gather(*(talk.say(f"topic {number}") for number, talk in enumerate(talks)))
        for talk in talks:
            await talk.titled(1)
        await nothing_waits(one)
    asked = sorted(prompt[1][1] for prompt in model.prompts())
    assert asked == sorted(f"topic {number}" for number in range(len(talks)))


async def test_a_conversation_or_message_that_is_gone_wants_no_title(
    database_url: str, tmp_path: Path, model: ModelServer
) -> None:
    model.answer(hang(), hang(), hang(), hang(), hang(), hang(), hang(), hang())
    async with titling(database_url, tmp_path / "data", model) as service:
        busy = [await begin(service) for _ in range(8)]
        await asyncio.gather(*(talk.say("busy") for talk in busy))
        await model.asked(8)
        gone, taken_back = await begin(service), await begin(service)
        await gone.say("soon gone")
        said = await taken_back.ann.post(f"{taken_back.path}/messages", json={"content": "never mind"})
        await taken_back.ann.delete(f"{taken_back.path}/messages/{said.json()['id']}")
        for talk in (gone, busy[0]):
            assert (await talk.ann.delete(talk.path)).status_code == 204
        model.release()
        await nothing_waits(service)
        assert await taken_back.title() == "New Conversation"
        assert (await taken_back.count(), len(model.requests)) == (0, 8)


async def test_without_a_model_nothing_is_set_down_and_the_start_says_so(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_service(database_url, tmp_path / "data") as service:
        talk = await begin(service)
        await talk.say("hello")
        assert await waiting(service) == []
        assert await talk.title() == "New Conversation"
    logged = capsys.readouterr()
    assert (logged.out + logged.err).count("automatic titles are off: no model is configured") == 1


async def test_the_writer_can_be_swapped(sqlite_url: str, tmp_path: Path, model: ModelServer) -> None:
    class Shouting(TitleWriter):
        async def write(self, untitled: Any) -> str:
            return untitled.lines[-1].content.upper() * 100

    swapped = Provider(scope=Scope.APP)
    swapped.provide(Shouting, provides=TitleWriter)
    async with titling(sqlite_url, tmp_path / "data", model, swapped) as service:
        talk = await begin(service)
        await talk.say("hi\0 ")
        assert (await talk.titled(1))["title"] == ("HI " * 100)[:100].strip()
    assert model.requests == []


async def booked(service: Service) -> list[dict[str, Any]]:
    names = [column.name for column in token_usage.c]
    async with open_store(service.database_url) as store:
        rows = await store.database.rows(select(token_usage).where(token_usage.c.usage_type == "chat_title"))
    return [dict(zip(names, row, strict=True)) for row in rows]


async def test_what_a_title_took_is_booked_at_no_users_expense(service: Service, model: ModelServer) -> None:
    talk = await begin(service)
    await talk.say("hello")
    await talk.titled(1)
    (row,) = await booked(service)
    assert (row["user_id"], row["metadata"]) == (None, {"owner_id": "ann"})
    assert str(row["conversation_id"]) == talk.path.rpartition("/")[2]
    assert (row["prompt_tokens"], row["completion_tokens"], row["total_tokens"]) == (1, 1, 2)
    assert (row["call_count"], row["source"], row["provisional"], row["message_id"]) == (1, "server", False, None)
    assert list(row["model_breakdown"]) == ["local"]
    assert row["model_breakdown"]["local"]["provider"] == "openai"


def refused(prompt_tokens: int, completion_tokens: int) -> Behaviour:
    """What no title can be read from, but has to be paid."""
    answer = answer_of("/v1/chat/completions", "no title at all")
    used = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    body = {**answer, "usage": {**used, "total_tokens": prompt_tokens + completion_tokens}}
    return Behaviour(status=200, body=json.dumps(body).encode(), headers={"content-type": "application/json"})


async def test_what_was_spent_on_refused_answers_is_booked_as_well(service: Service, model: ModelServer) -> None:
    model.answer(refused(40, 7), status(500), "At last")
    talk = await begin(service)
    await talk.say("hello")
    assert (await talk.titled(1))["title"] == "At last"
    await nothing_waits(service)
    rows = await booked(service)
    assert sorted((row["prompt_tokens"], row["completion_tokens"]) for row in rows) == [(1, 1), (40, 7)]


async def test_a_title_that_comes_too_late_is_booked_all_the_same(service: Service, model: ModelServer) -> None:
    model.answer(hang())
    talk = await begin(service)
    await talk.say("hello")
    await model.asked(1)
    assert (await talk.ann.delete(talk.path)).status_code == 204
    model.release()
    await nothing_waits(service)
    assert [row["total_tokens"] for row in await booked(service)] == [2]
