"""The script that stands in for a model: it says so, calls one tool, and counts words."""

# ruff: noqa: PLC0415 - the library takes seconds to load, and not every process of the suite runs a test of it

import time
from typing import Any

import msgspec
import pytest

from workbench.domain.model_assistants.ports import Ask, Line, Picture, Tool, ToolError
from workbench.domain.parts.events import ProducerEvent, producer_events
from workbench.domain.usage.model import ReportedCall
from workbench.wiring.settings import Settings


def tool(name: str, *required: str) -> Tool:
    properties = {each: {"type": "string"} for each in (*required, "optional")}
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return Tool(name=name, description="", parameters=schema)


TOOLS = (tool("list_files"), tool("write_file", "filename", "content"), tool("search_conversation", "words"))


async def answer(
    text: str, *, tools: tuple[Tool, ...] = TOOLS, fails: bool = False, pause_seconds: float = 0
) -> tuple[list[ProducerEvent], list[Any]]:
    """What it says, and which tools it calls."""
    from workbench.wiring.models import open_model_gateway

    called: list[Any] = []

    async def call_tool(name: str, arguments: dict[str, Any]) -> Any:
        called.append((name, arguments))
        if fails:
            raise ToolError("No paper.")
        return {"files": ["trains.txt"]}

    models = Settings.of(models={"named": {"demo": {"provider": "demo"}}, "demo_pause_seconds": pause_seconds}).models
    picture = Picture(media_type="image/png", data=b"PNG")
    lines = (Line(role="assistant", text="Welcome"), Line(role="user", text=text, pictures=(picture,)))
    asked = Ask(model="", instructions="Be brief.", lines=lines, tools=tools)
    async with open_model_gateway(models, {}) as gateway:
        events = [event async for event in gateway.answer(asked, call_tool)]
    assert producer_events([{"type": event.type, **event.payload} for event in events]) == events
    return events, called


def said(events: list[ProducerEvent]) -> str:
    return "".join(event.payload["delta"] for event in events if event.type == "text.delta")


@pytest.mark.parametrize("text", ["Hello there", "What is 2 + 2?", ""])
async def test_it_says_what_it_is_word_by_word(text: str) -> None:
    events, called = await answer(text)
    assert "I am workbench-demo, a small script and not a language model" in said(events)
    assert text.startswith("Hello") == said(events).startswith("Hello!")
    assert not called
    words = said(events).split()
    assert [event.payload["delta"].strip() for event in events if event.type == "text.delta"] == words


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("Which files are there?", ("list_files", {})),
        ("Please list the files.", ("list_files", {})),
        (
            "Write a note about the 9 o'clock train",
            ("write_file", {"filename": "note.txt", "content": "the 9 o'clock train"}),
        ),
        ("write a note", ("write_file", {"filename": "note.txt", "content": "write a note"})),
        ("Search for trains", ("search_conversation", {"words": "trains"})),
        ("Can you search the conversation for night trains", ("search_conversation", {"words": "night trains"})),
    ],
)
async def test_it_calls_the_one_tool_that_is_asked_for_and_says_what_came_back(text: str, called: Any) -> None:
    events, calls = await answer(text)
    assert calls == [called]
    kinds = [event.type for event in events if event.type != "text.delta"]
    assert kinds == [
        *("tool.start", "tool.args.delta", "tool.args", "usage.call", "tool.result"),
        *("text.start", "text.end", "usage.call"),
    ]
    assert '"trains.txt"' in said(events)


async def test_it_calls_no_tool_that_is_not_offered() -> None:
    events, called = await answer("Which files are there?", tools=())
    assert not called
    assert "Which files are there?" in said(events)


async def test_it_says_when_a_tool_fails() -> None:
    events, _ = await answer("Search for trains", fails=True)
    assert "it failed" in said(events)
    assert "No paper." in said(events)


async def test_it_counts_words_and_says_the_same_to_the_same() -> None:
    events, _ = await answer("Write a note about trains")
    again, _ = await answer("Write a note about trains")
    first, second = (
        [msgspec.convert(event.payload, ReportedCall) for event in each if event.type == "usage.call"]
        for each in (events, again)
    )
    assert said(events) == said(again)
    figures = [(call.prompt_tokens, call.completion_tokens, call.finish_reason) for call in first]
    assert figures == [(10, 1, "tool_calls"), (10 + 1 + 1, len(said(events).split()), "stop")]
    assert figures == [(call.prompt_tokens, call.completion_tokens, call.finish_reason) for call in second]
    assert {(call.model, call.model_ref, call.provider) for call in first} == {("workbench-demo", "demo", "demo")}


async def test_it_pauses_before_each_word() -> None:
    begun = time.monotonic()
    events, _ = await answer("Hello", pause_seconds=0.01)
    assert time.monotonic() - begun > 0.01 * len(said(events).split())
