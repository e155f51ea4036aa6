"""Folding events into parts (F1 to F7, X6), and the end of an answer (F4, F5, T8)."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.domain.parts.closing import Marker, closed, is_meaningful
from workbench.domain.parts.folding import Folding
from workbench.domain.parts.model import Parts, counts_by_type, text_part

Happened = tuple[str, dict[str, Any]]
NO_RESPONSE = [{"type": "status", "text": "(no text response)"}]
CANCELLED = Marker(code="cancelled")


def text(delta: str, block: str = "t1") -> Happened:
    return "text.delta", {"id": block, "delta": delta}


def thought(delta: str, block: str = "r1") -> Happened:
    return "reasoning.delta", {"id": block, "delta": delta}


def start(call: str = "c1", **more: Any) -> Happened:
    return "tool.start", {"toolCallId": call, "toolName": "ls", **more}


def tool(kind: str, call: str = "c1", **more: Any) -> Happened:
    return f"tool.{kind}", {"toolCallId": call, **more}


def folding(*happened: Happened) -> Folding:
    found = Folding()
    for kind, payload in happened:
        found.take(kind, payload)
    return found


def folded(*happened: Happened) -> Parts:
    return folding(*happened).snapshot()


def reasoning(said: str, status: str = "completed", block: str = "r1", **more: Any) -> dict[str, Any]:
    return {"type": "reasoning", "text": said, "id": block, "status": status, **more}


def card(call: str = "c1", **more: Any) -> dict[str, Any]:
    return {"type": "tool-call", "toolCallId": call, "toolName": "ls", "args": {}, **more}


def test_f1_deltas_of_one_block_collapse_into_one_part() -> None:
    begun = ("text.start", {"id": "t1"})
    assert folded(begun, text("Two "), text(""), text("files"), begun, text("."), ("text.end", {"id": "t1"})) == [
        text_part("Two files.")
    ]


def test_f1_empty_pairs_and_deltas_leave_nothing() -> None:
    pairs = [(f"{kind}.{edge}", {"id": "b"}) for kind in ("text", "reasoning") for edge in ("start", "end")]
    assert folded(*pairs, text(""), thought("")) == []


def test_f1_new_text_after_an_end_or_of_another_block_is_a_new_part() -> None:
    assert folded(text("a"), ("text.end", {"id": "t1"}), text("b")) == [text_part("a"), text_part("b")]
    assert folded(text("a"), text("b", "t2")) == [text_part("a"), text_part("b")]


def test_f1_a_late_end_of_an_earlier_block_does_not_cut_the_open_one() -> None:
    assert folded(text("a"), text("b", "t2"), ("text.end", {"id": "t1"}), text("c", "t2"))[1] == text_part("bc")


def test_f2_text_and_reasoning_close_each_other_without_an_end() -> None:
    assert folded(thought("hm"), text("a"), thought("so"), text("b")) == [
        reasoning("hm"),
        text_part("a"),
        reasoning("so"),
        text_part("b"),
    ]
    assert folded(thought("hm"), ("text.start", {"id": "t1"})) == [reasoning("hm")]
    assert folded(thought("hm")) == [reasoning("hm", "running")]


@pytest.mark.parametrize("begun", [start(), tool("args", toolName="ls", args={"a": 1})])
def test_f2_the_start_of_a_tool_closes_both(begun: Happened) -> None:
    kinds = [part["type"] for part in folded(text("a"), begun, text("b"))]
    assert kinds == ["text", "tool-call", "text"]
    assert folded(thought("hm"), begun)[0] == reasoning("hm")


def test_f2_the_order_is_that_of_first_appearance() -> None:
    parts = folded(start("c1"), start("c2"), text("a"), tool("result", "c2", result=2), tool("result", "c1", result=1))
    assert [part.get("toolCallId", part["type"]) for part in parts] == ["c1", "c2", "text"]
    assert [part.get("result") for part in parts] == [1, 2, None]


def test_reasoning_says_when_it_began_and_ended_if_that_is_known() -> None:
    kind, payload = thought("hm")
    parts = folded(
        ("reasoning.start", {"id": "r1", "at": "1"}), (kind, {**payload, "at": "2"}), ("text.start", {"at": "3"})
    )
    assert parts == [reasoning("hm", startedAt="1", completedAt="3")]


def test_f3_a_repeated_start_changes_nothing() -> None:
    again = start(toolName="other")
    assert folded(start(), text("a"), again, text("b")) == [card(), text_part("ab")]


def test_f3_deltas_of_arguments_accumulate_and_the_whole_replaces_them() -> None:
    deltas = [start(), tool("args.delta", delta='{"p":'), tool("args.delta", delta=' "ü"')]
    assert folded(*deltas) == [card(argsText='{"p": "ü"')]
    whole = [card(args={"p": "ü"}, argsText='{\n  "p": "ü"\n}')]
    given = tool("args", toolName="ls", args={"p": "ü"}, argsText="not this")
    assert folded(*deltas, given) == whole
    assert folded(*deltas, given, tool("args.delta", delta="}")) == whole


def test_f3_late_whole_arguments_make_the_card_or_fill_it() -> None:
    given = tool("args", toolName="ls", args={})
    assert folded(given) == [card(argsText="{}")]
    assert folded(start(), tool("result", result="r"), given) == [card(argsText="{}", result="r")]


@pytest.mark.parametrize(
    "orphan",
    [tool("args.delta", "?", delta="{"), tool("result", "?", result=1), tool("error", "?", message="m")],
)
def test_f3_what_belongs_to_an_unknown_call_is_ignored(orphan: Happened) -> None:
    assert folded(start(), text("a"), orphan, text("b")) == [card(), text_part("ab")]


def test_f3_the_first_id_and_the_first_metadata_win_and_null_never_overwrites() -> None:
    parts = folded(
        start(langchainToolCallId=None, metadata={"a": None, "b": 1}),
        tool("args.delta", delta="{", langchainToolCallId="lc1", metadata={"a": 2}),
        start(langchainToolCallId="lc2", metadata={"a": 3, "b": None, "c": 4}),
        tool("result", result=None, langchainToolCallId=None, metadata={"b": 5}),
    )
    assert parts == [
        card(argsText="{", result=None, langchainToolCallId="lc1", metadata={"a": 2, "b": 1, "c": 4}),
    ]
    assert folded(start(metadata={"a": None}, langchainToolCallId=None)) == [card()]


def test_a_call_has_one_outcome_the_last() -> None:
    assert folded(start(), tool("error", message="no"), tool("result", result=1)) == [card(result=1)]
    assert folded(start(), tool("result", result=1), tool("error", message="no")) == [card(error="no")]


def test_whole_parts_are_added_and_data_with_the_same_id_are_replaced_where_they_stand() -> None:
    first: Any = {"type": "data-steps", "id": "s", "data": 1, "extra": {"x": 1}}
    other: Any = {"type": "data-other", "id": "s", "data": 2}
    loose: Any = {"type": "data-steps", "data": 3}
    image: Any = {"type": "image", "image": "workbench-file:a.png"}
    second: Any = {**first, "data": 4}
    happened: list[Happened] = [("part", {"part": part}) for part in (first, other, loose, loose, image, second)]
    assert folded(text("a"), *happened, text("b")) == [text_part("ab"), second, other, loose, loose, image]


def test_a_reset_forgets_all_and_a_snapshot_replaces_all() -> None:
    assert folded(text("a"), start(), ("turn.reset", {}), tool("result", result=1), text("b")) == [text_part("b")]
    snapshot: Happened = ("turn.snapshot", {"parts": [card()]})
    assert folded(text("a"), snapshot, tool("result", result=1)) == [card(result=1)]


@pytest.mark.parametrize("args", [{}, {"p": 1}])
def test_arguments_that_were_whole_before_a_snapshot_stay_so(args: dict[str, Any]) -> None:
    found = folding(tool("args", toolName="ls", args=args))
    snapshot: Happened = ("turn.snapshot", found.state())
    assert folded(snapshot, tool("args.delta", delta="}")) == found.snapshot()


def test_what_says_nothing_of_parts_is_left_out() -> None:
    assert folded(text("a"), ("turn.opened", {}), ("usage.call", {"model": "m"}), ("?", {}), text("b")) == [
        text_part("ab")
    ]


def test_f4_an_interruption_keeps_partial_text() -> None:
    assert closed(folded(text("partial")), CANCELLED) == [text_part("partial"), CANCELLED.part()]


def test_f4_an_interruption_marks_open_reasoning_only() -> None:
    parts = closed(folded(thought("done"), ("reasoning.end", {"id": "r1"}), thought("open", "r2")), CANCELLED)
    assert parts[:-1] == [reasoning("done"), reasoning("open", "interrupted", "r2")]


def test_f4_an_interruption_aborts_calls_without_outcome_and_leaves_finished_ones() -> None:
    finished = [card("a", result=None), card("b", error="no")]
    assert closed([*finished, card("c")], CANCELLED)[:-1] == [*finished, card("c", state="aborted")]


def test_what_ends_as_it_should_keeps_calls_open_and_completes_reasoning() -> None:
    parts = folded(start(), thought("hm"))
    assert closed(parts) == [card(), reasoning("hm")]
    assert parts[1]["status"] == "running"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (text_part("a"), True),
        (text_part(" \n"), False),
        (reasoning("a"), True),
        (reasoning(" "), False),
        (card(), True),
        ({"type": "image", "image": "workbench-file:a"}, True),
        ({"type": "data-x", "data": "a"}, False),
        ({"type": "status", "text": "a"}, False),
    ],
)
def test_f5_what_is_meaningful(part: dict[str, Any], expected: bool) -> None:
    assert is_meaningful([part]) is expected


@pytest.mark.parametrize(
    "parts", [[], [text_part("")], [text_part(" "), reasoning("")], [{"type": "status", "text": "s"}]]
)
def test_t8_s12_nothing_meaningful_is_exactly_the_marker(parts: Parts) -> None:
    assert closed(parts) == NO_RESPONSE
    assert closed(parts, CANCELLED) == [CANCELLED.part()]
    assert json.dumps(closed(parts)) == '[{"type": "status", "text": "(no text response)"}]'


def test_t8_decoration_alone_is_empty_and_data_stay_in_front() -> None:
    data = [{"type": "data-steps", "data": [1]}]
    assert closed([text_part(""), *data, {"type": "status", "text": "s"}]) == [*data, *NO_RESPONSE]
    assert closed([text_part(""), *data], CANCELLED) == [*data, CANCELLED.part()]


def test_t8_meaningful_parts_stay_as_they_are() -> None:
    parts = [text_part(""), {"type": "status", "text": "s"}, card(result=1), text_part("a")]
    assert closed(parts) == parts


def test_a_closed_answer_shares_nothing_with_the_open_one() -> None:
    parts = [card(result=[1])]
    closed(parts)[0]["result"].append(2)
    assert parts == [card(result=[1])]


def test_t8_an_early_end_is_marked_once_at_the_end() -> None:
    marker = Marker(code="error", text="The model is away.", error_code="model_unavailable")
    part = {"type": "status", "text": "The model is away.", "code": "error", "errorCode": "model_unavailable"}
    assert closed([{"type": "status", "text": "s"}, text_part("a"), CANCELLED.part()], marker) == [text_part("a"), part]
    said = [Marker(code=code).part() for code in ("cancelled", "error", "interrupted")]
    assert [part["code"] for part in said] == ["cancelled", "error", "interrupted"]
    assert len({part["text"] for part in said}) == 3
    assert all(set(part) == {"type", "text", "code"} for part in said)


def test_f6_x7_the_final_text_fills_only_a_textless_stream() -> None:
    for before, expected in (
        ([], [text_part("final")]),
        ([thought("hm")], [reasoning("hm"), text_part("final")]),
        ([text(" ")], [text_part(" "), text_part("final")]),
        ([text("seen"), start()], [text_part("seen"), card()]),
    ):
        found = folding(*before)
        found.add_final_text("final")
        assert found.snapshot() == expected


def test_f6_a_blank_final_text_is_none() -> None:
    found = folding(thought("hm"))
    found.add_final_text(" \n")
    assert found.snapshot() == [reasoning("hm", "running")]


def test_f7_a_snapshot_is_a_deep_copy() -> None:
    given: dict[str, Any] = {"toolCallId": "c1", "toolName": "ls", "args": {"a": [1]}}
    found = folding(("tool.args", given))
    given["args"]["a"].append(2)
    first = found.snapshot()
    first[0]["args"]["a"].append(3)
    first.append({})
    assert found.snapshot() == [card(args={"a": [1]}, argsText='{\n  "a": [\n    1\n  ]\n}')]


def test_f7_a_snapshot_is_json_safe_and_survives_the_round_trip() -> None:
    happened = [thought("h\x00"), text("\ud800"), start(), tool("result", result={1: float("nan"), "t": (1, {2})})]
    parts = folded(*happened)
    assert parts[2]["result"] == {"1": None, "t": [1, [2]]}
    assert (parts[0]["text"], parts[1]["text"]) == ("h\ufffd", "\ufffd")
    assert msgspec.json.decode(msgspec.json.encode(parts)) == parts


def test_x6_parts_are_counted_by_type() -> None:
    assert counts_by_type(folded(text("a"), thought("b"), text("c"), start())) == {
        "text": 2,
        "reasoning": 1,
        "tool-call": 1,
    }


def test_x2_a_tool_heavy_answer_folds_to_its_parts() -> None:
    parts = folded(
        thought("let me "),
        thought("look"),
        text("Looking."),
        start(langchainToolCallId="lc"),
        tool("args.delta", delta='{"path":"/"}'),
        tool("args", toolName="ls", args={"path": "/"}),
        tool("result", result={"files": ["a", "b"]}),
        text("Two files.", "t2"),
    )
    assert parts == [
        reasoning("let me look"),
        text_part("Looking."),
        card(
            args={"path": "/"},
            argsText='{\n  "path": "/"\n}',
            result={"files": ["a", "b"]},
            langchainToolCallId="lc",
        ),
        text_part("Two files."),
    ]
    assert closed(parts) == parts


PIECE = st.text(min_size=1, max_size=6)
EVENTS = st.one_of(
    st.builds(text, PIECE, st.sampled_from(["t1", "t2"])),
    st.builds(thought, PIECE, st.sampled_from(["r1", "t1"])),
    st.sampled_from([start(), start("c2"), ("text.end", {"id": "t1"}), ("reasoning.start", {"id": "r1"})]),
    st.builds(lambda piece: tool("args.delta", delta=piece), PIECE),
    st.builds(lambda value: tool("args", "c2", toolName="ls", args={"a": value}), PIECE),
    st.builds(lambda value: tool("result", result=value), PIECE),
    st.just(("part", {"part": {"type": "data-x", "id": "1", "data": 1}})),
)


def split(happened: Happened) -> list[Happened]:
    kind, payload = happened
    if not kind.endswith(".delta"):
        return [happened]
    return [(kind, {**payload, "delta": letter}) for letter in ("", *payload["delta"], "")]


@given(st.lists(EVENTS, max_size=25))
def test_any_split_of_deltas_gives_the_same_parts(happened: list[Happened]) -> None:
    assert folded(*(piece for each in happened for piece in split(each))) == folded(*happened)


@given(st.lists(EVENTS, max_size=25), st.data())
def test_going_on_from_a_stored_state_gives_the_same_parts(happened: list[Happened], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(happened)))
    stored = msgspec.json.decode(msgspec.json.encode(folding(*happened[:place]).state()))
    assert folded(text("gone"), ("turn.snapshot", stored), *happened[place:]) == folded(*happened)


@given(st.lists(EVENTS, max_size=25), st.data())
def test_looking_in_between_changes_nothing_and_shares_nothing(happened: list[Happened], data: st.DataObject) -> None:
    found = Folding()
    for kind, payload in happened:
        found.take(kind, payload)
        if data.draw(st.booleans()):
            for part in found.snapshot():
                part.clear()
    assert found.snapshot() == folded(*happened)


@given(st.lists(EVENTS, max_size=15), st.sampled_from([None, CANCELLED, Marker(code="interrupted")]))
def test_an_end_is_final_and_never_blank(happened: list[Happened], marker: Marker | None) -> None:
    parts = folded(*happened)
    before = msgspec.json.encode(parts)
    ended = closed(parts, marker)
    assert closed(ended, marker) == ended
    assert msgspec.json.encode(parts) == before
    assert is_meaningful(ended) or ended[-1]["type"] == "status"
    assert all(part.get("status") != "running" for part in ended)
