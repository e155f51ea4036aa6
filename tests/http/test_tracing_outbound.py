"""Traces of calls to models, makers of vectors and ticket systems, who are not told of them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from dishka import AsyncContainer
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from tests.http.test_tracing import ON, Collector, Spans
from tests.support.embedding_server import embedding_server
from tests.support.servers import serve

from workbench.adapters.tickets.calls import TicketHttp
from workbench.adapters.tracing.outbound import TracedChatResponder, TracedProsePolisher, TracedStepWriter
from workbench.adapters.tracing.spans import Spans as MadeSpans
from workbench.domain.embeddings.ports import Embedders
from workbench.domain.ids import correlation_id
from workbench.domain.model_assistants.ports import Ask, Line, ModelGateway
from workbench.domain.troubleshooting.failures import ProviderError
from workbench.domain.troubleshooting.writers import ChatResponder, ProsePolisher, StepWriter
from workbench.wiring.container import make_container
from workbench.wiring.settings import Settings

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "quick"}


@asynccontextmanager
async def traced_container(folder: Path, **settings: Any) -> AsyncGenerator[tuple[AsyncContainer, Spans]]:
    spans = Spans()
    container = make_container(Settings.of(data_root=folder, tracing=ON, **settings), spans.provider())
    try:
        yield container, spans
    finally:
        await container.close()


def only(spans: Spans, name: str) -> ReadableSpan:
    (span,) = spans.named(name)
    assert span.kind is SpanKind.CLIENT
    return span


async def test_vectors_that_a_model_makes_are_a_span_and_hashed_ones_are_none(tmp_path: Path) -> None:
    async with embedding_server(4) as server:
        embeddings = {
            "provider": "openai",
            "model": "tiny",
            "dimensions": 4,
            "base_url": server.url,
            "workspaces": ("far",),
        }
        async with traced_container(tmp_path, embeddings=embeddings) as (container, spans):
            embedders = await container.get(Embedders)
            assert await embedders.of("near", opted_in=None).embed(["printer"]) != [None]
            assert spans.all() == []
            far = embedders.of("far", opted_in=None)
            (vector,) = await far.embed(["printer"])
            assert vector is not None
            mine = embedders.by("far", far.descriptor, opted_in=None)
            assert mine is not None
            assert await mine.embed(["printer"]) == [vector]
    assert [span.name for span in spans.all()] == ["embeddings tiny"] * 2
    assert "traceparent" not in server.requests[0].headers


async def test_a_call_to_a_ticket_system_is_a_span_with_its_cause(tmp_path: Path) -> None:
    desk = Collector()
    async with (
        serve(desk) as url,
        traced_container(tmp_path, tickets={"allowed_hosts": ("127.0.0.1",)}) as (container, spans),
    ):
        http = await container.get(TicketHttp)
        token = correlation_id.set("c" * 32)
        answer = await http.call("PUT", f"{url}/notes/1", limit_bytes=100)
        correlation_id.reset(token)
    span = only(spans, "PUT")
    assert answer.status == 200
    assert dict(span.attributes or {}) == {
        "http.request.method": "PUT",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "workbench.correlation_id": "c" * 32,
    }
    assert "traceparent" not in desk.requests[0].headers


async def test_an_answer_of_a_model_is_a_span_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    models = {"named": {"quick": {"provider": "demo"}}, "demo_pause_seconds": 0}
    ask = Ask(model="quick", instructions="", lines=(Line(role="user", text="hello"),))
    async with traced_container(tmp_path, models=models) as (container, spans):
        gateway = await container.get(ModelGateway)
        await gateway.prepare()
        assert ([model.name for model in gateway.models], gateway.mcp_servers) == (["quick"], [])
        async for _ in gateway.answer(ask, no_tools):
            assert spans.named("chat quick") == []
    assert dict(only(spans, "chat quick").attributes or {}) == CHAT


async def no_tools(_name: str, _arguments: dict[str, Any]) -> Any:
    raise AssertionError


class Failing:
    """Models that are too slow."""

    async def write(self, *_: object) -> Any:
        raise ProviderError("timeout")

    reply = write

    async def polish(self, *_: object) -> AsyncGenerator[str]:
        yield "a piece"
        raise ProviderError("timeout")


async def pieces(polisher: Any, *given: object) -> None:
    async for _ in polisher.polish(*given):
        pass


@pytest.mark.parametrize(
    ("port", "kind", "ask"),
    [
        (StepWriter, TracedStepWriter, lambda writer: writer.write("quick", None, None)),
        (ChatResponder, TracedChatResponder, lambda writer: writer.reply("quick", None, None)),
        (ProsePolisher, TracedProsePolisher, lambda writer: pieces(writer, "quick", None, None)),
    ],
)
async def test_a_model_that_fails_a_session_is_a_span_that_says_so(
    port: Any, kind: Any, ask: Any, tmp_path: Path
) -> None:
    async with traced_container(tmp_path) as (container, spans):
        assert isinstance(await container.get(port), kind)
        with pytest.raises(ProviderError):
            await ask(kind(Failing(), await container.get(MadeSpans)))
    span = only(spans, "chat quick")
    assert dict(span.attributes or {}) == {**CHAT, "error.type": "ProviderError"}
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
