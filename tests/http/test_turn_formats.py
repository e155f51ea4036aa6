"""Streams of turns in the words of other protocols, over real HTTP."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from tests.http.test_turns import Scene, said, set_up
from tests.support.databases import open_store
from tests.support.service import Service
from tests.support.turn_words import words_of

from workbench.adapters.clock import SystemClock
from workbench.adapters.sql.turn_tables import turns


@pytest.fixture
async def scene(service: Service) -> AsyncGenerator[Scene]:
    async with set_up(service) as made:
        yield made


async def whole(scene: Scene, form: str, path: str = "turns/t1/stream", **headers: str) -> list[Any]:
    """Everything on a stream up to its end."""
    answer = await scene.ann.get(f"{scene.path}/{path}", params={"format": form}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(b"retry: 2000\n\n")
    return words_of(answer.content)


class Words:
    """The words of a stream, one by one."""

    def __init__(self, lines: Any) -> None:
        self._lines = lines

    async def until(self, kind: str) -> list[Any]:
        """Up to the first of a kind."""
        found: list[Any] = []
        async for line in self._lines:
            found += words_of(line.encode())
            if found and (found[-1] == kind or found[-1]["type"] == kind):
                return found
        return found


@asynccontextmanager
async def streaming(scene: Scene, form: str) -> AsyncGenerator[Words]:
    params = {"format": form}
    async with scene.ann.stream("GET", f"{scene.path}/turns/t1/stream", params=params) as response:
        yield Words(response.aiter_lines())


async def lose(scene: Scene) -> None:
    """Have the lease of the turn be over, before anyone has seen that."""
    now = datetime.now(UTC)
    async with open_store(scene.service.database_url, SystemClock()) as store:
        mine = turns.c.conversation_id == UUID(scene.path.rpartition("/")[2])
        past = update(turns).where(mine).values(lease_expires_at=now - timedelta(seconds=1))
        await store.database.transact(lambda connection: connection.execute(past))


CALL = {"type": "tool.args", "toolCallId": "c", "toolName": "list", "args": {}}
RESULT = {"type": "tool.result", "toolCallId": "c", "result": {"files": 2}}


async def test_a_turn_is_watched_by_a_client_of_the_ai_sdk(scene: Scene) -> None:
    body = {"turn_id": "t1", "assistant_id": scene.assistant, "input": {"content": "hello"}}
    params, headers = {"format": "ai-sdk"}, {"Accept": "text/event-stream"}
    url = f"{scene.path}/turns"
    async with scene.ann.stream("POST", url, params=params, headers=headers, json=body) as response:
        assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
        assert response.headers["content-type"].startswith("text/event-stream")
        words = Words(response.aiter_lines())
        begun = await words.until("start-step")
        turn = await scene.turn()
        assert begun[0] == {"type": "start", "messageId": turn["output_message_id"]}
        await scene.lease()
        await scene.add(1, CALL, RESULT, said("Two "))
        live = await words.until("text-delta")
        assert live[-1]["delta"] == "Two "
        # One who comes in the middle, from wherever, is told everything.
        async with streaming(scene, "ai-sdk") as late:
            assert await late.until("text-delta") == [*begun, *live]
            await scene.add(2, said("files."))
            await scene.finalize()
            assert await late.until("[DONE]") == (rest := await words.until("[DONE]"))
    assert [word if word == "[DONE]" else word["type"] for word in rest] == [
        *("text-delta", "text-end", "finish-step", "finish", "[DONE]")
    ]
    assert await whole(scene, "ai-sdk", **{"Last-Event-ID": "3"}) == [*begun, *live, *rest]
    last = {"Last-Event-ID": str((await scene.turn())["last_seq"])}
    over = await scene.ann.get(f"{scene.path}/turns/t1/stream", params={"format": "ai-sdk"}, headers=last)
    assert over.status_code == 204


async def test_a_turn_is_watched_by_a_client_of_ag_ui_and_goes_on_where_it_was(scene: Scene) -> None:
    await scene.open()
    await scene.lease()
    async with streaming(scene, "ag-ui") as words:
        begun = await words.until("CUSTOM")
        conversation = scene.path.rpartition("/")[2]
        assert begun[0] == {"type": "RUN_STARTED", "threadId": conversation, "runId": "t1"}
        await scene.add(1, CALL, RESULT, said("Two "), said("files"))
        live = await words.until("TEXT_MESSAGE_CONTENT")
        await scene.add(2, said("."))
        await scene.finalize()
        rest = await words.until("RUN_FINISHED")
    assert [word["type"] for word in live[:4]] == [
        *("TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "TOOL_CALL_RESULT")
    ]
    assert rest[-1]["outcome"] == {"type": "success"}
    assert await whole(scene, "ag-ui") == [*begun, *live, *rest]
    # Behind "Two ", the fifth event of the log: the block is open.
    again = await whole(scene, "ag-ui", **{"Last-Event-ID": "5"})
    assert again == [*begun, live[4], *rest]


async def test_a_long_turn_is_told_piece_by_piece_all_the_same(scene: Scene) -> None:
    await scene.open()
    await scene.lease()
    await scene.add(1, *(said(".", f"block {number}") for number in range(250)))
    await scene.finalize()
    for form, kind in (("ai-sdk", "text-delta"), ("ag-ui", "TEXT_MESSAGE_CONTENT")):
        words = await whole(scene, form)
        assert [word["type"] for word in words if word != "[DONE]"].count(kind) == 250
    # More than a page of the log is passed over in silence.
    words = await whole(scene, "ag-ui", **{"Last-Event-ID": "240"})
    assert [word["type"] for word in words].count("TEXT_MESSAGE_CONTENT") == 12
    assert words[-1]["type"] == "RUN_FINISHED"


async def test_an_answer_begun_anew_ends_a_stream_of_the_ai_sdk_which_comes_again(scene: Scene) -> None:
    await scene.open()
    await scene.lease(ttl_s=10)
    await scene.add(1, said("old"))
    async with streaming(scene, "ai-sdk") as words:
        await words.until("text-delta")
        await lose(scene)
        await scene.lease(producer="q")
        assert await words.until("[DONE]") == []
    await scene.add(1, said("new"), epoch=2)
    await scene.finalize(epoch=2)
    deltas = [word["delta"] for word in await whole(scene, "ai-sdk") if word != "[DONE]" and "delta" in word]
    assert deltas == ["new"]
    words = await whole(scene, "ag-ui")
    assert words[0]["runId"] == "t1:2"
    assert [word["delta"] for word in words if "delta" in word] == ["new"]


async def test_the_turn_under_way_is_told_in_other_words(scene: Scene) -> None:
    await scene.open()
    await scene.ann.post(f"{scene.path}/turns/t1/cancel", json={})
    assert (await whole(scene, "ai-sdk"))[-2:] == [{"type": "abort"}, "[DONE]"]
    params = {"format": "ai-sdk"}
    assert (await scene.ann.get(f"{scene.path}/active-turn/stream", params=params)).status_code == 204
    await scene.open("t2")
    async with scene.ann.stream("GET", f"{scene.path}/active-turn/stream", params=params) as response:
        words = Words(response.aiter_lines())
        assert (await words.until("data-turn"))[-1]["data"]["turn_id"] == "t2"


async def test_other_vocabularies_are_not_spoken(scene: Scene) -> None:
    await scene.open("t0")
    body = {"turn_id": "t1", "assistant_id": scene.assistant, "input": {"content": "hello"}}
    for method, path in (("POST", "turns"), ("GET", "turns/t0/stream"), ("GET", "active-turn/stream")):
        json = body if method == "POST" else None
        refused = await scene.ann.request(method, f"{scene.path}/{path}", params={"format": "morse"}, json=json)
        assert (refused.status_code, refused.json()["code"]) == (406, "not_acceptable")
        assert refused.json()["formats"] == ["native", "ai-sdk", "ag-ui"]
    assert (await scene.ann.get(f"{scene.path}/turns/t1")).status_code == 404
