"""Documentation and status updates in a model's words, and told while they are written (16, 41 and 53 to 58)."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from dishka import Provider, Scope
from sqlalchemy import select
from tests.support.chat_models import ChatModels, service_with
from tests.support.databases import open_store
from tests.support.servers import eventually, until
from tests.support.service import Service
from tests.support.strict_sse import Heard, read_events, told_text
from tests.support.troubleshooting import REPORT, SESSIONS, SOLVED, by_hand, chat, done, respond, start_chat

from workbench.adapters.clock import SystemClock
from workbench.adapters.sql.ticket_tables import resolution_outputs
from workbench.domain.troubleshooting.writers import Prose, ProsePolisher
from workbench.domain.usage.accumulating import Accumulator

SECRET = "sk-planted-by-the-provider-0123456789"
MISSING = UUID(int=7)
ODD = "Tried it on PRN-02\r\n\r\nThen: nothing (0x80070005)"


async def solved(who: httpx.AsyncClient) -> str:
    """A session with an answer in it, that is over."""
    session = await by_hand(who)
    await respond(who, session["path"], session["first_step"], free_text=ODD)
    await done(who, session["path"], "resolve")
    return session["path"]


async def streamed(who: httpx.AsyncClient, path: str) -> list[Heard]:
    """All events of a documentation's stream, read strictly."""
    answer = await who.get(f"{path}/documentation/stream")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "no-cache" in answer.headers["cache-control"]
    assert answer.headers["x-accel-buffering"] == "no"
    return read_events(answer.content)


async def documentation(who: httpx.AsyncClient, path: str) -> dict[str, Any]:
    return (await who.get(f"{path}/documentation")).json()


async def usage_of(who: httpx.AsyncClient) -> list[dict[str, Any]]:
    return (await who.get("/usage")).json()["rows"]


async def counted(service: Service) -> dict[str, float]:
    """How many streams ended how."""
    lines = (await service.client().get("/metrics")).text.splitlines()
    told = (line.rsplit(" ", 1) for line in lines if line.startswith("workbench_sse_streams_total{"))
    return {name.split('"')[1]: float(number) for name, number in told if float(number)}


# Without a model.


async def test_54_without_a_model_the_stream_is_the_documentation(service: Service) -> None:
    ann = service.user()
    path = await solved(ann)
    events = await streamed(ann, path)
    document = await documentation(ann, path)
    assert told_text(events) == document["markdown"]
    assert events[0].data == {
        "session_version": document["session_version"],
        "generated_by": "template",
        "format": "markdown",
    }
    assert events[-1].data == {"chars": len(document["markdown"]), "generated_by": "template"}
    assert [event.name for event in events].count("reset") == 0
    assert await usage_of(ann) == []


async def test_56_whom_the_documentation_is_not_for_gets_no_stream(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    path = (await by_hand(ann))["path"]
    await done(ann, path, "escalate")
    await done(bob, path, "pickup")
    absent = await bob.get(f"{SESSIONS}/{MISSING}/documentation/stream")
    refused = await bob.get(f"{path}/documentation/stream")
    assert (refused.status_code, refused.headers["content-type"]) == (404, "application/json")
    assert (refused.content, refused.json()["code"]) == (absent.content, "session_not_found")
    assert (await service.client().get(f"{path}/documentation/stream")).status_code == 401


async def test_53_the_documentation_of_a_chat_tells_what_people_wrote(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    session = await start_chat(ann)
    await chat(ann, session["path"])
    await done(ann, session["path"], "escalate")
    await done(bob, session["path"], "pickup")
    await chat(bob, session["path"], f"{REPORT}, it is PRN-02")
    said = {"content": "By the way"}
    (await ann.post(f"/conversations/{session['conversation_id']}/messages", json=said)).raise_for_status()
    document = await documentation(ann, session["path"])
    taken = document["markdown"].partition("## Steps taken")[2].partition("##")[0]
    assert f"1. {REPORT}\n2. {REPORT}, it is PRN-02 (Bob)" in taken.replace("\\", "")
    assert "By the way" not in document["markdown"]
    assert [entry["kind"] for entry in document["timeline"]].count("said") == 2
    assert await documentation(ann, session["path"]) == document


async def test_59_colleagues_are_told_what_was_written_in_a_chat_and_clients_are_not(service: Service) -> None:
    ann = service.user()
    path = (await start_chat(ann))["path"]
    notes = {"audience": "ticket_notes"}
    assert "Done so far: nothing yet." in (await ann.post(f"{path}/status-update", json=notes)).json()["content"]
    await chat(ann, path, f"{REPORT}, it is PRN-02. password: hunter2")
    await chat(ann, path, f"{REPORT} {'very ' * 100}")
    told = (await ann.post(f"{path}/status-update", json=notes)).json()["content"]
    assert f"Written so far (2 messages): {REPORT}, it is PRN-02." in told
    assert "hunter2" not in told
    assert len(told) < 600
    client = (await ann.post(f"{path}/status-update", json={"audience": "client"})).json()["content"]
    assert "PRN-02" not in client


# With a model.


class Writing:
    """Ann's session, and a model that rephrases."""

    def __init__(self, service: Service, models: ChatModels, path: str) -> None:
        self.service = service
        self.models = models
        self.ann = service.user()
        self.path = path

    async def template(self) -> str:
        """The house's own text, which the model was shown."""
        return self.models.shown[-1]["template"]


@pytest.fixture
def models() -> ChatModels:
    return ChatModels()


@pytest.fixture
async def writing(database_url: str, tmp_path: Path, models: ChatModels) -> AsyncGenerator[Writing]:
    async with service_with(models, database_url, tmp_path) as service:
        yield Writing(service, models, await by_colleague(service))


async def by_colleague(service: Service) -> str:
    """A session of Ann's that began without a model's help."""
    ann = service.user()
    session = await by_hand(ann)
    await done(ann, session["path"], "resolve")
    return session["path"]


async def in_odd_lines(template: str) -> AsyncGenerator[str]:
    """The same with the line ends of another system, cut between their two characters."""
    text = template.replace("\n", "\r\n")
    middle = text.index("\r\n") + 1
    for piece in (text[:middle], text[middle:], "\r\n\r\n\u2028Überall geprüft.\r"):
        yield piece


async def test_54_a_models_text_comes_through_to_the_letter(writing: Writing) -> None:
    writing.models.prose = in_odd_lines
    events = await streamed(writing.ann, writing.path)
    text = told_text(events)
    assert text.endswith("\u2028Überall geprüft.\r")
    assert "\r\n\r\n" in text
    (row,) = await usage_of(writing.ann)
    assert (events[0].data["generated_by"], events[-1].data) == (
        "model",
        {"chars": len(text), "generated_by": "model", "usage_id": row["id"]},
    )
    assert (await documentation(writing.ann, writing.path))["markdown"] == text


async def test_a_text_that_was_written_once_is_not_paid_for_again(writing: Writing) -> None:
    first = await streamed(writing.ann, writing.path)
    again = await streamed(writing.ann, writing.path)
    document = await documentation(writing.ann, writing.path)
    assert told_text(first) == told_text(again) == document["markdown"]
    assert (document["generated_by"], document["fallback_reason"]) == ("model", None)
    assert len(writing.models.shown) == 1
    assert await counted(writing.service) == {"done": 2}
    (row,) = await usage_of(writing.ann)
    assert (row["usage_type"], row["metadata"]["succeeded"]) == ("flowpilot_documentation", True)
    assert row["total_tokens"] > 0
    await done(writing.ann, writing.path, "reopen")
    await documentation(writing.ann, writing.path)
    assert len(writing.models.shown) == 2


async def test_another_replica_tells_what_was_written_and_paid_for(
    database_url: str, tmp_path: Path, models: ChatModels
) -> None:
    async with service_with(models, database_url, tmp_path / "one") as one:
        ann = one.user()
        session = await by_hand(ann)
        first = await documentation(ann, session["path"])
        assert (first["generated_by"], len(models.shown)) == ("model", 1)
        async with service_with(models, database_url, tmp_path / "two") as two:
            assert await documentation(two.user(), session["path"]) == first
            assert told_text(await streamed(two.user(), session["path"])) == first["markdown"]
            assert len(models.shown) == 1
            # Of a newer version there is none, and then of the older one neither.
            await done(two.user(), session["path"], "pause")
            await documentation(two.user(), session["path"])
            await documentation(ann, session["path"])
            assert len(models.shown) == 2
        shown = {each["kind"] for each in (await ann.get(f"{session['path']}/outputs")).json()["items"]}
        assert "documentation" not in shown
    async with open_store(database_url, SystemClock()) as store:
        wanted = select(resolution_outputs.c.session_version, resolution_outputs.c.people)
        kept = await store.database.rows(wanted.where(resolution_outputs.c.kind == "documentation"))
    assert [[*row] for row in kept] == [[first["session_version"] + 1, ["ann"]]]


async def test_41_where_the_allowance_is_used_up_the_houses_own_text_stands(
    database_url: str, tmp_path: Path, models: ChatModels
) -> None:
    limit = {"scope": "user", "measure": "generations", "period": "day", "amount": 0}
    async with service_with(models, database_url, tmp_path, budgets={"limits": [limit]}) as service:
        ann, path = service.user(), await by_colleague(service)
        document = await documentation(ann, path)
        assert (document["generated_by"], document["fallback_reason"]) == ("template", "quota")
        events = await streamed(ann, path)
        assert told_text(events) == document["markdown"]
        assert events[-1].data["fallback_reason"] == "quota"
        assert await counted(service) == {"fallback": 1}
        update = (await ann.post(f"{path}/status-update", json={"audience": "client"})).json()
        assert (update["generated_by"], update["fallback_reason"]) == ("template", "quota")
        assert (models.shown, await usage_of(ann)) == ([], [])


def failing_after(*pieces: str) -> Any:
    """A model whose provider fails once it has said this much."""

    async def prose(_: str) -> AsyncGenerator[str]:
        from pydantic_ai.exceptions import ModelHTTPError  # noqa: PLC0415 - takes seconds to load

        for piece in pieces:
            yield piece
        raise ModelHTTPError(500, "m", body={"message": SECRET})

    return prose


async def test_55_56_a_provider_that_fails_before_it_begins_is_not_noticed_but_at_the_end(
    writing: Writing, caplog: pytest.LogCaptureFixture
) -> None:
    writing.models.prose = failing_after()
    with caplog.at_level(logging.INFO):
        answer = await writing.ann.get(f"{writing.path}/documentation/stream")
        document = await documentation(writing.ann, writing.path)
    events = read_events(answer.content)
    assert told_text(events) == document["markdown"]
    assert [event.name for event in events].count("reset") == 0
    assert events[-1].data["fallback_reason"] == document["fallback_reason"] == "provider"
    assert SECRET not in answer.text + str(document) + caplog.text


async def test_55_56_a_provider_that_fails_later_is_taken_back(
    writing: Writing, caplog: pytest.LogCaptureFixture
) -> None:
    writing.models.prose = failing_after("# Something el", "se\n\n")
    with caplog.at_level(logging.INFO):
        answer = await writing.ann.get(f"{writing.path}/documentation/stream")
    events = read_events(answer.content)
    names = [event.name for event in events]
    assert names[:4] == ["meta", "delta", "delta", "reset"]
    assert events[3].data == {"reason": "provider"}
    assert events[-1].name == "done"
    assert (events[-1].data["generated_by"], events[-1].data["fallback_reason"]) == ("template", "provider")
    assert told_text(events) == await writing.template()
    assert SECRET not in answer.text + caplog.text


class Defective(ProsePolisher):
    """One with a defect of ours."""

    async def polish(self, model: str, prose: Prose, spent: Accumulator) -> AsyncGenerator[str]:
        yield "# Half"
        raise LookupError(SECRET)


async def test_56_a_defect_of_ours_is_one_error_and_no_end(
    database_url: str, tmp_path: Path, models: ChatModels
) -> None:
    defect = Provider(scope=Scope.APP)
    defect.provide(Defective, provides=ProsePolisher)
    models.more = (defect,)
    async with service_with(models, database_url, tmp_path) as service:
        ann, path = service.user(), await by_colleague(service)
        answer = await ann.get(f"{path}/documentation/stream")
        events = read_events(answer.content)
        told_text(events)
        assert [event.name for event in events] == ["meta", "delta", "error"]
        error = events[-1].data
        assert (error["code"], error["retryable"]) == ("internal", True)
        assert error["correlation_id"] == answer.headers["x-request-id"].replace("-", "")
        assert SECRET not in answer.text
        assert await counted(service) == {"error": 1}


async def test_58_what_loses_a_fact_does_not_stand(writing: Writing) -> None:
    async def without_a_name(template: str) -> AsyncGenerator[str]:
        yield template.replace("PRN-02", "the printer")

    writing.models.prose = without_a_name
    assert "PRN-02" in SOLVED["resolution_summary"]
    events = await streamed(writing.ann, writing.path)
    assert [event.data for event in events if event.name == "reset"] == [{"reason": "facts_lost"}]
    assert told_text(events) == await writing.template()
    assert events[-1].data["fallback_reason"] == "facts_lost"
    document = await documentation(writing.ann, writing.path)
    assert (document["generated_by"], document["fallback_reason"]) == ("template", "facts_lost")
    assert "PRN-02" in document["markdown"].replace("\\", "")


class Held:
    """A model that says something and then nothing more."""

    def __init__(self) -> None:
        self.has_begun = False
        self.was_stopped = False
        self.may_go_on = asyncio.Event()

    async def __call__(self, template: str) -> AsyncGenerator[str]:
        self.has_begun = True
        try:
            yield "# One"
            await self.may_go_on.wait()
            yield template
        except (asyncio.CancelledError, GeneratorExit):
            self.was_stopped = True
            raise


async def test_57_who_leaves_stops_the_model_and_what_it_took_is_settled(writing: Writing) -> None:
    held = Held()
    writing.models.prose = held
    async with writing.ann.stream("GET", f"{writing.path}/documentation/stream") as response:
        async for line in response.aiter_lines():
            if "# One" in line:
                break
    await eventually(lambda: held.was_stopped, timeout_seconds=2)
    rows = await until(lambda: usage_of(writing.ann), timeout_seconds=2)
    assert [(row["usage_type"], row["metadata"]["error_code"]) for row in rows] == [
        ("flowpilot_documentation", "cancelled")
    ]
    assert rows[0]["total_tokens"] > 0
    assert await until(lambda: counted(writing.service)) == {"left": 1}


async def test_a_stream_gives_signs_of_life_while_the_model_thinks(tmp_path: Path, sqlite_url: str) -> None:
    held = Held()
    models = ChatModels(prose=held)
    async with service_with(models, sqlite_url, tmp_path, events={"keep_alive_seconds": 0.05}) as service:
        ann, path = service.user(), await by_colleague(service)
        signs, body = 0, b""
        async with ann.stream("GET", f"{path}/documentation/stream") as response:
            async for chunk in response.aiter_raw():
                body += chunk
                signs = body.count(b": hb\n\n")
                if signs == 2:
                    held.may_go_on.set()
        events = read_events(body)
        told_text(events)
        assert events[-1].name == "done"
        assert signs >= 2


async def test_56_a_session_that_is_deleted_meanwhile_ends_the_stream_with_an_error(writing: Writing) -> None:
    held = Held()
    writing.models.prose = held
    reading = asyncio.create_task(writing.ann.get(f"{writing.path}/documentation/stream"))
    await eventually(lambda: held.has_begun)
    await done(writing.service.user(), writing.path, "delete")
    held.may_go_on.set()
    events = read_events((await reading).content)
    told_text(events)
    assert (events[-1].name, events[-1].data["code"], events[-1].data["retryable"]) == (
        "error",
        "session_not_found",
        False,
    )


async def test_a_status_update_is_written_as_is_wished(writing: Writing) -> None:
    async def kindly(template: str) -> AsyncGenerator[str]:
        yield f"{template} Alles gut."

    writing.models.prose = kindly
    wished = {"audience": "client", "language": "German", "instructions": "Be brief. password: hunter2"}
    update = (await writing.ann.post(f"{writing.path}/status-update", json=wished)).json()
    assert update["content"].endswith("Alles gut.")
    assert (update["generated_by"], update["fallback_reason"], update["ignored"]) == ("model", None, [])
    (shown,) = writing.models.shown
    assert "German" in shown["wishes"]
    assert "Be brief" in shown["wishes"]
    assert "hunter2" not in shown["wishes"]
    (row,) = await usage_of(writing.ann)
    assert row["usage_type"] == "flowpilot_status_update"
