"""The event reader: against a real workbench, and against a server whose connections break as they are told."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from tests.support.servers import Receive, Scope, Send, send_json, serve
from tests.support.service import Service, running_service
from tests.support.workbench_stand_in import message_json

from workbench.sdk import CallError, StreamEvent, StreamGap, WorkbenchClient
from workbench.sdk.streams import Frames

HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}


def frame(position: int, content: str) -> bytes:
    body = {"timestamp": "2026-01-02T03:04:05.678901Z", "data": {"message": message_json(content)}}
    return b"id: %d\r\nevent: message.created\r\ndata: %s\r\nretry: 1\r\n\r\n" % (position, msgspec.json.encode(body))


class BreakingServer:
    """Answers each connection with the next of what it is given: bytes and then a break, or a status."""

    def __init__(self, *answers: bytes | int) -> None:
        self.answers = list(answers)
        self.asked_behind: list[str | None] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked_behind.append(headers.get("last-event-id"))
        answer = self.answers.pop(0)
        if isinstance(answer, int):
            await send_json(send, answer, {"detail": "so it is"})
            return
        await send(HEAD)
        await send({"type": "http.response.body", "body": answer, "more_body": True})
        raise ConnectionAbortedError  # the server closes the connection in the middle of the answer

    @asynccontextmanager
    async def read(self, behind: str | None = None) -> AsyncGenerator[AsyncGenerator[StreamEvent | StreamGap]]:
        async with (
            serve(self) as url,
            WorkbenchClient.for_user(url, "token") as client,
            aclosing(client.events(uuid4(), behind)) as events,
        ):
            yield events


def content_of(event: StreamEvent | StreamGap) -> str:
    assert isinstance(event, StreamEvent)
    assert event.data.message is not None
    return event.data.message.content


async def test_what_breaks_off_is_resumed_behind_the_last_event() -> None:
    server = BreakingServer(frame(7, "one") + frame(8, "two")[:-20], b": ping\r\n", frame(8, "two"))
    async with server.read() as events:
        first = await anext(events)
        assert (first.id, content_of(first)) == ("7", "one")
        assert content_of(await anext(events)) == "two"
    assert server.asked_behind == [None, "7", "7"]


async def test_begins_behind_the_event_that_is_named() -> None:
    server = BreakingServer(frame(5, "five"))
    async with server.read("4") as events:
        await anext(events)
    assert server.asked_behind == ["4"]


async def test_a_server_that_is_busy_is_asked_again() -> None:
    server = BreakingServer(frame(1, "one"), 503, 429, frame(2, "two"))
    async with server.read() as events:
        assert [content_of(await anext(events)) for _ in range(2)] == ["one", "two"]
    assert server.asked_behind == [None, "1", "1", "1"]


@pytest.mark.parametrize("status", [401, 404])
async def test_a_refusal_ends_it(status: int) -> None:
    server = BreakingServer(frame(1, "one"), status)
    async with server.read() as events:
        await anext(events)
        with pytest.raises(CallError) as caught:
            await anext(events)
    assert (caught.value.status, caught.value.detail) == (status, "so it is")


async def test_a_gap_is_told_and_the_stream_goes_on_behind_it() -> None:
    gap = b'id: 41\r\nevent: stream.gap\r\ndata: {"after":3,"first_available":42}\r\nretry: 1\r\n\r\n'
    server = BreakingServer(gap, frame(42, "later"))
    async with server.read("3") as events:
        assert await anext(events) == StreamGap(id="41", after=3, first_available=42)
        assert content_of(await anext(events)) == "later"
    assert server.asked_behind == ["3", "41"]


def test_a_stream_may_come_in_any_pieces() -> None:
    stream = b": hello\r\n\r\nid: 1\r\ndata: one\r\ndata:two \r\nother\r\n\r\nid: 2\ndata: gr\xc3\xbc\xc3\x9fe\n\n"
    expected = [{"id": "1", "data": "one\ntwo ", "other": ""}, {"id": "2", "data": "grüße"}]
    for size in range(1, len(stream)):
        frames = Frames()
        pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
        assert [fields for piece in pieces for fields in frames.feed(piece)] == expected


async def test_reads_a_real_workbench_from_the_beginning(sqlite_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path) as service, ann_of(service) as ann:
        conversation = await ann.create_conversation("A talk")
        await ann.conversation(conversation.id).post("hello \u2028 there")
        async with aclosing(ann.events(conversation.id, "0")) as events:
            created, message = await anext(events), await anext(events)
        assert isinstance(created, StreamEvent)
        assert created.data.conversation is not None
        assert (created.event, created.data.conversation.title) == ("conversation.created", "A talk")
        assert content_of(message) == "hello \u2028 there"
        async with aclosing(ann.events(uuid4())) as nothing:
            with pytest.raises(CallError, match="404"):
                await anext(nothing)


def ann_of(service: Service) -> WorkbenchClient:
    return WorkbenchClient.for_user(service.url, service.token())
