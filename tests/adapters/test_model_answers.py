"""Answers streamed by every provider's interface, by its real library over HTTP.

The libraries take seconds to load, so each test loads them: not every process of the suite runs one.
"""

# ruff: noqa: PLC0415 - see above

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from tests.support.behaviours import Behaviour, status
from tests.support.model_streams import (
    Streamed,
    StreamServer,
    anthropic_answer,
    google_answer,
    openai_calls,
    openai_delta,
    openai_error,
    openai_text,
    sse,
    stream_server,
)
from tests.support.servers import eventually

from workbench.domain.model_assistants.failures import ModelFailedError
from workbench.domain.model_assistants.ports import Ask, Line, ModelGateway, Picture, Tool, ToolError
from workbench.domain.parts.events import ProducerEvent, producer_events
from workbench.domain.usage.model import ReportedCall
from workbench.wiring.settings import Settings

SECRET = "sk-very-secret"
USER = Line(role="user", text="Trains?")
LOOK = Tool(name="look", description="Look it up", parameters={"type": "object", "properties": {"word": {}}})


@pytest.fixture
async def server() -> AsyncGenerator[StreamServer]:
    async with stream_server() as running:
        yield running


@asynccontextmanager
async def gateway(
    server: StreamServer, provider: str = "openai", *, timeout_seconds: float = 5, **more: Any
) -> AsyncGenerator[ModelGateway]:
    from workbench.wiring.models import open_model_gateway

    base_url = f"{server.url}/v1" if provider == "openai" else server.url
    named = {"provider": provider, "model": "named-model", "base_url": base_url, "api_key": SECRET}
    settings = Settings.of(models={"named": {"fast": named | more}, "timeout_seconds": timeout_seconds})
    async with open_model_gateway(settings.models, settings.mcp) as opened:
        yield opened


def ask(*lines: Line, tools: tuple[Tool, ...] = (), **more: Any) -> Ask:
    return Ask(model="", instructions="Be brief.", lines=lines or (USER,), tools=tools, **more)


async def call_tool(name: str, arguments: dict[str, Any]) -> Any:
    if name == "look" and arguments.get("word") == "nothing":
        raise ToolError("There is nothing.")
    return {"found": arguments}


async def told(opened: ModelGateway, asked: Ask, seen: list[ProducerEvent] | None = None) -> list[ProducerEvent]:
    """All events, also those before a failure, checked as a turn would check them."""
    events = [] if seen is None else seen
    async for event in opened.answer(asked, call_tool):
        events.append(event)
        assert producer_events([{"type": event.type, **event.payload}]) == [event]
    return events


def kinds(events: list[ProducerEvent]) -> list[str]:
    return [event.type for event in events]


def said(events: list[ProducerEvent], kind: str = "text") -> str:
    return "".join(event.payload["delta"] for event in events if event.type == f"{kind}.delta")


def calls(events: list[ProducerEvent]) -> list[ReportedCall]:
    import msgspec

    return [msgspec.convert(event.payload, ReportedCall) for event in events if event.type == "usage.call"]


async def test_a_text_is_told_as_it_comes_with_what_it_took(server: StreamServer) -> None:
    server.answer(openai_text("At ", "noon."))
    async with gateway(server) as opened:
        assert [(info.name, info.takes_images) for info in opened.models] == [("fast", False)]
        events = await told(opened, ask(temperature=0.5, max_output_tokens=100))
    assert kinds(events) == ["text.start", "text.delta", "text.delta", "text.end", "usage.call"]
    assert said(events) == "At noon."
    (call,) = calls(events)
    assert (call.model, call.model_ref, call.provider) == ("gpt-as-served", "fast", "openai")
    assert (call.prompt_tokens, call.completion_tokens, call.cached_tokens, call.reasoning_tokens) == (20, 7, 5, 3)
    assert (call.finish_reason, call.max_output_tokens) == ("stop", 100)
    assert call.latency_ms is not None
    (request,) = server.requests
    assert request.json["model"] == "named-model"
    assert request.json["temperature"] == 0.5
    assert 100 in (request.json.get("max_tokens"), request.json.get("max_completion_tokens"))
    assert [turn["content"] for turn in request.json["messages"]] == ["Be brief.", "Trains?"]


async def test_tools_are_called_until_the_model_is_done(server: StreamServer) -> None:
    server.answer(
        openai_calls(("look", ['{"word": ', '"trains"}']), ("look", ['{"word": "nothing"}'])),
        openai_calls(("look", ["{"]), ("leap", ["{}"])),
        openai_text("Done."),
    )
    async with gateway(server) as opened:
        events = await told(opened, ask(tools=(LOOK,)))
    assert kinds(events) == [
        *("tool.start", "tool.args.delta", "tool.args.delta", "tool.start", "tool.args.delta"),
        *("tool.args", "tool.args", "usage.call", "tool.result", "tool.error"),
        *("tool.start", "tool.args.delta", "tool.start", "tool.args.delta"),
        *("tool.args", "tool.args", "usage.call", "tool.error", "tool.error"),
        *("text.start", "text.delta", "text.end", "usage.call"),
    ]
    outcomes = [event.payload for event in events if event.type in {"tool.result", "tool.error"}]
    assert [each.get("result", each.get("message")) for each in outcomes] == [
        {"found": {"word": "trains"}},
        "There is nothing.",
        "The arguments are not a JSON object.",
        "There is no such tool.",
    ]
    assert [each["toolCallId"] for each in outcomes] == [
        event.payload["toolCallId"] for event in events if event.type == "tool.start"
    ]
    assert len({each["toolCallId"] for each in outcomes}) == 4
    assert [call.finish_reason for call in calls(events)] == ["tool_calls", "tool_calls", "stop"]
    assert len({call.call_id for call in calls(events)}) == 3
    second = server.requests[1].json["messages"]
    assert [turn["role"] for turn in second] == ["system", "user", "assistant", "tool", "tool"]
    assert "trains" in second[3]["content"]
    assert "There is nothing." in second[4]["content"]


async def test_a_model_that_never_stops_calling_is_stopped(server: StreamServer) -> None:
    from workbench.adapters.models.answers import MAX_CALLS

    server.answer(then=openai_calls(("look", ["{}"])))
    events: list[ProducerEvent] = []
    async with gateway(server) as opened:
        with pytest.raises(ModelFailedError) as failure:
            await told(opened, ask(tools=(LOOK,)), events)
    assert failure.value.code == "tool_failed"
    assert len(calls(events)) == len(server.requests) == MAX_CALLS


PICTURED = Line(role="user", text="What is it?", pictures=(Picture(media_type="image/png", data=b"PNG"),))


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (openai_error(429, "rate_limit_exceeded", f"slow down, {SECRET}"), "rate_limited"),
        (openai_error(429, "insufficient_quota", f"pay, {SECRET}"), "quota_exhausted"),
        (openai_error(401, "invalid_api_key", f"no {SECRET}"), "model_auth_failed"),
        (status(403), "model_auth_failed"),
        (openai_error(404, "model_not_found", f"no {SECRET}"), "model_not_found"),
        (openai_error(400, "context_length_exceeded", "too long"), "model_context_limit"),
        (openai_error(400, "content_filter", "filtered"), "content_filtered"),
        (openai_error(400, "invalid_request", "This model does not support image input."), "image_input_unsupported"),
        (openai_error(400, "invalid_request", f"what? {SECRET}"), "server_error"),
        (openai_error(500, "error", "model requires more system memory than is available"), "model_out_of_memory"),
        (status(500), "model_unavailable"),
        (status(503), "model_unavailable"),
        (Streamed([], ending="cut"), "model_unavailable"),
        (Streamed([], ending="held"), "model_unavailable"),
    ],
)
async def test_a_refusal_is_told_in_our_words(server: StreamServer, refusal: Streamed | Behaviour, code: str) -> None:
    server.answer(refusal)
    events: list[ProducerEvent] = []
    async with gateway(server, takes_images=True, timeout_seconds=2) as opened:
        with pytest.raises(ModelFailedError) as failure:
            await told(opened, ask(PICTURED), events)
    assert failure.value.code == code
    assert SECRET not in str(failure.value)
    assert failure.value.__cause__ is not None
    assert kinds(events) == ["usage.call"]
    (call,) = calls(events)
    assert (call.prompt_tokens, call.completion_tokens, call.finish_reason) == (0, 0, "error")
    assert call.model in {"named-model", "gpt-as-served"}
    assert len(server.requests) == 1


async def test_a_model_that_cannot_be_reached_is_unavailable(server: StreamServer) -> None:
    async with gateway(server, base_url="http://127.0.0.1:1/v1") as opened:
        with pytest.raises(ModelFailedError) as failure:
            await told(opened, ask())
    assert failure.value.code == "model_unavailable"


@pytest.mark.parametrize(
    ("rest", "ending", "code"),
    [
        (
            [sse({"error": {"message": SECRET, "type": "server_error", "code": "server_error"}})],
            "whole",
            "model_unavailable",
        ),
        ([], "cut", "model_unavailable"),
        ([], "held", "model_unavailable"),
    ],
)
async def test_what_was_said_before_a_failure_is_kept(
    server: StreamServer, rest: list[bytes], ending: Any, code: str
) -> None:
    server.answer(Streamed([openai_delta(content="At "), *rest], ending=ending))
    events: list[ProducerEvent] = []
    async with gateway(server, timeout_seconds=2) as opened:
        with pytest.raises(ModelFailedError) as failure:
            await told(opened, ask(), events)
    assert failure.value.code == code
    assert SECRET not in str(failure.value)
    assert kinds(events) == ["text.start", "text.delta", "usage.call"]
    assert calls(events)[0].finish_reason == "error"


async def test_a_filtered_answer_without_words_fails(server: StreamServer) -> None:
    server.answer(Streamed([openai_delta("content_filter"), sse("[DONE]")]))
    async with gateway(server) as opened:
        with pytest.raises(ModelFailedError) as failure:
            await told(opened, ask())
    assert failure.value.code == "content_filtered"


async def test_closing_an_answer_ends_the_call_at_once(server: StreamServer) -> None:
    server.answer(then=Streamed([openai_delta(content="At ")], ending="held"))
    async with gateway(server) as opened:
        async with aclosing(opened.answer(ask(), call_tool)) as events:
            assert (await anext(events)).type == "text.start"
        await server.all_left(1)


async def test_a_cancelled_answer_ends_the_call_and_tells_what_it_took(server: StreamServer) -> None:
    server.answer(Streamed(anthropic_answer("Hm", "At ").frames[:-3], ending="held"))
    events: list[ProducerEvent] = []
    async with gateway(server, "anthropic") as opened:
        answering = asyncio.create_task(told(opened, ask(), events))
        await eventually(lambda: "text.delta" in kinds(events))
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        await server.all_left(1)
    (call,) = calls(events)
    assert (call.prompt_tokens, call.finish_reason) == (16, "error")


async def test_anthropic_thinks_and_speaks(server: StreamServer) -> None:
    server.answer(anthropic_answer("Hm", "At ", "noon."))
    async with gateway(server, "anthropic") as opened:
        events = await told(opened, ask(max_output_tokens=9))
    assert kinds(events) == [
        *("reasoning.start", "reasoning.delta", "reasoning.end"),
        *("text.start", "text.delta", "text.delta", "text.end", "usage.call"),
    ]
    assert (said(events, "reasoning"), said(events)) == ("Hm", "At noon.")
    (call,) = calls(events)
    assert (call.model, call.provider, call.finish_reason) == ("claude-as-served", "anthropic", "length")
    assert (call.prompt_tokens, call.completion_tokens) == (16, 9)
    assert (call.cached_tokens, call.cache_write_tokens) == (4, 2)
    assert server.requests[0].json["max_tokens"] == 9
    assert SECRET in " ".join(server.requests[0].headers.values())


async def test_google_speaks(server: StreamServer) -> None:
    server.answer(google_answer("At ", "noon."))
    async with gateway(server, "google") as opened:
        events = await told(opened, ask())
    assert said(events) == "At noon."
    (call,) = calls(events)
    assert (call.model, call.provider, call.finish_reason) == ("gemini-as-served", "google", "stop")
    assert (call.prompt_tokens, call.completion_tokens, call.reasoning_tokens) == (11, 8, 2)
    assert "streamGenerateContent" in server.requests[0].path


async def test_pictures_are_shown_only_to_models_that_take_them(server: StreamServer) -> None:
    server.answer(then=openai_text("A cat."))
    alone = Line(role="user", text="", pictures=PICTURED.pictures)
    async with gateway(server, takes_images=True) as opened:
        await told(opened, ask(PICTURED))
    async with gateway(server) as opened:
        await told(opened, ask(PICTURED, Line(role="assistant", text="A cat."), alone))
    seeing, blind = (request.json["messages"] for request in server.requests)
    assert [part["type"] for part in seeing[1]["content"]] == ["text", "image_url"]
    assert [turn["content"] for turn in blind[1:]] == ["What is it?", "A cat.", "(image)"]


async def test_a_conversation_that_an_assistant_begins_is_opened_for_it(server: StreamServer) -> None:
    server.answer(openai_text("Yes."))
    lines = (Line(role="assistant", text="Welcome"), Line(role="user", text=" "), USER)
    async with gateway(server) as opened:
        await told(opened, ask(*lines))
    shown = [turn["content"] for turn in server.requests[0].json["messages"][1:]]
    assert shown == ["The conversation so far:", "Welcome", "Trains?"]


async def test_a_model_that_is_gone_is_not_replaced_by_another(server: StreamServer) -> None:
    async with gateway(server) as opened:
        with pytest.raises(ModelFailedError) as failure:
            await told(opened, Ask(model="gone", instructions="", lines=(USER,)))
    assert failure.value.code == "no_model"
    assert not server.requests
