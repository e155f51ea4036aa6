"""Turns in the words of other protocols, held against what those publish."""

import asyncio

from tests.http.test_turns import set_up
from tests.support.published import answer_of, held_against_the_published
from tests.support.service import Service
from tests.support.turn_words import (
    ARGS,
    BEGUN,
    DATA,
    MESSAGE,
    PARTS,
    PICTURE,
    RESET,
    RESULT,
    RUN,
    STARTED,
    USED,
    ended,
    pieces,
    recorded,
    said,
    thought,
    told_in,
    whole,
)

DONE = ended("finalized", "stop")
TOOL_HEAVY = (
    *(STARTED, thought("Where "), thought("are they?"), said("I look. "), BEGUN, *pieces('{"path": ', '"/"}'), ARGS),
    *(RESULT, ("tool.args", {"toolCallId": "d", "toolName": "read", "args": {}})),
    ("tool.error", {"toolCallId": "d", "message": "locked"}),
    *(("part", {"part": DATA}), ("part", {"part": PICTURE}), said("One ", "u"), said("file.", "u")),
    ("usage.call", {"call_id": "m1", "model": "m", "prompt_tokens": 1, "completion_tokens": 2}),
)
CANCELLED = ended("aborted", "cancelled", {"type": "status", "text": "(cancelled)", "code": "cancelled"}, usage=USED)
LOST = {"code": "producer_lost", "message": "The producer was lost", "retryable": True}
TURNS = {
    "tool-heavy": recorded(*TOOL_HEAVY, ended("finalized", "stop", usage=USED)),
    "aborted": recorded(*TOOL_HEAVY, ("turn.cancel_requested", {"by": "ann"}), BEGUN, *pieces("{"), CANCELLED),
    "failed": recorded(*TOOL_HEAVY, thought("and then"), ended("failed", "producer_lost", error=LOST)),
    "awaiting": recorded(said("Which one?"), ended("finalized", "awaiting_input")),
    "not streamed": recorded(ended("finalized", "stop", *PARTS)),
    "snapshot": whole(said("more"), CANCELLED),
    "begun anew": recorded(*TOOL_HEAVY, RESET, said("new"), DONE),
}


def test_all_of_it_is_what_the_protocols_publish_and_their_clients_understand() -> None:
    """W19"""
    sdk = {name: told_in("ai-sdk", events) for name, events in TURNS.items() if name != "begun anew"}
    agui = {name: told_in("ag-ui", events) for name, events in TURNS.items()}
    heavy = TURNS["tool-heavy"]
    agui |= {f"resumed at {place}": told_in("ag-ui", heavy, after=place) for place in range(1, len(heavy))}
    wrong_sdk = {
        "wrong": [{"type": "start", "seq": 1}],
        "out of order": [{"type": "text-delta", "id": "1", "delta": ""}],
    }
    wrong_agui = {
        "wrong": [{"type": "RUN_STARTED", **RUN, "seq": 1}],
        "out of order": [{"type": "RUN_FINISHED", **RUN}],
    }
    assert all(words.pop() == "[DONE]" for words in sdk.values())
    found = held_against_the_published({"ai-sdk": sdk | wrong_sdk, "ag-ui": agui | wrong_agui})
    for protocol in found.values():
        assert protocol.pop("wrong")["problems"]
        assert protocol.pop("out of order")["problems"]
        assert {name: read["problems"] for name, read in protocol.items()} == {name: [] for name in protocol}
    [message] = found["ai-sdk"]["tool-heavy"]["messages"]
    assert message["id"] == MESSAGE
    assert message["metadata"] == {"usage": USED}
    assert "".join(part["text"] for part in message["parts"] if part["type"] == "text") == "I look. One file."
    tools = [part for part in message["parts"] if part["type"] == "dynamic-tool"]
    assert [(tool["toolName"], tool["input"], tool["state"]) for tool in tools] == [
        ("list", {"path": "/"}, "output-available"),
        ("read", {}, "output-error"),
    ]
    roles = [said["role"] for said in found["ag-ui"]["tool-heavy"]["messages"]]
    assert roles == ["reasoning", "assistant", "assistant", "tool", "assistant", "tool", "assistant"]


async def test_a_chat_of_the_ai_sdk_that_is_set_up_as_documented_asks_and_comes_again(sqlite_service: Service) -> None:
    async with set_up(sqlite_service) as scene:
        asked = {
            "workbench": str(scene.ann.base_url).rstrip("/"),
            "conversation": scene.path.rpartition("/")[2],
            "assistant": scene.assistant,
            "headers": {"Authorization": scene.ann.headers["Authorization"]},
        }
        chat = asyncio.create_task(asyncio.to_thread(answer_of, "chat.mjs", asked))
        while (await scene.ann.get(f"{scene.path}/turns/q1")).status_code == 404:
            assert not chat.done(), chat.result()
            await asyncio.sleep(0.01)
        await scene.lease("q1")
        await scene.add(1, {"type": "text.delta", "id": "t", "delta": "Two files."}, turn_id="q1")
        settled = await scene.finalize("q1")
        seen = await chat
    assert seen["again"] is None
    assert seen["message"]["id"] == settled["turn"]["output_message_id"]
    assert [part for part in seen["message"]["parts"] if part["type"] == "text"] == [
        {"type": "text", "text": "Two files.", "state": "done"}
    ]
