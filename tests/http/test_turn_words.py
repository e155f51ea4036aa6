"""Turns in the words of other protocols: what each event of a turn becomes (specification of turns, 11)."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.turn_words import (
    ARGS,
    BEGUN,
    DATA,
    FAILURE,
    MESSAGE,
    NOW,
    PARTS,
    PICTURE,
    RESET,
    RESULT,
    RUN,
    STARTED,
    TURN,
    USED,
    Told,
    ended,
    pieces,
    recorded,
    said,
    thought,
    told_in,
    whole,
    words_of,
)

from workbench.domain.turns.model import TurnEvent, logged
from workbench.entrypoints.http.turn_formats.choice import telling_as

DONE = ended("finalized", "stop")
FILE = "/conversations/00000000-0000-0000-0000-000000000002/files/a%20b.png"


def ai_sdk(*told: Told) -> list[Any]:
    """What the AI SDK is told behind the beginning, and before the end."""
    words = told_in("ai-sdk", recorded(*told, DONE))
    assert [word["type"] for word in words[:3]] == ["start", "data-turn", "start-step"]
    assert words[-3:] == [{"type": "finish-step"}, {"type": "finish", "finishReason": "stop"}, "[DONE]"]
    return words[3:-3]


def ag_ui(*told: Told) -> list[Any]:
    """What AG-UI is told behind the beginning, and before the end."""
    words = told_in("ag-ui", recorded(*told, DONE))
    assert [word["type"] for word in words[:2]] == ["RUN_STARTED", "CUSTOM"]
    assert words[-1] == {"type": "RUN_FINISHED", **RUN, "outcome": {"type": "success"}}
    return words[2:-1]


def test_both_begin_with_the_ids() -> None:
    events = recorded(STARTED)
    ids = {
        "turn_id": "t1",
        "conversation_id": RUN["threadId"],
        "assistant_id": "00000000-0000-0000-0000-000000000003",
        "input_message_id": "00000000-0000-0000-0000-000000000005",
        "output_message_id": MESSAGE,
        "warnings": [],
    }
    assert told_in("ai-sdk", events) == [
        {"type": "start", "messageId": MESSAGE},
        {"type": "data-turn", "data": ids, "transient": True},
        {"type": "start-step"},
    ]
    assert told_in("ag-ui", events) == [
        {"type": "RUN_STARTED", **RUN},
        {"type": "CUSTOM", "name": "turn", "value": ids},
    ]


def test_a_block_has_a_beginning_and_an_end_though_nobody_said_so() -> None:
    told = [said("Two "), said("files"), thought("hm"), said(".", "u")]
    assert ai_sdk(*told) == [
        {"type": "text-start", "id": "2"},
        {"type": "text-delta", "id": "2", "delta": "Two "},
        {"type": "text-delta", "id": "2", "delta": "files"},
        {"type": "text-end", "id": "2"},
        {"type": "reasoning-start", "id": "4"},
        {"type": "reasoning-delta", "id": "4", "delta": "hm"},
        {"type": "reasoning-end", "id": "4"},
        {"type": "text-start", "id": "5"},
        {"type": "text-delta", "id": "5", "delta": "."},
        {"type": "text-end", "id": "5"},
    ]
    assert ag_ui(*told) == [
        {"type": "TEXT_MESSAGE_START", "messageId": f"{MESSAGE}:2", "role": "assistant"},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": f"{MESSAGE}:2", "delta": "Two "},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": f"{MESSAGE}:2", "delta": "files"},
        {"type": "TEXT_MESSAGE_END", "messageId": f"{MESSAGE}:2"},
        {"type": "REASONING_START", "messageId": f"{MESSAGE}:4"},
        {"type": "REASONING_MESSAGE_START", "messageId": f"{MESSAGE}:4", "role": "reasoning"},
        {"type": "REASONING_MESSAGE_CONTENT", "messageId": f"{MESSAGE}:4", "delta": "hm"},
        {"type": "REASONING_MESSAGE_END", "messageId": f"{MESSAGE}:4"},
        {"type": "REASONING_END", "messageId": f"{MESSAGE}:4"},
        {"type": "TEXT_MESSAGE_START", "messageId": f"{MESSAGE}:5", "role": "assistant"},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": f"{MESSAGE}:5", "delta": "."},
        {"type": "TEXT_MESSAGE_END", "messageId": f"{MESSAGE}:5"},
    ]


def test_a_block_in_which_nothing_is_said_is_not_told() -> None:
    told: list[Told] = [
        ("text.start", {"id": "t"}),
        said(""),
        ("text.end", {"id": "t"}),
        ("reasoning.end", {"id": "r"}),
    ]
    assert ai_sdk(*told) == []
    assert ag_ui(*told) == []


def test_what_is_said_behind_an_end_is_a_block_of_its_own() -> None:
    told: list[Told] = [("text.start", {"id": "t"}), said("a"), ("text.end", {"id": "t"}), said("b")]
    assert [word["id"] for word in ai_sdk(*told)] == ["2", "2", "2", "5", "5", "5"]


def test_a_call_of_a_tool_is_told_as_it_grows() -> None:
    told = [said("a"), BEGUN, BEGUN, *pieces('{"path":', "", ' "/"}'), ARGS, *pieces("late"), ARGS, RESULT]
    assert ai_sdk(*told)[3:] == [
        {"type": "tool-input-start", "toolCallId": "c", "toolName": "list", "dynamic": True},
        {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": '{"path":'},
        {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": ' "/"}'},
        {
            "type": "tool-input-available",
            "toolCallId": "c",
            "toolName": "list",
            "input": {"path": "/"},
            "dynamic": True,
        },
        {"type": "tool-output-available", "toolCallId": "c", "output": ["a"], "dynamic": True},
    ]
    assert ag_ui(*told)[3:] == [
        {
            "type": "TOOL_CALL_START",
            "toolCallId": "c",
            "toolCallName": "list",
            "parentMessageId": f"{MESSAGE}:3",
        },
        {"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": '{"path":'},
        {"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": ' "/"}'},
        {"type": "TOOL_CALL_END", "toolCallId": "c"},
        {
            "type": "TOOL_CALL_RESULT",
            "messageId": f"{MESSAGE}:3:result",
            "toolCallId": "c",
            "content": '["a"]',
            "role": "tool",
        },
    ]


def test_arguments_that_come_as_a_whole_begin_the_call() -> None:
    assert [word["type"] for word in ai_sdk(ARGS, FAILURE)] == [
        *("tool-input-start", "tool-input-available", "tool-output-error")
    ]
    assert ai_sdk(ARGS, FAILURE)[-1]["errorText"] == "no such path"
    told = ag_ui(ARGS, FAILURE)
    assert told[1]["delta"] == '{"path":"/"}'
    assert told[-1]["content"] == '{"error":"no such path"}'
    assert [word["type"] for word in told] == [
        *("TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "TOOL_CALL_RESULT")
    ]


def test_a_result_without_arguments_still_has_a_call_before_it() -> None:
    assert ai_sdk(BEGUN, RESULT)[1]["input"] == {}
    assert ag_ui(BEGUN, RESULT)[1:3] == [
        {"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": "{}"},
        {"type": "TOOL_CALL_END", "toolCallId": "c"},
    ]
    assert [word["type"] for word in ai_sdk(BEGUN, *pieces("{"), RESULT)] == [
        *("tool-input-start", "tool-input-delta", "tool-output-available")
    ]


def test_what_belongs_to_no_call_that_is_known_is_left_out() -> None:
    told = [*pieces("{}", call="x"), ("tool.result", {"toolCallId": "x", "result": 1})]
    assert ai_sdk(*told) == []
    assert ag_ui(*told) == []


def test_parts_that_come_as_a_whole() -> None:
    inline = {"type": "image", "image": "data:image/webp;base64,AA=="}
    named = {**PICTURE, "mediaType": "image/gif"}
    state = {"type": "status", "text": "busy"}
    told: list[Told] = [("part", {"part": part}) for part in (PICTURE, inline, named, DATA, state)]
    assert ai_sdk(*told) == [
        {"type": "file", "url": FILE, "mediaType": "image/png"},
        {"type": "file", "url": inline["image"], "mediaType": "image/webp"},
        {"type": "file", "url": FILE, "mediaType": "image/gif"},
        {"type": "data-plan", "id": "p", "data": {"step": 1}},
        {"type": "data-status", "data": {"text": "busy"}},
    ]
    assert [(word["name"], word["value"]) for word in ag_ui(*told)] == [
        ("image", {"url": FILE, "mediaType": "image/png"}),
        ("image", {"url": inline["image"], "mediaType": "image/webp"}),
        ("image", {"url": FILE, "mediaType": "image/gif"}),
        ("data-plan", {"id": "p", "data": {"step": 1}, "kept": "as sent"}),
        ("status", {"text": "busy"}),
    ]


def test_what_it_took_is_told_before_the_end() -> None:
    events = recorded(said("a"), ended("finalized", "stop", usage=USED))
    assert told_in("ai-sdk", events)[-4] == {"type": "message-metadata", "messageMetadata": {"usage": USED}}
    assert told_in("ag-ui", events)[-2] == {"type": "CUSTOM", "name": "usage", "value": USED}


@pytest.mark.parametrize(
    ("reason", "sdk", "outcome"),
    [
        ("stop", "stop", {"type": "success"}),
        ("legacy", "stop", {"type": "success"}),
        ("length", "length", {"type": "success"}),
        ("content_filter", "content-filter", {"type": "success"}),
        ("tool_calls", "tool-calls", {"type": "success"}),
        (
            "awaiting_input",
            "other",
            {"type": "interrupt", "interrupts": [{"id": "t1", "reason": "awaiting_input"}]},
        ),
    ],
)
def test_why_it_ended(reason: str, sdk: str, outcome: Any) -> None:
    events = recorded(said("a"), ended("finalized", reason))
    assert told_in("ai-sdk", events)[-2:] == [{"type": "finish", "finishReason": sdk}, "[DONE]"]
    assert told_in("ag-ui", events)[-1] == {"type": "RUN_FINISHED", **RUN, "outcome": outcome}


def test_an_end_that_was_asked_for() -> None:
    marker = {"type": "status", "text": "(cancelled)", "code": "cancelled"}
    events = recorded(said("a"), BEGUN, *pieces("{"), ended("aborted", "cancelled", marker))
    assert told_in("ai-sdk", events)[-3:] == [
        {"type": "data-status", "data": {"text": "(cancelled)", "code": "cancelled"}},
        {"type": "abort"},
        "[DONE]",
    ]
    assert told_in("ag-ui", events)[-3:] == [
        {"type": "CUSTOM", "name": "status", "value": {"text": "(cancelled)", "code": "cancelled"}},
        {"type": "TOOL_CALL_END", "toolCallId": "c"},
        {"type": "RUN_FINISHED", **RUN, "outcome": {"type": "cancelled"}},
    ]


def test_a_failure() -> None:
    error = {"code": "rate_limited", "message": "Too much is asked", "retryable": False}
    events = recorded(said("a"), ended("failed", "error", error=error))
    assert told_in("ai-sdk", events)[-4:] == [
        {"type": "text-end", "id": "2"},
        {"type": "error", "errorText": "Too much is asked"},
        {"type": "finish", "finishReason": "error"},
        "[DONE]",
    ]
    assert told_in("ag-ui", events)[-1] == {"type": "RUN_ERROR", "message": "Too much is asked", "code": "rate_limited"}
    assert told_in("ag-ui", recorded(ended("failed", "error")))[-1]["message"] == "error"


EXPANDED = [
    *("reasoning-start", "reasoning-delta", "reasoning-end"),
    *("tool-input-start", "tool-input-available", "tool-output-available"),
    *("tool-input-start", "tool-input-available", "tool-output-error"),
    *("tool-input-start", "tool-input-delta"),
    "data-plan",
    *("text-start", "text-delta", "text-end"),
]


def test_an_answer_that_nobody_streamed_is_told_at_its_end() -> None:
    words = told_in("ai-sdk", recorded(ended("finalized", "stop", *PARTS)))
    assert [word["type"] for word in words[3:-3]] == EXPANDED


def test_kinds_of_parts_that_were_streamed_are_not_told_once_more() -> None:
    words = told_in("ai-sdk", recorded(thought("hm"), ("part", {"part": DATA}), ended("finalized", "stop", *PARTS)))
    assert [word["type"] for word in words if word != "[DONE]"].count("reasoning-start") == 1
    assert [word.get("delta") for word in words[3:] if "delta" in word] == ["hm", "One file."]
    assert [word["type"] for word in words if word != "[DONE]"].count("data-plan") == 1


def test_a_snapshot_is_told_as_if_it_were_made_now() -> None:
    later: Told = ("tool.result", {"toolCallId": "e", "result": 1})
    words = told_in("ai-sdk", whole(later, ended("finalized", "stop", *PARTS)))
    assert [word["type"] for word in words[:-1]] == [
        *("start", "data-turn", "start-step"),
        *EXPANDED,
        *("tool-output-available", "finish-step", "finish"),
    ]


def test_one_who_comes_back_to_the_middle_of_a_block_hears_its_beginning_once_more() -> None:
    events = recorded(said("a"), BEGUN, *pieces("{"), said("b", "u"), said("c", "u"), *pieces("}"), DONE)
    full = told_in("ag-ui", events)
    for place in range(1, len(events)):
        words = told_in("ag-ui", events, after=place)
        assert words[0] == full[0]
        assert [word["delta"] for word in words if "delta" in word] == deltas_of(events[place:])
    middle = told_in("ag-ui", events, after=5)[2:]
    assert middle[:3] == [
        {"type": "TEXT_MESSAGE_START", "messageId": f"{MESSAGE}:5", "role": "assistant"},
        {"type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": "list", "parentMessageId": f"{MESSAGE}:3"},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": f"{MESSAGE}:5", "delta": "c"},
    ]


def deltas_of(events: list[TurnEvent]) -> list[str]:
    return [words_of(b"data: " + event.data.encode())[0]["delta"] for event in events if "delta" in event.data]


def test_a_place_that_cannot_be_is_the_beginning() -> None:
    events = recorded(said("a"), DONE)
    assert told_in("ag-ui", events, after=99) == told_in("ag-ui", events)


def test_an_answer_that_is_begun_anew_is_told_anew() -> None:
    later = TURN.claimed("p", timedelta(seconds=60), NOW).claimed("q", timedelta(seconds=60), NOW)
    before, after = recorded(said("old")), logged(later, [RESET, said("new"), DONE], NOW)[1]
    sdk = telling_as("ai-sdk", TURN, None)
    assert sdk.frames(before[0])
    assert sdk.frames(before[1])
    assert not sdk.is_over
    assert sdk.frames(after[0]) == b""
    assert sdk.is_over
    words = told_in("ag-ui", [*before, *after])
    assert [word["type"] for word in words[4:7]] == ["RUN_ERROR", "RUN_STARTED", "CUSTOM"]
    assert (words[4]["code"], words[5]["runId"]) == ("turn_reset", "t1:2")
    # Who comes then begins at the reset, and nothing was told that would have to be taken back.
    anew = told_in("ai-sdk", after)
    assert [word["delta"] for word in anew if "delta" in word] == ["new"]
    assert told_in("ag-ui", after)[0] == {"type": "RUN_STARTED", **RUN, "runId": "t1:2"}


def test_a_snapshot_to_a_slow_watcher_replaces_what_was_told() -> None:
    snapshot: Told = ("turn.snapshot", {"parts": [{"type": "text", "text": "old and new"}], "open": None})
    events = recorded(said("old"), snapshot, said(", newer", "u"), DONE)
    sdk = telling_as("ai-sdk", TURN, None)
    frames = [sdk.frames(event) for event in events[:3]]
    assert [bool(each) for each in frames] == [True, True, False]
    assert sdk.is_over  # what was told cannot be taken back: the client comes again
    words = told_in("ag-ui", events)
    assert [word["type"] for word in words[4:7]] == ["RUN_ERROR", "RUN_STARTED", "CUSTOM"]
    assert [word["delta"] for word in words[5:] if "delta" in word] == ["old and new", ", newer"]


def test_the_last_frame_of_an_event_has_its_place() -> None:
    frames = telling_as("ai-sdk", TURN, None).frames(recorded()[0]).decode().split("\n\n")[:-1]
    assert [frame.startswith("id: 1\n") for frame in frames] == [False, False, True]
