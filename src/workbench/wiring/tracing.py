"""Traces, switched on by a setting. Imported only then: it needs the extra `otel`."""

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator

from dishka import AsyncContainer, Provider, Scope, decorate, provide  # pyright: ignore[reportUnknownVariableType]
from litestar.types import ASGIApp
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

from workbench.adapters.assistants.breaker import CircuitBreakers
from workbench.adapters.assistants.client import HttpAssistantClient, Patience
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.group_commit import GroupCommit
from workbench.adapters.sql.transactions import SqlTransactions
from workbench.adapters.tickets.calls import TicketHttp
from workbench.adapters.tracing.outbound import (
    TracedChatResponder,
    TracedEmbedders,
    TracedGateway,
    TracedProsePolisher,
    TracedStepWriter,
    TracedTicketHttp,
)
from workbench.adapters.tracing.requests import TracedRequests
from workbench.adapters.tracing.spans import Spans
from workbench.adapters.tracing.traced import TracedAssistantClient, TracedBus, TracedCommits, TracedJob
from workbench.domain.bus.requesting import ProcessCalls
from workbench.domain.clock import Clock
from workbench.domain.embeddings.ports import Embedders
from workbench.domain.identity.ports import ApiKeyStore
from workbench.domain.jobs.ports import JobHandlers
from workbench.domain.model_assistants.ports import ModelGateway
from workbench.domain.troubleshooting.writers import ChatResponder, ProsePolisher, StepWriter
from workbench.wiring.outbound import AssistantHttp
from workbench.wiring.setting_names import SettingsError
from workbench.wiring.settings import Settings

FAREWELL_SECONDS = 2.0
EXPORTER_VARIABLE = "OTEL_TRACES_EXPORTER"


class Tracing(Provider):
    """Spans around what is worth one. The standard variables `OTEL_*` say what becomes of them."""

    scope = Scope.APP

    @provide
    async def provider(self) -> AsyncIterator[TracerProvider]:
        """Send spans in batches, and what is left of them at the end."""
        provider = TracerProvider(resource=Resource.create(_name()), shutdown_on_exit=False)
        exporter = _exporter()
        if exporter is not None:
            provider.add_span_processor(BatchSpanProcessor(exporter))
        yield provider
        await _end(provider, exporter)

    @provide
    def spans(self, provider: TracerProvider) -> Spans:
        """Make spans."""
        return Spans(provider)

    @provide
    def transactions(self, database: Database, group: GroupCommit, clock: Clock, spans: Spans) -> SqlTransactions:
        """See how long blocks wait for their commit."""
        return SqlTransactions(database, TracedCommits(group, spans, database.dialect_name), clock)

    @provide
    def assistants_over_http(
        self,
        http: AssistantHttp,
        breakers: CircuitBreakers,
        keys: ApiKeyStore,
        clock: Clock,
        settings: Settings,
        spans: Spans,
    ) -> HttpAssistantClient:
        """Let assistant services go on with the trace."""
        patience = Patience(event_seconds=settings.delivery.timeout_seconds)
        client = TracedAssistantClient(http, breakers, keys, clock, patience)
        client.spans = spans
        return client

    @provide
    async def tickets_over_http(
        self, settings: Settings, authorities: ssl.SSLContext, clock: Clock, spans: Spans
    ) -> AsyncIterator[TicketHttp]:
        """See what ticket systems take."""
        http = TracedTicketHttp(settings.tickets.allowed_hosts, authorities, clock)
        http.spans = spans
        yield http
        await http.close()

    @decorate
    def embedders(self, embedders: Embedders, spans: Spans) -> Embedders:
        """See what vectors take that are made elsewhere."""
        return TracedEmbedders(embedders, spans)

    @decorate
    def gateway(self, gateway: ModelGateway, spans: Spans) -> ModelGateway:
        """See what answers of models take."""
        return TracedGateway(gateway, spans)

    @decorate
    def steps(self, writer: StepWriter, spans: Spans) -> StepWriter:
        """See what steps take."""
        return TracedStepWriter(writer, spans)

    @decorate
    def replies(self, responder: ChatResponder, spans: Spans) -> ChatResponder:
        """See what replies take."""
        return TracedChatResponder(responder, spans)

    @decorate
    def prose(self, polisher: ProsePolisher, spans: Spans) -> ProsePolisher:
        """See what rephrasing takes."""
        return TracedProsePolisher(polisher, spans)

    @decorate
    def calls(self, process: ProcessCalls, spans: Spans) -> ProcessCalls:
        """See what is asked of flows, and what their services do."""
        process.tracer = TracedBus(spans)
        return process

    @decorate
    def handlers(self, handlers: JobHandlers, spans: Spans) -> JobHandlers:
        """See what became of jobs."""
        by_kind = {kind: TracedJob(handler, spans) for kind, handler in handlers.by_kind.items()}
        return JobHandlers(by_kind, are_urgent=handlers.are_urgent)


def traced_requests(app: ASGIApp, container: AsyncContainer) -> ASGIApp:
    """Put a span around each request."""

    async def spans() -> Spans:
        return await container.get(Spans)

    return TracedRequests(app, spans)


async def _end(provider: TracerProvider, exporter: SpanExporter | None) -> None:
    """Send what is left; a collector that is away holds the end up for a moment only."""
    ending = asyncio.create_task(asyncio.to_thread(provider.shutdown))
    await asyncio.wait({ending}, timeout=FAREWELL_SECONDS)
    if not ending.done() and exporter is not None:
        # It tries again and again until it is told that there is no time left.
        exporter.shutdown()
    await ending


def _name() -> dict[str, str]:
    """Name the service, unless the environment does."""
    return {} if SERVICE_NAME in OTELResourceDetector().detect().attributes else {SERVICE_NAME: "workbench"}


def _exporter() -> SpanExporter | None:
    chosen = os.environ.get(EXPORTER_VARIABLE) or "otlp"
    if chosen == "otlp":
        return OTLPSpanExporter()
    if chosen == "console":
        return ConsoleSpanExporter(out=sys.stderr)
    if chosen == "none":
        return None
    raise SettingsError({EXPORTER_VARIABLE: f"is {chosen!r}, and not otlp, console or none"})
