"""Turns by the SDK, on both sides of a real workbench: made, watched, cut off and taken up again."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from sqlalchemy import update
from tests.support.databases import open_store
from tests.support.servers import eventually
from tests.support.service import Service, running_service

from workbench.adapters.clock import SystemClock
from workbench.adapters.sql.turn_tables import turns
from workbench.sdk import (
    Answer,
    CallError,
    ConversationClient,
    ModelCall,
    RefusedError,
    TurnCancelledError,
    TurnEvent,
    TurnInput,
    TurnLostError,
    TurnOptions,
    TurnParts,
    UnreachableError,
    WorkbenchClient,
)
from workbench.sdk.calls import Calls

LONG_AGO = datetime(2020, 1, 1, 0, 0, 0, 1, tzinfo=UTC)


class FailingTransport(httpx.AsyncBaseTransport):
    """Real connections that fail as they are told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any]] = []
        self.lost_answers: list[str] = []  # of such requests, each of which arrives
        self.lost_calls = 0  # so many batches do not even arrive
        self.cut_after: list[int] = []  # so many frames of each stream get through
        self._inner = httpx.AsyncHTTPTransport(verify=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = msgspec.json.decode(request.content) if request.method in {"POST", "PUT"} and request.content else None
        name = request.url.path.rpartition("/")[2]
        self.requests.append((name, body))
        if name == "events" and self.lost_calls:
            self.lost_calls -= 1
            raise httpx.ConnectError("refused")
        response = await self._inner.handle_async_request(request)
        if name in self.lost_answers:
            self.lost_answers.remove(name)
            await response.aread()
            raise httpx.ReadError("cut off")
        if name == "stream" and response.status_code == 200:
            limit = self.cut_after.pop(0) if self.cut_after else None
            return httpx.Response(200, headers=response.headers, stream=CutStream(response.stream, limit))
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()

    def bodies(self, name: str) -> list[Any]:
        return [body for asked, body in self.requests if asked == name]


class CutStream(httpx.AsyncByteStream):
    """A stream that breaks in the middle of the frame behind so many; and that need not be left alone for long."""

    def __init__(self, stream: Any, limit: int | None) -> None:
        self._stream = stream
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        told = 0
        async for chunk in self._stream:
            for frame in chunk.replace(b"retry: 2000", b"retry: 1").split(b"\n\n")[:-1]:
                if b"data:" in frame and told == self._limit:
                    yield frame[:-3]
                    raise httpx.ReadError("cut off")
                told += b"data:" in frame
                yield frame + b"\n\n"

    async def aclose(self) -> None:
        await self._stream.aclose()


class Scene:
    """Ann and an assistant in a conversation."""

    def __init__(self, service: Service, ann: WorkbenchClient, robot: WorkbenchClient, ids: tuple[UUID, UUID]) -> None:
        self.service = service
        self.transport = FailingTransport()
        self.http = httpx.AsyncClient(base_url=service.url, transport=self.transport)
        self.assistant_id, conversation_id = ids
        self.ann = ann.conversation(conversation_id)
        self.robot = robot.conversation(conversation_id)

    def failing_robot(self, patience_seconds: float = 5) -> ConversationClient:
        """The assistant, by way of connections that fail."""
        calls = Calls(self.http, self.robot._calls.headers, patience_seconds)
        return WorkbenchClient(calls).conversation(self.robot.id)

    async def ask(self, turn_id: str = "q", text: str = "hello") -> None:
        await self.ann.turns.open(turn_id, self.assistant_id, text)

    async def age(self, *columns: str) -> None:
        """Have these times of all turns be long ago."""
        async with open_store(self.service.database_url, SystemClock()) as store:
            aged = update(turns).values(dict.fromkeys(columns, LONG_AGO))
            await store.database.transact(lambda connection: connection.execute(aged))

    async def watched(self, turn_id: str = "q", last_event_id: str | None = None) -> list[TurnEvent]:
        return await watched(self.ann, turn_id, last_event_id)


async def watched(talk: ConversationClient, turn_id: str = "q", last_event_id: str | None = None) -> list[TurnEvent]:
    async with asyncio.timeout(20), aclosing(talk.turns.watch(turn_id, last_event_id)) as events:
        return [event async for event in events]


@pytest.fixture
async def scene(sqlite_url: str, tmp_path: Path) -> AsyncGenerator[Scene]:
    async with (
        running_service(sqlite_url, tmp_path) as service,
        service.recorder() as recorder,
        WorkbenchClient.for_user(service.url, service.token()) as ann,
        WorkbenchClient.for_service(service.url, recorder.service_id) as robots,
    ):
        assistant = await ann.create_assistant(recorder.service_id, "Robot")
        talk = ann.conversation((await ann.create_conversation()).id)
        await talk.add(assistant.id)
        made = Scene(service, ann, robots.as_assistant(assistant.id), (assistant.id, talk.id))
        async with made.http:
            yield made


async def make(block: AbstractAsyncContextManager[Answer], text: str) -> None:
    """Make an answer of one piece."""
    async with block as answer:
        await answer.text(text)


async def go_on_for_ever(talk: ConversationClient, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
    """Make an answer that has no end; behind its first piece something happens."""
    async with talk.turn("q") as answer:
        await answer.text("x")
        if meanwhile is not None:
            await eventually(lambda: answer._hold._batch == 2)
            await meanwhile()
        while True:
            await answer.text("x")
            await asyncio.sleep(0.01)


async def words(*said: str) -> AsyncGenerator[str]:
    for word in said:
        yield word
        await asyncio.sleep(0)


async def test_an_answer_is_streamed_in_three_lines(scene: Scene) -> None:
    await scene.ask()
    watching = asyncio.create_task(scene.watched())
    async with scene.robot.turn("q") as answer:
        async for word in words("Two", " ", "files", ""):
            await answer.text(word)
    told = await asyncio.wait_for(watching, 10)
    assert [told[0].event, told[1].event, told[-1].event] == ["turn.opened", "turn.started", "turn.finalized"]
    assert "".join(event.text for event in told) == "Two files"
    assert told[-1].data["parts"] == [{"type": "text", "text": "Two files"}]
    chats = await scene.ann.messages()
    assert [message.content for message in chats] == ["hello", "Two files"]
    assert (await scene.ann.turns.get("q")).status == "finalized"
    assert await scene.watched(last_event_id=told[-1].id) == []


async def make_everything(answer: Answer) -> None:
    """Add all that an answer may have."""
    await answer.reasoning("Let me ")
    await answer.reasoning("see.")
    await answer.text("Looking\ud800")
    await answer.part({"type": "data-progress", "id": "p", "data": 1})
    await answer.text(" it up.")
    search = await answer.tool("search", {"query": "files"})
    await search.result([1, 2])
    broken = await answer.tool("open")
    await broken.args_delta('{"na')
    await broken.args({"name": "a"})
    await broken.error("no such file")
    await answer.part({"type": "data-progress", "id": "p", "data": 2})
    await answer.text("Done.")
    await answer.call(ModelCall(model="m", prompt_tokens=100, completion_tokens=50, cost_usd=Decimal("0.01")))


def without_times(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts without what only the workbench adds."""
    return [{name: part[name] for name in part.keys() - {"startedAt", "completedAt", "status", "id"}} for part in parts]


async def test_an_answer_may_have_all_kinds_of_parts_and_is_folded_alike_on_both_sides(scene: Scene) -> None:
    await scene.ask()
    async with scene.robot.turn("q") as answer:
        await make_everything(answer)
    *told, last = await scene.watched()
    parts = last.data["parts"]
    assert without_times(parts) == [
        {"type": "reasoning", "text": "Let me see."},
        {"type": "text", "text": "Looking\ufffd it up."},
        {"type": "data-progress", "data": 2},
        parts[3] | {"toolName": "search", "args": {"query": "files"}, "result": [1, 2]},
        parts[4] | {"toolName": "open", "args": {"name": "a"}, "error": "no such file"},
        {"type": "text", "text": "Done."},
    ]
    folded = TurnParts()
    for event in told:
        folded.take(event)
    assert without_times(folded.parts) == without_times(parts)
    assert folded.text == "Looking\ufffd it up.\n\nDone."
    folded.take(last)
    assert folded.parts == parts


async def test_an_answer_says_how_it_ended_and_what_it_took(scene: Scene) -> None:
    await scene.ask()
    async with scene.robot.turn("q") as answer:
        await make_everything(answer)
        answer.ending.content_type = "text/markdown"
        answer.ending.finish_reason = "length"
        answer.ending.metadata = {"k": 1}
    turn = await scene.robot.turns.get("q")
    assert turn.finish_reason == "length"
    assert turn.usage is not None
    assert (turn.usage["prompt_tokens"], turn.usage["completion_tokens"]) == (100, 50)
    (_, answered) = await scene.ann.messages()
    assert (answered.content_type, answered.metadata["k"]) == ("text/markdown", 1)


async def test_the_first_piece_comes_at_once_and_the_others_together(scene: Scene) -> None:
    await scene.ask()
    talk = scene.failing_robot()
    async with talk.turn("q") as answer:
        await answer.text("0 ")
        await eventually(lambda: len(scene.transport.bodies("events")) == 1)
        for number in range(1, 500):
            await answer.text(f"{number} ")
    batches = scene.transport.bodies("events")
    assert len(batches) <= 4
    assert [batch["batch"] for batch in batches] == list(range(1, len(batches) + 1))
    (_, answered) = await scene.ann.messages()
    assert answered.content == "".join(f"{number} " for number in range(500))


async def test_what_is_larger_than_a_batch_is_sent_in_several(scene: Scene) -> None:
    await scene.ask()
    large = "\x01ä" * 100_000
    async with scene.failing_robot().turn("q") as answer:
        await answer.text(large)
        search = await answer.tool("search", {})
        await search.result("x" * 249 * 1024)
        with pytest.raises(ValueError, match="is the most"):
            await search.result("x" * 256 * 1024)
    (_, answered) = await scene.ann.messages()
    assert answered.content == large
    assert max(len(msgspec.json.encode(body)) for body in scene.transport.bodies("events")) <= 256 * 1024


async def test_a_batch_whose_answer_is_lost_is_sent_again_and_taken_once(scene: Scene) -> None:
    await scene.ask()
    scene.transport.lost_answers, scene.transport.lost_calls = ["lease", "events", "finalize"], 1
    async with scene.failing_robot().turn("q") as answer:
        await answer.text("once")
    batches = [body["batch"] for body in scene.transport.bodies("events")]
    assert batches[:3] == [1, 1, 1]
    assert [event.text for event in await scene.watched() if event.text] == ["once"]


async def test_a_workbench_that_stays_away_ends_it_with_an_error(scene: Scene) -> None:
    await scene.ask()
    scene.transport.lost_calls = 1000
    talk = scene.failing_robot(patience_seconds=0.2)
    with pytest.raises(UnreachableError):
        await go_on_for_ever(talk)
    assert (await scene.ann.turns.get("q")).status == "failed"


async def test_what_the_workbench_refuses_is_told_at_the_end_at_the_latest(scene: Scene) -> None:
    await scene.ask()
    with pytest.raises(CallError) as refused:
        async with scene.robot.turn("q") as answer:
            await answer.part({"type": "nonsense"})
    assert refused.value.status == 422
    assert (await scene.ann.turns.get("q")).status == "failed"


async def test_an_exception_fails_the_turn_and_goes_on_unchanged(scene: Scene) -> None:
    await scene.ask()
    secret = ValueError("the password is secret")

    async def produce() -> None:
        async with scene.robot.turn("q") as answer:
            await answer.text("half")
            raise secret

    with pytest.raises(ValueError, match="password") as raised:
        await produce()
    assert raised.value is secret
    told = await scene.watched()
    assert told[-1].event == "turn.failed"
    assert told[-1].data["parts"][0] == {"type": "text", "text": "half"}
    assert told[-1].data["error"]["code"] == "server_error"
    assert "password" not in "".join(str(event.data) for event in told)


async def test_a_refusal_is_told_in_its_own_words(scene: Scene) -> None:
    await scene.ask()
    with pytest.raises(RefusedError):
        async with scene.robot.turn("q"):
            raise RefusedError("Only on weekdays")
    error = (await scene.ann.turns.get("q")).error
    assert error is not None
    assert error.message == "Only on weekdays"


async def test_whoever_asks_for_the_end_gets_it(scene: Scene) -> None:
    await scene.ask()
    began = asyncio.Event()

    async def produce() -> str:
        async with scene.robot.turn("q") as answer:
            try:
                while True:
                    await answer.text("x")
                    began.set()
                    await asyncio.sleep(0.01)
            finally:
                assert answer.cancelled
                await answer.call(ModelCall(model="m", prompt_tokens=7))
        return "went on behind the block"

    producing = asyncio.create_task(produce())
    await began.wait()
    assert await scene.ann.turns.cancel("q", "changed my mind")
    assert await asyncio.wait_for(producing, 10) == "went on behind the block"
    turn = await scene.ann.turns.get("q")
    assert (turn.status, turn.finish_reason) == ("aborted", "cancelled")
    assert turn.parts is not None
    assert turn.parts[0]["text"].startswith("x")
    assert turn.usage is not None
    assert turn.usage["prompt_tokens"] == 7
    assert not await scene.ann.turns.cancel("q")


async def test_who_says_nothing_keeps_the_turn_and_hears_that_the_end_was_asked_for(scene: Scene) -> None:
    await scene.ask()
    async with scene.robot.turn("q") as answer:
        await scene.age("lease_expires_at")
        await scene.ann.turns.cancel("q")
        answer._sender._quiet_seconds = 0.01
        answer._sender._stirred.set()
        await eventually(lambda: answer.cancelled)
        with pytest.raises(TurnLostError, match="has a producer"):
            await make(scene.robot.turn("q"), "never")
    assert (await scene.ann.turns.get("q")).status == "aborted"


async def test_who_looks_whether_the_end_was_asked_for_may_leave_the_block(scene: Scene) -> None:
    await scene.ask()
    async with scene.robot.turn("q") as answer:
        await answer.text("x")
        await scene.ann.turns.cancel("q")
        while not answer.cancelled:
            try:
                await answer.text("x")
            except TurnCancelledError:
                break
            await asyncio.sleep(0.01)
    assert (await scene.ann.turns.get("q")).status == "aborted"


async def test_a_task_that_is_cancelled_even_twice_ends_its_turn(scene: Scene) -> None:
    await scene.ask()
    began = asyncio.Event()

    async def produce() -> None:
        async with scene.robot.turn("q") as answer:
            await answer.text("half")
            began.set()
            await asyncio.sleep(60)

    producing = asyncio.create_task(produce())
    await began.wait()
    producing.cancel()
    await asyncio.sleep(0)
    producing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await producing
    turn = await scene.ann.turns.get("q")
    assert turn.status == "aborted"
    assert turn.parts is not None
    assert turn.parts[0] == {"type": "text", "text": "half"}


async def test_a_task_that_is_cancelled_at_the_end_has_ended_its_turn_well(scene: Scene) -> None:
    await scene.ask()
    ending = asyncio.Event()

    async def produce() -> None:
        async with scene.robot.turn("q") as answer:
            await answer.text("whole")
            ending.set()

    producing = asyncio.create_task(produce())
    await ending.wait()
    producing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await producing
    assert (await scene.ann.turns.get("q")).status == "finalized"


async def test_who_was_taken_for_lost_is_told_so_and_changes_nothing(scene: Scene) -> None:
    await scene.ask()

    async def another_takes_it() -> None:
        with pytest.raises(TurnLostError) as held:
            await make(scene.robot.turn("q"), "never")
        assert held.value.code == "lease_held"
        await scene.age("lease_expires_at")
        await make(scene.robot.turn("q"), "new")

    with pytest.raises(TurnLostError) as lost:
        await go_on_for_ever(scene.failing_robot(), another_takes_it)
    assert lost.value.code == "stale_epoch"
    assert scene.transport.bodies("finalize") == []
    told = await scene.watched()
    assert [event.event for event in told].count("turn.reset") == 1
    assert told[-1].data["parts"] == [{"type": "text", "text": "new"}]
    with pytest.raises(TurnLostError) as over:
        await make(scene.robot.turn("q"), "never")
    assert over.value.code == "turn_terminal"


async def test_a_producer_may_go_on_with_what_another_made(scene: Scene) -> None:
    await scene.ask()

    async def another_goes_on() -> None:
        await scene.age("lease_expires_at")
        async with scene.robot.turn("q", resume=True) as second:
            assert [part["text"] for part in second.parts] == ["x"]
            await second.text("y")

    with pytest.raises(TurnLostError):
        await go_on_for_ever(scene.robot, another_goes_on)
    assert [part["text"] for part in (await scene.watched())[-1].data["parts"]] == ["x", "y"]


async def test_a_watcher_whose_connection_is_cut_hears_everything_once(scene: Scene) -> None:
    await scene.ask()
    async with scene.robot.turn("q") as answer:
        await answer.text("a")
        await asyncio.sleep(0.12)
        await answer.text("b")
    whole = await scene.watched()
    assert len(whole) == 6
    for told in range(len(whole)):
        scene.transport.cut_after = [told, 0, 1]
        assert await watched(scene.failing_robot()) == whole
        assert len(scene.transport.cut_after) < 2, "the connection was not cut"


async def test_an_end_that_is_lost_behind_a_snapshot_is_told_once_more(scene: Scene) -> None:
    await scene.ask()
    async with scene.robot.turn("q") as answer:
        for number in range(210):
            await answer.part({"type": "data-n", "id": f"{number}", "data": number})
        await answer.text("done")
    scene.transport.cut_after = [1]
    told = await watched(scene.failing_robot())
    assert [event.event for event in told] == ["turn.snapshot", "turn.snapshot", "turn.finalized"]
    folded = TurnParts()
    for event in told:
        folded.take(event)
    assert folded.text == "done"
    assert len(folded.parts) == 211


async def test_a_message_is_answered_in_a_turn_of_its_own(scene: Scene) -> None:
    message = await scene.ann.post("hello")
    async with scene.robot.answer(message) as answer:
        await answer.text("hi")
    turn = await scene.ann.turns.get(f"{message.id}~{scene.assistant_id}")
    assert (turn.status, turn.input_message_id, turn.turn_id) == ("finalized", message.id, answer.turn_id)
    assert [said.content for said in await scene.ann.messages()] == ["hello", "hi"]
    with pytest.raises(TurnLostError, match="finalized"):
        async with scene.robot.answer(message):
            raise AssertionError("it was answered")
    with pytest.raises(ValueError, match="only an assistant"):
        async with scene.ann.answer(message):
            raise AssertionError("people post messages")


async def test_an_answer_is_ours_also_when_we_did_not_hear_so_at_first(scene: Scene) -> None:
    message = await scene.ann.post("hello")
    scene.transport.lost_answers = ["turns"]
    await make(scene.failing_robot().answer(message), "hi")
    assert [name for name, _ in scene.transport.requests] == ["turns", "turns", "lease", "events", "finalize"]
    assert [said.content for said in await scene.ann.messages()] == ["hello", "hi"]


async def test_a_message_that_opens_a_turn_is_answered_in_that_turn(scene: Scene) -> None:
    opened = await scene.ann.turns.open("q", scene.assistant_id, "hello")
    assert opened.turn.input_message_id is not None
    message = await scene.ann.message(opened.turn.input_message_id)
    async with scene.robot.answer(message) as answer:
        await answer.text("hi")
    assert answer.turn_id == "q"
    assert [turn.turn_id for turn in await scene.ann.turns.all()] == ["q"]


async def test_what_another_assistant_is_asked_is_answered_apart(scene: Scene) -> None:
    message = await scene.ann.post("hello")
    forged = msgspec.structs.replace(message, metadata={"turn": {"turn_id": "none", "slot": "input"}})
    async with scene.robot.answer(forged) as answer:
        await answer.text("hi")
    assert answer.turn_id == f"{message.id}~{scene.assistant_id}"


async def test_turns_are_opened_once_listed_and_cancelled(scene: Scene) -> None:
    first = await scene.ann.turns.open("q", scene.assistant_id, "hello")
    again = await scene.ann.turns.open("q", scene.assistant_id, "hello")
    assert (first.replayed, again.replayed, first.turn) == (False, True, again.turn)
    with pytest.raises(CallError) as busy:
        await scene.ann.turns.open("r", scene.assistant_id, "and this?")
    assert (busy.value.status, busy.value.code) == (409, "turn_active")
    with pytest.raises(CallError) as reused:
        await scene.ann.turns.open("q", scene.assistant_id, "something else")
    assert reused.value.code == "turn_id_reused"
    (active,) = await scene.ann.turns.all(only_active=True)
    assert active == first.turn
    asked = TurnInput(message_id=first.turn.input_message_id)
    options = TurnOptions(on_busy="cancel_active")
    other = await scene.ann.turns.open("r", scene.assistant_id, asked, options=options, parent_turn_id="q")
    assert (other.turn.parent_turn_id, other.turn.input_message_id) == ("q", first.turn.input_message_id)
    assert [turn.turn_id for turn in await scene.ann.turns.all(before="r")] == ["q"]
    assert await scene.ann.turns.cancel("r")
    assert [turn.status for turn in await scene.ann.turns.all()] == ["aborted", "aborted"]
    with pytest.raises(CallError) as settled:
        await scene.ann.turns.retry("r")
    assert settled.value.code == "turn_settled"
