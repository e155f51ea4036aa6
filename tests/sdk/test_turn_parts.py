"""What those who watch an answer make of it before its end, as producers of every kind tell it."""

from typing import Any

from workbench.sdk import TurnEvent, TurnParts


def folded(*told: tuple[str, dict[str, Any]]) -> TurnParts:
    parts = TurnParts()
    for place, (name, data) in enumerate(told, 1):
        parts.take(TurnEvent(id=f"{place}", event=name, data=data))
    return parts


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def test_a_block_that_was_ended_is_not_gone_on_with() -> None:
    one = folded(
        ("text.start", {"id": "a"}),
        ("text.delta", {"id": "a", "delta": "o"}),
        ("text.delta", {"id": "a", "delta": "ne"}),
        ("text.end", {"id": "a"}),
        ("text.delta", {"id": "a", "delta": "two"}),
        ("text.start", {"id": "b"}),
        ("text.delta", {"id": "b", "delta": "three"}),
        ("text.delta", {"id": "c", "delta": "four"}),
        ("text.delta", {"id": "c", "delta": ""}),
    )
    assert one.parts == [text("one"), text("two"), text("three"), text("four")]
    assert one.text == "one\n\ntwo\n\nthree\n\nfour"


def test_what_comes_behind_a_snapshot_goes_on_with_it() -> None:
    snapshot = ("turn.snapshot", {"parts": [text("one")], "status": "streaming"})
    goes_on, begins = ("text.delta", {"id": "a", "delta": " two"}), ("text.start", {"id": "a"})
    assert folded(("text.delta", {"id": "x", "delta": "old"}), snapshot, goes_on).parts == [text("one two")]
    assert folded(snapshot, begins, goes_on).parts == [text("one"), text(" two")]
    assert folded(snapshot, ("reasoning.delta", {"id": "r", "delta": "hm"})).parts == [
        text("one"),
        {"type": "reasoning", "text": "hm"},
    ]


def test_a_reset_forgets_everything() -> None:
    delta = ("text.delta", {"id": "a", "delta": "one"})
    assert folded(delta, ("turn.reset", {"reason": "retry"})).parts == []
    assert folded(delta, ("turn.reset", {"reason": "retry"}), delta).parts == [text("one")]


def test_a_tool_ends_the_text_and_is_known_by_its_id() -> None:
    known = {"toolCallId": "1", "toolName": "search"}
    one = folded(
        ("text.delta", {"id": "a", "delta": "one"}),
        ("tool.args", {**known, "args": {"q": "ä"}}),
        ("tool.start", known),
        ("text.delta", {"id": "a", "delta": "two"}),
        ("tool.args.delta", {"toolCallId": "unknown", "delta": "{"}),
        ("tool.result", {"toolCallId": "1", "result": None}),
        ("turn.cancel_requested", {"by": "ann", "reason": None}),
    )
    call = {"type": "tool-call", "toolCallId": "1", "toolName": "search"}
    whole = {**call, "args": {"q": "ä"}, "argsText": '{\n  "q": "ä"\n}', "result": None}
    assert one.parts == [text("one"), whole, text("two")]
