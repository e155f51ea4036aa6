"""The SDK on both sides of a real workbench: a service written with it, and a user who steers it with its client."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import pytest
from tests.support.servers import ReservedPort, serve
from tests.support.service import Service, running_service

from workbench.examples.echo_assistant import EchoConfig
from workbench.examples.echo_assistant import service as echo_service
from workbench.sdk import CallError, NewMessage, Settings, StreamEvent, WorkbenchClient, create_app

T = TypeVar("T")


@pytest.fixture
async def service(sqlite_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    async with running_service(sqlite_url, tmp_path) as running:
        yield running


@pytest.fixture
async def ann(service: Service) -> AsyncGenerator[WorkbenchClient]:
    async with WorkbenchClient.for_user(service.url, service.token()) as client:
        yield client


@pytest.fixture
async def echo(service: Service, ann: WorkbenchClient) -> AsyncGenerator[UUID]:
    """An assistant of the example service, which announces itself as its authors' services do."""
    port = ReservedPort()
    async with serve(create_app(echo_service, Settings(workbench_url=service.url, url=port.url)), port=port.number):
        yield await created(ann)
    port.release()


async def created(ann: WorkbenchClient) -> UUID:
    """An assistant, as soon as its service has announced itself."""
    async with asyncio.timeout(10):
        while True:
            try:
                return (await ann.create_assistant(echo_service.service_id, "Echo")).id
            except CallError:
                await asyncio.sleep(0.02)


async def named(ann: WorkbenchClient, conversation_id: UUID, event_type: str) -> StreamEvent:
    """The first event of that type from the beginning of the conversation on."""
    async with aclosing(ann.events(conversation_id, last_event_id="0")) as events:
        async for event in events:
            if isinstance(event, StreamEvent) and event.event == event_type:
                return event
    raise AssertionError("the stream has ended")


async def as_many(listing: Callable[[], Awaitable[list[T]]], count: int) -> list[T]:
    """What is listed, as soon as it is so many."""
    async with asyncio.timeout(10):
        while len(found := await listing()) < count:  # noqa: ASYNC110 - over HTTP there is no event
            await asyncio.sleep(0.02)
    return found


async def test_an_assistant_is_listed_changed_and_deleted(ann: WorkbenchClient, echo: UUID) -> None:
    assistant = ann.assistant(echo)
    talk = ann.conversation((await ann.create_conversation("A talk")).id)
    await talk.add(echo)
    assert await ann.assistants() == await ann.assistants(talk.id) == [await assistant.get()]
    assert (await assistant.change(name="Parrot")).name == "Parrot"
    assert [one.name for one in await talk.participants()] == ["Ann", "Parrot"]
    assert [one.title for one in await assistant.conversations()] == ["A talk"]
    await assistant.delete()
    await assistant.delete()
    assert await ann.assistants() == []
    (left,) = [one for one in await talk.participants(include_inactive=True) if one.id == str(echo)]
    assert (left.active_participant, left.name) == (False, "Parrot")


async def test_what_the_owner_sets_is_what_the_service_keeps(ann: WorkbenchClient, echo: UUID) -> None:
    assistant = ann.assistant(echo)
    before = await assistant.config()
    assert before.json_schema is not None
    assert before.json_schema["properties"].keys() == before.config.keys()
    assert (await assistant.set_config(EchoConfig(greeting="Ahoy!"))).config == {"greeting": "Ahoy!"}
    assert (await assistant.config()).config == {"greeting": "Ahoy!"}
    talk = ann.conversation((await ann.create_conversation()).id)
    await talk.add(echo)
    said = (await named(ann, talk.id, "message.created")).data.message
    assert said is not None
    assert said.content == "Ahoy!"
    with pytest.raises(CallError, match="responded with error") as refused:
        await assistant.set_config({"greeting": 1})
    assert refused.value.status == 400


async def test_a_state_is_read_written_and_told_of(ann: WorkbenchClient, echo: UUID) -> None:
    assistant = ann.assistant(echo)
    talk = ann.conversation((await ann.create_conversation()).id)
    await talk.add(echo)
    (described,) = await assistant.states(talk.id)
    assert (described.id, described.enabled) == ("answered", True)
    assert (await assistant.state(talk.id, "answered")).data == {"messages": 0}
    await talk.post("hello")
    told = await named(ann, talk.id, "assistant.state.updated")
    assert (told.data.assistant_id, told.data.state_id) == (echo, "answered")
    assert (await assistant.state(talk.id, "answered")).data == {"messages": 1}
    assert (await assistant.set_state(talk.id, "answered", {"messages": 7})).data == {"messages": 7}
    with pytest.raises(CallError) as unknown:
        await assistant.state(talk.id, "unknown")
    assert unknown.value.status == 404


async def test_files_are_kept_in_versions(ann: WorkbenchClient) -> None:
    files = ann.conversation((await ann.create_conversation()).id).files
    assert await files.versions("notes/a b.txt") == []
    first = await files.upload("notes/a b.txt", b"one", content_type="text/plain", metadata={"k": 1})
    second = await files.upload("notes/a b.txt", b"two")
    assert (first.current_version, first.metadata, second.current_version) == (1, {"k": 1}, 2)
    await files.describe("notes/a b.txt", {"z": 2})
    assert [(one.version, one.metadata) for one in await files.versions("notes/a b.txt")] == [
        (1, {"k": 1}),
        (2, {"z": 2}),
    ]
    assert await files.read("notes/a b.txt") == b"two"
    assert await files.read("notes/a b.txt", version=1) == b"one"
    assert b"".join([chunk async for chunk in files.stream("notes/a b.txt")]) == b"two"
    assert [one.filename for one in await files.all("notes/")] == ["notes/a b.txt"]
    assert await files.all("other") == []
    await files.delete("notes/a b.txt")
    await files.delete("notes/a b.txt")
    with pytest.raises(CallError, match="404"):
        await files.read("notes/a b.txt")


async def test_the_example_counts_piece_by_piece(ann: WorkbenchClient, echo: UUID) -> None:
    talk = ann.conversation((await ann.create_conversation()).id)
    await talk.add(echo)
    asked = await talk.post(NewMessage(content="/count 3", message_type="command"))
    (begun,) = await as_many(talk.turns.all, 1)
    async with aclosing(talk.turns.watch(begun.turn_id)) as events:
        told = [event async for event in events]
    assert [event.text for event in told if event.text] == ["1", " 2", " 3"]
    assert told[-1].event == "turn.finalized"
    assert (begun.input_message_id, begun.assistant_id) == (asked.id, echo)


async def test_an_assistant_that_just_replies_answers_in_the_turn_that_it_is_asked_in(
    ann: WorkbenchClient, echo: UUID
) -> None:
    talk = ann.conversation((await ann.create_conversation()).id)
    await talk.add(echo)
    await named(ann, talk.id, "message.created")  # the greeting
    for turn_id in ("one", "two"):  # it was not known to make turns, and then it is
        await talk.turns.open(turn_id, echo, "hello")
        async with asyncio.timeout(10), aclosing(talk.turns.watch(turn_id)) as events:
            told = [event async for event in events]
        assert (told[-1].event, told[-1].data["finish_reason"]) == ("turn.finalized", "stop")
        assert "".join(event.text for event in told) == "You said: hello (1 word)"
    said = [message.content for message in await talk.messages() if message.sender.participant_id == str(echo)]
    assert said[1:] == 2 * ["You said: hello (1 word)"]


async def test_an_assistant_that_hears_what_another_is_asked_replies_apart(ann: WorkbenchClient, echo: UUID) -> None:
    other = (await ann.create_assistant(echo_service.service_id, "Other")).id
    talk = ann.conversation((await ann.create_conversation()).id)
    await talk.add(echo)
    await talk.add(other)
    await as_many(talk.messages, 2)  # two greetings
    await talk.turns.open("one", echo, "hello")
    await as_many(talk.messages, 5)  # two greetings, a question, two answers
    (turn,) = await talk.turns.all()
    assert (turn.assistant_id, turn.status) == (echo, "finalized")


async def test_the_example_keeps_a_text_as_a_file(ann: WorkbenchClient, echo: UUID) -> None:
    talk = ann.conversation((await ann.create_conversation()).id)
    await talk.add(echo)
    await talk.post(NewMessage(content="/save plan.txt first this, then that", message_type="command"))
    told = (await named(ann, talk.id, "file.created")).data.file
    assert told is not None
    assert (told.filename, told.participant_id) == ("plan.txt", str(echo))
    assert await talk.files.read("plan.txt") == b"first this, then that"
