"""What producers send: events, and the parts that they give at the end (3.1, 4.2, 8)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.domain.errors import UnprocessableError
from workbench.domain.parts.checking import kept_parts
from workbench.domain.parts.events import ProducerEvent, producer_events
from workbench.domain.parts.folding import Folding
from workbench.domain.parts.model import MAX_WARNINGS, Warned, text_part

CALL = {"type": "tool-call", "toolCallId": "c", "toolName": "ls", "args": {"p": 1}, "argsText": '{"p":1}'}
EVENTS: list[dict[str, Any]] = [
    *({"type": f"{block}.{edge}", "id": "b"} for block in ("text", "reasoning") for edge in ("start", "end")),
    *({"type": f"{block}.delta", "id": "b", "delta": "d"} for block in ("text", "reasoning")),
    {"type": "tool.start", "toolCallId": "c", "toolName": "ls", "metadata": {"a": 1}, "langchainToolCallId": None},
    {"type": "tool.args.delta", "toolCallId": "c", "delta": "{"},
    {"type": "tool.args", "toolCallId": "c", "toolName": "ls", "args": {}},
    {"type": "tool.result", "toolCallId": "c", "result": None},
    {"type": "tool.error", "toolCallId": "c", "message": "no"},
    {"type": "part", "part": {"type": "data-x", "data": 1, "more": 2}},
    {"type": "part", "part": {"type": "status", "text": "busy"}},
    {"type": "part", "part": {"type": "image", "image": "workbench-file:a"}},
    {"type": "usage.call", "call_id": "1", "model": "m"},
]


def refused(*events: Any) -> tuple[str, str | None]:
    with pytest.raises(UnprocessableError) as raised:
        producer_events(list(events))
    return raised.value.error_code, raised.value.field


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["type"])
def test_each_event_is_taken_and_keeps_what_is_unknown(event: dict[str, Any]) -> None:
    payload = {name: value for name, value in event.items() if name != "type"}
    assert producer_events([{**event, "more": [1]}]) == [
        ProducerEvent(type=event["type"], payload={**payload, "more": [1]})
    ]


@pytest.mark.parametrize("kind", ["turn.reset", "turn.finalized", "turn.snapshot", "text", "text.", "", None, 1, []])
def test_unknown_types_and_the_servers_own_are_refused_with_the_index(kind: Any) -> None:
    assert refused(EVENTS[0], {"type": kind, "id": "b"}) == ("unknown_event", "events[1].type")


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ("text", "events[0]"),
        ({"type": "text.start"}, "events[0]"),
        ({"type": "text.delta", "id": "b"}, "events[0]"),
        ({"type": "text.delta", "id": "b", "delta": 1}, "events[0].delta"),
        ({"type": "text.delta", "id": "", "delta": "a"}, "events[0].id"),
        ({"type": "tool.start", "toolCallId": "c"}, "events[0]"),
        ({"type": "tool.start", "toolCallId": "c" * 256, "toolName": "a"}, "events[0].toolCallId"),
        ({"type": "tool.start", "toolCallId": "c", "toolName": "a", "metadata": 1}, "events[0].metadata"),
        ({"type": "tool.args", "toolCallId": "c", "toolName": "a", "args": "{}"}, "events[0].args"),
        ({"type": "tool.args.delta", "toolCallId": "c"}, "events[0]"),
        ({"type": "tool.result", "toolCallId": "c"}, "events[0]"),
        ({"type": "tool.error", "toolCallId": "c"}, "events[0]"),
        ({"type": "part", "part": "a"}, "events[0].part"),
    ],
)
def test_a_wrong_payload_is_refused_and_named(event: Any, field: str) -> None:
    assert refused(event) == ("invalid_event", field)


@pytest.mark.parametrize("part", [text_part("a"), {"type": "reasoning", "text": "a"}, CALL])
def test_what_is_streamed_does_not_come_as_a_whole_part(part: Any) -> None:
    assert refused({"type": "part", "part": part}) == ("unknown_part", "events[0].part.type")


def test_unknown_and_wrong_parts_are_refused_in_events() -> None:
    for kind in ("video", "mentioned-documents", "data-", None):
        assert refused({"type": "part", "part": {"type": kind}}) == ("unknown_part", "events[0].part.type")
    assert refused({"type": "part", "part": {"type": "data-x"}}) == ("invalid_part", "events[0].part")
    image = {"type": "image", "image": "data:text/html;base64,AAAA"}
    assert refused({"type": "part", "part": image}) == ("invalid_image", "events[0].part.image")


def test_a_producer_does_not_say_what_the_log_says() -> None:
    own = {"turn_id": "other", "seq": 9, "epoch": 9, "at": "now"}
    assert producer_events([{"type": "text.start", "id": "b", **own}])[0].payload == {"id": "b"}


def test_d8_events_are_cleaned_copies() -> None:
    sent = {"type": "tool.result", "toolCallId": "c", "result": {"a": ["\x00", float("inf")]}}
    event = producer_events([sent])[0]
    sent["result"]["a"].clear()
    assert event.payload["result"] == {"a": ["\ufffd", None]}


@given(st.lists(st.sampled_from(EVENTS), max_size=12))
def test_whatever_is_taken_can_be_folded_and_stored(events: list[dict[str, Any]]) -> None:
    folding = Folding()
    for event in producer_events(events):
        folding.take(event.type, event.payload)
    parts = folding.snapshot()
    assert kept_parts(parts) == (parts, [])


def test_s11_parts_are_kept_unchanged_at_the_end() -> None:
    call = {**CALL, "result": {"deep": [None]}, "langchainToolCallId": "lc", "mine": {"x": 1}}
    parts = [text_part("a"), call, {**CALL, "state": "aborted"}, {**CALL, "error": "no"}]
    parts += [{"type": "reasoning", "text": "r", "startedAt": "1"}, {"type": "data-x", "data": None, "id": "i"}]
    found, warnings = kept_parts(parts)
    assert (found, warnings) == (parts, [])
    found[1]["result"]["deep"].append(1)
    assert call["result"] == {"deep": [None]}


@pytest.mark.parametrize(
    "wrong",
    [
        1,
        {},
        {"type": "video"},
        {"type": "mentioned-documents", "documents": []},
        {"type": "data-"},
        {"type": "text"},
        {"type": "reasoning", "text": "a", "status": "odd"},
        {**CALL, "args": None},
        {**CALL, "state": "odd"},
        {"type": "status", "text": "a", "code": "odd"},
        {"type": "data-x"},
        {"type": "image", "image": "x"},
        {"type": "image", "image": "data:image/png;base64," + "A" * (12 << 20)},
    ],
)
def test_at_the_end_a_part_that_is_none_is_dropped_with_a_warning(wrong: Any) -> None:
    found = kept_parts([text_part("a"), wrong, text_part("b")])
    assert found == ([text_part("a"), text_part("b")], [Warned(code="part_dropped", path="parts[1]")])


def test_at_the_end_what_is_no_list_is_no_parts() -> None:
    assert kept_parts({"type": "text"}) == ([], [Warned(code="part_dropped", path="parts")])


def test_w10_at_the_end_parts_are_cleaned_with_a_warning() -> None:
    found = kept_parts([text_part("a"), {**CALL, "result": ["\x00\ud800", float("nan")]}])
    kept = {**CALL, "result": ["\ufffd\ufffd", None]}
    assert found == ([text_part("a"), kept], [Warned(code="cleaned", path="parts[1]")])


def test_warnings_are_bounded() -> None:
    assert len(kept_parts([0] * 1000)[1]) == MAX_WARNINGS


def test_no_response_is_stored_without_a_code() -> None:
    marker = {"type": "status", "text": "(no text response)"}
    assert kept_parts([{**marker, "code": "no_response"}]) == ([marker], [])
    assert kept_parts([{**marker, "code": "cancelled"}]) == ([{**marker, "code": "cancelled"}], [])
