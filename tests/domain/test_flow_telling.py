"""What services of flows say, as the events of a turn."""

from typing import Any

import pytest

from workbench.domain.bus.calls import Usage
from workbench.domain.flow_assistants.model import Place
from workbench.domain.flow_assistants.paths import at_path
from workbench.domain.flow_assistants.telling import Telling
from workbench.domain.flows.checking import Walls, findings_of
from workbench.domain.flows.model import AssistantUse, Document, Interface
from workbench.domain.parts.events import ProducerEvent


def told(output_map: Any, *said: Any, usage: Usage | None = None) -> list[ProducerEvent]:
    telling = Telling(output_map)
    return [*(event for each in said for event in telling.tell(each)), *telling.end("c1", usage)]


def shown(events: list[ProducerEvent]) -> list[tuple[str, Any]]:
    """Types, and what they say."""
    names = ("delta", "args", "result", "part")
    return [(each.type, next((each.payload[name] for name in names if name in each.payload), None)) for each in events]


def test_texts_follow_one_another_in_one_block() -> None:
    events = told(None, "a", {"type": "text", "delta": "b"}, "", None)
    assert shown(events) == [("text.start", None), ("text.delta", "a"), ("text.delta", "b"), ("text.end", None)]
    assert len({each.payload["id"] for each in events}) == 1


def test_what_is_between_texts_ends_the_block() -> None:
    events = told(None, "a", [1], "b")
    assert [each.type for each in events] == [
        *("text.start", "text.delta", "text.end", "part"),
        *("text.start", "text.delta", "text.end"),
    ]
    assert events[3].payload["part"] == {"type": "data-flow", "data": [1]}
    assert events[0].payload["id"] != events[4].payload["id"]


@pytest.mark.parametrize(
    "said",
    [
        {"type": "text", "delta": 7},
        {"type": "tool_call", "id": "", "name": "x"},
        {"type": "tool_call", "id": "x", "name": "y", "args": [1]},
        {"type": "tool_result", "result": 1},
        {"type": "status", "text": 7},
        {},
        0,
    ],
)
def test_what_is_not_well_formed_is_handed_on(said: Any) -> None:
    assert shown(told(None, said)) == [("part", {"type": "data-flow", "data": said})]


def test_usage_is_told_once_and_absent_usage_not_at_all() -> None:
    assert told(None, "a")[-1].type == "text.end"
    (used,) = told(None, usage=Usage(model="m", prompt_tokens=3, completion_tokens=4, cost_micros=1_500_007))
    assert used.payload == {
        "call_id": "c1",
        "model": "m",
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "cost_usd": "1.500007",
    }
    assert told(None, usage=Usage(model="m", prompt_tokens=-1)) == []


def test_text_completion_is_read_by_its_preset() -> None:
    events = told(
        "text-completion",
        {"response": "Hello ", "in_token": None, "out_token": None, "model": None},
        {"response": "you", "in_token": 5, "out_token": 2, "model": "m"},
    )
    assert [delta for kind, delta in shown(events) if kind == "text.delta"] == ["Hello ", "you"]
    assert events[-1].payload == {"call_id": "c1", "model": "m", "prompt_tokens": 5, "completion_tokens": 2}


def test_an_agent_is_read_by_its_preset() -> None:
    said = [("thought", "hm"), ("action", "look "), ("action", "it up"), ("observation", "found"), ("answer", "42")]
    events = told("agent", *({"message_type": kind, "content": content} for kind, content in said))
    assert shown(events) == [
        *(("reasoning.start", None), ("reasoning.delta", "hm"), ("reasoning.end", None)),
        *(("tool.start", None), ("tool.args", {"content": "look it up"}), ("tool.result", "found")),
        *(("text.start", None), ("text.delta", "42"), ("text.end", None)),
    ]


def test_paths_go_through_objects_and_lists() -> None:
    value = {"a": [{"b": 1}], "c": "x"}
    assert [at_path(value, path) for path in ("a.0.b", "a.1.b", "a.b", "c.d", "z", "c")] == [
        1,
        None,
        None,
        None,
        None,
        "x",
    ]


@pytest.mark.parametrize("template", ["f1.chat", "f1.", ""])
def test_a_place_is_its_template(template: str) -> None:
    place = Place.of(template)
    assert place.template_id.rstrip(".") == template.rstrip(".")
    assert place.offered_by(None) is None


@pytest.mark.parametrize(
    ("use", "kind", "code"),
    [
        ({"output_map": "poem"}, "request_response", "invalid_output_map"),
        ({"output_map": {"song": "x"}}, "request_response", "invalid_output_map"),
        ({}, "send", "invalid_assistant"),
    ],
)
def test_what_is_wrong_in_an_assistant_block_is_found(use: Any, kind: Any, code: str) -> None:
    interface = Interface(kind=kind, assistant=AssistantUse(name="A", **use))
    found = findings_of(Document(services=[], interfaces={"chat": interface}), {}, Walls())
    assert next(finding.path for finding in found if finding.code == code).startswith("$.interfaces.chat.assistant")
