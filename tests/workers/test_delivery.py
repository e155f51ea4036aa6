"""Delivery to assistants, against real assistant services over HTTP."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import cut, delayed, drop, hang, redirect, status, too_many_requests
from tests.support.databases import open_store
from tests.support.servers import eventually
from tests.support.service import Service, running_service

from workbench.adapters.sql.leases import SqlLeases
from workbench.adapters.sql.tables import dead_letters, deliveries
from workbench.domain.events.model import NewEvent
from workbench.entrypoints.workers.delivery import lease_name

QUICK = {
    "first_retry_seconds": 0.05,
    "max_retry_seconds": 0.2,
    "timeout_seconds": 1,
    "breaker_first_seconds": 0.1,
    "breaker_max_seconds": 0.2,
}


class Talk:
    """A user's conversation with an assistant of the recorder."""

    def __init__(self, ann: httpx.AsyncClient, path: str, assistant: str) -> None:
        self.ann, self.path, self.assistant = ann, path, assistant
        self.conversation = path.removeprefix("/conversations/")

    async def say(self, *contents: str) -> None:
        for content in contents:
            (await self.ann.post(f"{self.path}/messages", json={"content": content})).raise_for_status()


async def begin(service: Service, recorder: RecordingAssistantService, assistant: str | None = None) -> Talk:
    ann = service.user("ann")
    if assistant is None:
        (await recorder.announce(service.url)).raise_for_status()
        new = {"assistant_service_id": recorder.service_id, "name": "Recorder"}
        created = await ann.post("/assistants", json=new)
        assert created.status_code == 201, created.text
        assistant = created.json()["id"]
    path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"
    added = await ann.put(f"{path}/participants/{assistant}", json={})
    assert added.status_code == 200, added.text
    return Talk(ann, path, assistant)


def told(recorder: RecordingAssistantService, talk: Talk, *, accepted: bool = True) -> list[str]:
    """What was said, as the assistant heard it."""
    found = recorder.events(talk.assistant, talk.conversation, accepted=accepted)
    return [event["data"]["message"]["content"] for event in found if event["event"] == "message.created"]


async def hears(recorder: RecordingAssistantService, talk: Talk, *contents: str) -> None:
    """Wait until the assistant has heard exactly this, in this order."""
    await eventually(lambda: len(told(recorder, talk)) >= len(contents), timeout_seconds=8)
    assert told(recorder, talk) == list(contents)


async def status_of(talk: Talk) -> dict[str, Any]:
    """How far the assistant is in the conversation, as its owner sees it."""
    found = (await talk.ann.get(f"/assistants/{talk.assistant}/delivery")).json()["conversations"]
    return next(each for each in found if each["conversation_id"] == talk.conversation)


async def circuit_of(talk: Talk) -> str:
    """Whether its service is called."""
    return str((await talk.ann.get(f"/assistants/{talk.assistant}/delivery")).json()["circuit"])


async def letters(service: Service) -> list[Any]:
    async with open_store(service.database_url) as store:
        return list(await store.database.rows(select(dead_letters.c.event_type, dead_letters.c.reason)))


@pytest.fixture
async def quick(database_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    async with running_service(database_url, tmp_path / "data", delivery=QUICK) as service:
        yield service


@pytest.fixture
async def recorder() -> AsyncGenerator[RecordingAssistantService]:
    async with RecordingAssistantService() as service:
        yield service


async def test_an_assistant_is_told_in_order_from_its_joining_on(
    quick: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(quick, recorder)
    await talk.say(*map(str, range(12)))
    await hears(recorder, talk, *map(str, range(12)))
    events = recorder.events(talk.assistant, talk.conversation)
    assert [event["event"] for event in events] == ["participant.created"] + ["message.created"] * 12
    assert list(events[0]) == ["id", "correlation_id", "conversation_id", "event", "timestamp", "data"]
    assert recorder.peak_events(talk.assistant, talk.conversation) == 1
    kinds = [request.kind for request in recorder.requests[:5]]
    assert kinds == [Kind.SERVICE_INFO, Kind.PUT_ASSISTANT, Kind.PUT_CONVERSATION, Kind.EVENT, Kind.EVENT]


async def test_an_assistants_answer_comes_back_into_the_conversation(
    quick: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(quick, recorder)
    itself = quick.assistant(talk.assistant, recorder.service_id)
    answer = await itself.post(f"{talk.path}/messages", json={"content": "I heard"})
    assert answer.json()["sender"] == {"participant_role": "assistant", "participant_id": talk.assistant}
    as_user = {"content": "for bea", "sender": {"participant_role": "user", "participant_id": "bea"}}
    assert (await itself.post(f"{talk.path}/messages", json=as_user)).json()["sender"]["participant_id"] == "bea"
    await hears(recorder, talk, "I heard", "for bea")


@pytest.mark.parametrize("trouble", [status(500), status(503), drop(), redirect("http://127.0.0.1:9/")])
async def test_a_failed_try_is_repeated_with_the_same_event(
    quick: Service, recorder: RecordingAssistantService, trouble: Any
) -> None:
    talk = await begin(quick, recorder)
    await eventually(lambda: len(recorder.events()) == 1)
    recorder.answer(Kind.EVENT, trouble, trouble)
    await talk.say("one", "two")
    await hears(recorder, talk, "one", "two")
    tries = [event["id"] for event in recorder.events() if event["data"].get("message", {}).get("content") == "one"]
    assert len(tries) == 3
    assert len(set(tries)) == 1
    assert await letters(quick) == []


async def test_a_refused_event_is_set_aside_and_the_next_goes_on(
    quick: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(quick, recorder)
    await eventually(lambda: len(recorder.events()) == 1)
    recorder.answer(Kind.EVENT, status(422))
    await talk.say("bad", "good")
    await hears(recorder, talk, "good")
    ((kind, reason),) = await letters(quick)
    assert kind == "message.created"
    assert reason.startswith("Assistant responded with error; response: ")


async def test_too_many_requests_is_no_refusal(quick: Service, recorder: RecordingAssistantService) -> None:
    talk = await begin(quick, recorder)
    recorder.answer(Kind.EVENT, too_many_requests(1), too_many_requests(1))
    await talk.say("patience")
    await hears(recorder, talk, "patience")
    assert await letters(quick) == []


async def test_a_service_that_lost_its_memory_is_introduced_anew(
    quick: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(quick, recorder)
    await eventually(lambda: len(recorder.events()) == 1)
    recorder.assistants.clear()
    recorder.conversations.clear()
    await talk.say("do you know me")
    await hears(recorder, talk, "do you know me")
    kinds = [request.kind for request in recorder.received(Kind.PUT_ASSISTANT, Kind.PUT_CONVERSATION)]
    assert kinds == [Kind.PUT_ASSISTANT, Kind.PUT_CONVERSATION] * 2


async def test_an_assistant_that_was_away_gets_everything_in_order(
    quick: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(quick, recorder)
    await eventually(lambda: len(recorder.events()) == 1)
    await recorder.stop()
    await talk.say("a", "b", "c")
    async with open_store(quick.database_url) as store, asyncio.timeout(8):
        failed = select(deliveries.c.attempts).where(deliveries.c.attempts > 0)
        while not await store.database.rows(failed):  # noqa: ASYNC110 - the row is written by another event loop
            await asyncio.sleep(0.02)
    await recorder.start()
    await hears(recorder, talk, "a", "b", "c")


async def test_a_heartbeat_brings_what_waits_at_once(sqlite_url: str, tmp_path: Path) -> None:
    slow = {"first_retry_seconds": 600, "max_retry_seconds": 600}
    async with (
        running_service(sqlite_url, tmp_path / "data", delivery=slow) as service,
        RecordingAssistantService() as recorder,
    ):
        talk = await begin(service, recorder)
        await eventually(lambda: len(recorder.events()) == 1)
        recorder.answer(Kind.EVENT, status(500))
        await talk.say("wait")
        async with asyncio.timeout(8):
            while not (await status_of(talk))["attempts"]:  # noqa: ASYNC110 - what another process says
                await asyncio.sleep(0.02)
        await recorder.announce(service.url)
        await hears(recorder, talk, "wait")


async def test_a_hanging_conversation_delays_no_other(quick: Service, recorder: RecordingAssistantService) -> None:
    stuck = await begin(quick, recorder)
    free = await begin(quick, recorder, stuck.assistant)
    await eventually(lambda: len(recorder.events()) == 2)
    recorder.answer(Kind.EVENT, hang(), where=lambda request: request.conversation_id == stuck.conversation)
    await stuck.say("stuck")
    await eventually(lambda: told(recorder, stuck, accepted=False) == ["stuck"])
    await free.say("free")
    await hears(recorder, free, "free")
    recorder.release()


async def test_a_dead_service_delays_no_other(quick: Service, recorder: RecordingAssistantService) -> None:
    async with RecordingAssistantService("dead.workbench.example") as dead:
        gone = await begin(quick, dead)
        talk = await begin(quick, recorder)
        await dead.stop()
        await gone.say("x")
        await talk.say("y")
        await hears(recorder, talk, "y")


async def test_a_restart_loses_nothing_and_repeats_nothing_done(
    database_url: str, tmp_path: Path, recorder: RecordingAssistantService
) -> None:
    async with running_service(database_url, tmp_path / "data", delivery=QUICK) as service:
        talk = await begin(service, recorder)
        await talk.say("before")
        await hears(recorder, talk, "before")
        recorder.answer(Kind.EVENT, then=status(500))
        await talk.say("during")
        await eventually(lambda: "during" in told(recorder, talk, accepted=False))
    recorder.behave()
    async with running_service(database_url, tmp_path / "data", delivery=QUICK) as service:
        after = Talk(service.user("ann"), talk.path, talk.assistant)
        await after.say("after")
        await hears(recorder, talk, "before", "during", "after")


async def test_what_waits_too_long_is_set_aside(sqlite_url: str, tmp_path: Path) -> None:
    hopeless = {**QUICK, "give_up_after_hours": 0.0001}
    async with (
        running_service(sqlite_url, tmp_path / "data", delivery=hopeless) as service,
        RecordingAssistantService() as recorder,
    ):
        talk = await begin(service, recorder)
        recorder.answer(Kind.EVENT, then=status(500))
        await talk.say("old")
        async with asyncio.timeout(8):
            while not await letters(service):  # noqa: ASYNC110 - the row is written by another thread's event loop
                await asyncio.sleep(0.02)
        recorder.behave()
        await talk.say("new")
        await eventually(lambda: told(recorder, talk)[-1:] == ["new"], timeout_seconds=8)


async def test_leaving_is_told_until_it_is_heard(quick: Service, recorder: RecordingAssistantService) -> None:
    talk = await begin(quick, recorder)
    recorder.answer(Kind.DELETE_CONVERSATION, status(500), drop())
    await talk.ann.put(f"{talk.path}/participants/{talk.assistant}", json={"active_participant": False})
    await talk.say("not for you")
    await eventually(lambda: len(recorder.received(Kind.DELETE_CONVERSATION)) == 3, timeout_seconds=8)
    await eventually(lambda: not recorder.conversations)
    assert "not for you" not in told(recorder, talk, accepted=False)
    again = await talk.ann.put(f"{talk.path}/participants/{talk.assistant}", json={"active_participant": True})
    assert again.status_code == 200
    await talk.say("welcome back")
    await eventually(lambda: told(recorder, talk)[-1:] == ["welcome back"])


async def test_deleting_a_conversation_tells_its_assistants(
    quick: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(quick, recorder)
    await talk.ann.delete(talk.path)
    await eventually(lambda: len(recorder.received(Kind.DELETE_CONVERSATION)) == 1)


async def test_several_conversations_are_told_at_once_but_none_of_two_things(
    quick: Service, recorder: RecordingAssistantService
) -> None:
    first = await begin(quick, recorder)
    talks = [first, *[await begin(quick, recorder, first.assistant) for _ in range(2)]]
    await recorder.wait_for(3)
    recorder.answer(Kind.EVENT, *[hang()] * 3)
    for talk in talks:
        await talk.say("one", "two", "three")
    await eventually(lambda: [told(recorder, talk, accepted=False) for talk in talks] == [["one"]] * 3)
    recorder.release()
    for talk in talks:
        await hears(recorder, talk, "one", "two", "three")
        assert recorder.peak_events(talk.assistant, talk.conversation) == 1


async def test_what_the_contract_does_not_know_is_not_told(quick: Service, recorder: RecordingAssistantService) -> None:
    talk = await begin(quick, recorder)
    conversation = UUID(talk.conversation)
    async with open_store(quick.database_url) as store, store.transactions.write("default") as tx:
        tx.events.record(NewEvent(conversation_id=conversation, type="turn.started", data={}))
        tx.events.record(NewEvent(conversation_id=conversation, type="participant.updated", data={}, audience="users"))
        tx.events.record(NewEvent(conversation_id=conversation, type="file.created", data={"file": {}}))
    await talk.say("hello")
    await hears(recorder, talk, "hello")
    kinds = [event["event"] for event in recorder.events()]
    assert kinds == ["participant.created", "file.created", "message.created"]


async def test_an_event_that_was_taken_is_not_sent_again_for_a_broken_answer(
    quick: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(quick, recorder)
    await recorder.wait_for(1)
    recorder.answer(Kind.EVENT, cut())
    await talk.say("one", "two")
    await hears(recorder, talk, "two")
    assert told(recorder, talk, accepted=False) == ["one", "two"]


async def test_what_is_not_answered_in_time_is_tried_again(sqlite_url: str, tmp_path: Path) -> None:
    async with (
        running_service(sqlite_url, tmp_path / "data", delivery={**QUICK, "timeout_seconds": 0.2}) as service,
        RecordingAssistantService() as recorder,
    ):
        talk = await begin(service, recorder)
        await recorder.wait_for(1)
        recorder.answer(Kind.EVENT, hang(), delayed(5))
        await talk.say("one", "two")
        await hears(recorder, talk, "one", "two")
        ids = [event["id"] for event in recorder.events()]
        assert (len(ids), len(set(ids))) == (5, 3)


async def test_a_service_that_knows_nobody_for_long_is_asked_less_and_less(sqlite_url: str, tmp_path: Path) -> None:
    async with (
        running_service(sqlite_url, tmp_path / "data", delivery={**QUICK, "max_retry_seconds": 5}) as service,
        RecordingAssistantService() as recorder,
    ):
        talk = await begin(service, recorder)
        await recorder.wait_for(1)
        recorder.answer(Kind.EVENT, then=status(404))
        await talk.say("hello")
        await recorder.wait_for(7)
        tries = [request.at_seconds for request in recorder.received(Kind.EVENT)[1:]]
        assert tries[5] - tries[4] >= QUICK["first_retry_seconds"] * 2**4 / 2
        joined = recorder.received(Kind.PUT_CONVERSATION)
        assert len(joined) == 1 + 5


async def test_who_is_removed_while_being_introduced_anew_hears_no_more(
    quick: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(quick, recorder)
    await eventually(lambda: len(recorder.events(accepted=True)) == 1)
    recorder.assistants.clear()
    recorder.conversations.clear()
    recorder.answer(Kind.PUT_CONVERSATION, hang())
    await talk.say("do you know me")
    await recorder.wait_for(lambda it: len(it.received(Kind.PUT_CONVERSATION)) == 2)
    await talk.ann.put(f"{talk.path}/participants/{talk.assistant}", json={"active_participant": False})
    heard = len(recorder.events())
    recorder.release()
    await recorder.wait_for(lambda it: it.received(Kind.DELETE_CONVERSATION))
    await talk.say("not for you")
    other = await begin(quick, recorder, talk.assistant)
    await other.say("for you")
    await hears(recorder, other, "for you")
    assert recorder.conversations.keys() == {(talk.assistant, other.conversation)}
    assert "not for you" not in told(recorder, talk, accepted=False)
    assert len(recorder.events(talk.assistant, talk.conversation)) <= heard + 1


async def test_a_stop_in_good_order_sends_nothing_twice(
    database_url: str, tmp_path: Path, recorder: RecordingAssistantService
) -> None:
    numbers = [str(number) for number in range(10)]
    async with running_service(database_url, tmp_path / "data", delivery=QUICK) as service:
        talk = await begin(service, recorder)
        await recorder.wait_for(1)
        recorder.answer(Kind.EVENT, then=delayed(0.04))
        await talk.say(*numbers)
        await recorder.wait_for(4)
    assert len(told(recorder, talk)) < len(numbers)
    async with running_service(database_url, tmp_path / "data", delivery=QUICK):
        await hears(recorder, talk, *numbers)
    ids = [event["id"] for event in recorder.events()]
    assert len(ids) == len(set(ids)) == 11


async def test_nobody_delivers_without_the_lease(quick: Service, recorder: RecordingAssistantService) -> None:
    talk = await begin(quick, recorder)
    new = {"assistant_service_id": recorder.service_id, "name": "Leased"}
    leased = (await talk.ann.post("/assistants", json=new)).json()["id"]
    async with open_store(quick.database_url) as store:
        leases, name = SqlLeases(store.database), lease_name(UUID(leased))
        assert await leases.acquire([name], "another replica", 60) == {name}
        held = await begin(quick, recorder, leased)
        await held.say("one")
        await talk.say("free")
        await hears(recorder, talk, "free")
        assert recorder.events(leased) == []
        await leases.release([name], "another replica")
    await held.say("two")
    await hears(recorder, held, "one", "two")


@asynccontextmanager
async def replicas(url: str, folder: Path) -> AsyncGenerator[tuple[Service, Service]]:
    async with (
        running_service(url, folder, delivery=QUICK) as first,
        running_service(url, folder, delivery=QUICK) as second,
    ):
        yield first, second


async def test_two_replicas_deliver_each_event_once_and_in_order(
    database_url: str, tmp_path: Path, recorder: RecordingAssistantService
) -> None:
    async with replicas(database_url, tmp_path / "data") as (first, second):
        talk = await begin(first, recorder)
        other = Talk(second.user("ann"), talk.path, talk.assistant)
        for number in range(10):
            await (talk, other)[number % 2].say(str(number))
        await hears(recorder, talk, *map(str, range(10)))
        ids = [event["id"] for event in recorder.events()]
        assert len(ids) == len(set(ids)) == 11


async def test_another_replica_takes_over_from_one_that_stops(
    database_url: str, tmp_path: Path, recorder: RecordingAssistantService
) -> None:
    async with running_service(database_url, tmp_path / "data", delivery=QUICK) as second:
        async with running_service(database_url, tmp_path / "data", delivery=QUICK) as first:
            talk = await begin(first, recorder)
            await talk.say("first")
            await hears(recorder, talk, "first")
        other = Talk(second.user("ann"), talk.path, talk.assistant)
        await other.say("second")
        await hears(recorder, talk, "first", "second")


async def test_services_are_called_by_the_contract(quick: Service, recorder: RecordingAssistantService) -> None:
    talk = await begin(quick, recorder)
    created, joined = recorder.received(Kind.PUT_ASSISTANT)[0], recorder.received(Kind.PUT_CONVERSATION)[0]
    assert created.form == {"assistant": '{"assistant_name":"Recorder","template_id":"default"}'}
    assert joined.form == {"conversation": f'{{"id":"{talk.conversation}","title":"New Conversation"}}'}
    assert created.headers["content-type"] == "application/x-www-form-urlencoded"
    assert created.headers["x-api-key"] == ""
    cause = "0123456789abcdef0123456789abcdef"
    await talk.ann.post(f"{talk.path}/messages", json={"content": "x"}, headers={"X-Request-ID": cause})
    await eventually(lambda: "x" in told(recorder, talk))
    last = recorder.received(Kind.EVENT)[-1]
    assert (last.headers["x-request-id"], last.json["correlation_id"]) == (cause, cause)


async def test_events_for_a_service_that_is_left_alone_are_held_and_count_no_attempt(
    database_url: str, tmp_path: Path, recorder: RecordingAssistantService
) -> None:
    breaker = {"breaker_failures": 2, "breaker_first_seconds": 60, "breaker_max_seconds": 60}
    async with running_service(database_url, tmp_path / "data", delivery={**QUICK, **breaker}) as service:
        talk = await begin(service, recorder)
        other = await begin(service, recorder, talk.assistant)
        await recorder.wait_for(2)
        recorder.answer(Kind.EVENT, then=status(500))
        await talk.say("one")
        await recorder.wait_for(4)
        await other.say("two")
        async with asyncio.timeout(8):
            while not (held := await status_of(other))["last_error"]:  # noqa: ASYNC110 - what another process says
                await asyncio.sleep(0.02)
        assert held["attempts"] == 0
        assert held["last_error"] == (
            f"Assistant service {recorder.service_id} has failed repeatedly and is not called until a probe passes"
        )
        assert await circuit_of(talk) == "open"
        assert len(recorder.events()) == 4
        recorder.behave()
        async with asyncio.timeout(30):
            # Whoever finds the probe of the other under way waits anew, until the next sign of life.
            while (told(recorder, talk), told(recorder, other)) != (["one"], ["two"]):
                (await recorder.announce(service.url)).raise_for_status()
                await asyncio.sleep(0.02)
        assert await letters(service) == []


async def test_a_service_that_came_back_in_silence_is_found_by_the_probe(
    database_url: str, tmp_path: Path, recorder: RecordingAssistantService
) -> None:
    breaker = {"breaker_failures": 1, "breaker_first_seconds": 0.2, "breaker_max_seconds": 0.4}
    async with running_service(database_url, tmp_path / "data", delivery={**QUICK, **breaker}) as service:
        talk = await begin(service, recorder)
        other = await begin(service, recorder, talk.assistant)
        await recorder.wait_for(2)
        recorder.answer(Kind.EVENT, drop(), status(500), status(503), drop())
        await talk.say("one", "two")
        await other.say("three")
        await hears(recorder, talk, "one", "two")
        await hears(recorder, other, "three")
        assert await letters(service) == []


async def test_a_service_that_hangs_is_left_alone(
    database_url: str, tmp_path: Path, recorder: RecordingAssistantService
) -> None:
    breaker = {"breaker_failures": 2, "timeout_seconds": 0.1}
    async with running_service(database_url, tmp_path / "data", delivery={**QUICK, **breaker}) as service:
        talk = await begin(service, recorder)
        await recorder.wait_for(1)
        recorder.answer(Kind.EVENT, then=hang())
        await talk.say("one")
        async with asyncio.timeout(8):
            while await circuit_of(talk) == "closed":  # noqa: ASYNC110 - what another process says
                await asyncio.sleep(0.02)
        recorder.behave()
        await hears(recorder, talk, "one")
        async with asyncio.timeout(8):
            while await circuit_of(talk) != "closed":  # noqa: ASYNC110 - what another process says
                await asyncio.sleep(0.02)
