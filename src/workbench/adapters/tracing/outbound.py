"""Spans of calls to those who are neither callers nor assistants: models, makers of vectors, ticket systems.

They are not told of the trace: they belong to somebody else, and what they would do with it is not ours to know.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.trace import get_current_span

from workbench.adapters.tickets.calls import Answer, TicketHttp
from workbench.adapters.tracing.spans import CORRELATION, Spans
from workbench.domain.embeddings.model import Descriptor, Vector
from workbench.domain.embeddings.ports import Embedder, Embedders
from workbench.domain.ids import correlation_id
from workbench.domain.model_assistants.ports import Ask, CallTool, ModelGateway, ModelInfo
from workbench.domain.parts.events import ProducerEvent
from workbench.domain.troubleshooting.writers import (
    ChatResponder,
    Prose,
    ProsePolisher,
    Situation,
    StepWriter,
    Talk,
    WrittenReply,
    WrittenStep,
)
from workbench.domain.usage.accumulating import Accumulator


def _of_model(operation: str, model: str) -> tuple[str, dict[str, str | int]]:
    """The name and the attributes that OpenTelemetry has for a use of a model."""
    return f"{operation} {model}", {"gen_ai.operation.name": operation, "gen_ai.request.model": model}


class TracedTicketHttp(TicketHttp):
    """A span for each call to a ticket system."""

    spans: Spans
    """Set once, right after it is made."""

    async def call(self, method: str, url: str, *, limit_bytes: int, **request: Any) -> Answer:
        """Call."""
        called = {"server.address": urlsplit(url).hostname or "", CORRELATION: correlation_id.get()}
        with self.spans.client(method, called):
            answer = await super().call(method, url, limit_bytes=limit_bytes, **request)
            get_current_span().set_attribute("http.response.status_code", answer.status)
            return answer


class TracedEmbedders(Embedders):
    """Spans for vectors that are made elsewhere."""

    def __init__(self, embedders: Embedders, spans: Spans) -> None:
        self._embedders = embedders
        self._spans = spans

    def of(self, workspace_id: str, *, opted_in: bool | None) -> Embedder:
        """By what the workspace's vectors are to be made."""
        return self._traced(self._embedders.of(workspace_id, opted_in=opted_in))

    def by(self, workspace_id: str, descriptor: Descriptor, *, opted_in: bool | None) -> Embedder | None:
        """What the vectors of an older space can still be made by."""
        found = self._embedders.by(workspace_id, descriptor, opted_in=opted_in)
        return None if found is None else self._traced(found)

    def _traced(self, embedder: Embedder) -> Embedder:
        return embedder if embedder.is_local else _TracedEmbedder(embedder, self._spans)


class _TracedEmbedder:
    is_local = False

    def __init__(self, embedder: Embedder, spans: Spans) -> None:
        self._embedder = embedder
        self._spans = spans
        self.descriptor = embedder.descriptor
        self.min_cosine = embedder.min_cosine

    async def embed(self, texts: Sequence[str]) -> list[Vector | None]:
        """A vector of each text."""
        with self._spans.caller(*_of_model("embeddings", self.descriptor.model)):
            return await self._embedder.embed(texts)


class TracedStepWriter(StepWriter):
    """A span for each step that a model is asked for."""

    def __init__(self, writer: StepWriter, spans: Spans) -> None:
        self._writer = writer
        self._spans = spans

    async def write(self, model: str, situation: Situation, spent: Accumulator) -> WrittenStep:
        """Ask."""
        with self._spans.caller(*_of_model("chat", model)):
            return await self._writer.write(model, situation, spent)


class TracedChatResponder(ChatResponder):
    """A span for each reply that a model is asked for."""

    def __init__(self, responder: ChatResponder, spans: Spans) -> None:
        self._responder = responder
        self._spans = spans

    async def reply(self, model: str, talk: Talk, spent: Accumulator) -> WrittenReply:
        """Ask."""
        with self._spans.caller(*_of_model("chat", model)):
            return await self._responder.reply(model, talk, spent)


class TracedProsePolisher(ProsePolisher):
    """A span for each text that a model rephrases, from the first piece that is wanted to the last."""

    def __init__(self, polisher: ProsePolisher, spans: Spans) -> None:
        self._polisher = polisher
        self._spans = spans

    async def polish(self, model: str, prose: Prose, spent: Accumulator) -> AsyncGenerator[str]:
        """Ask, piece by piece."""
        with self._spans.caller(*_of_model("chat", model)):
            async with aclosing(self._polisher.polish(model, prose, spent)) as pieces:
                async for piece in pieces:
                    yield piece


class TracedGateway(ModelGateway):
    """A span for each answer of an assistant of the service's own, with the calls of tools that it takes."""

    def __init__(self, gateway: ModelGateway, spans: Spans) -> None:
        self._gateway = gateway
        self._spans = spans

    @property
    def models(self) -> Sequence[ModelInfo]:
        """All of them."""
        return self._gateway.models

    @property
    def fallback(self) -> str | None:
        """The one that is asked where another one is too busy."""
        return self._gateway.fallback

    @property
    def mcp_servers(self) -> Sequence[str]:
        """The names of the MCP servers."""
        return self._gateway.mcp_servers

    async def prepare(self) -> None:
        """Do now what takes long."""
        await self._gateway.prepare()

    async def answer(self, ask: Ask, call_tool: CallTool) -> AsyncGenerator[ProducerEvent]:
        """Ask."""
        with self._spans.caller(*_of_model("chat", ask.model)):
            async with aclosing(self._gateway.answer(ask, call_tool)) as events:
                async for event in events:
                    yield event
