"""Traces, from a caller through the log to assistants and jobs, with OpenTelemetry's own exporter in memory."""

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from dishka import Provider, Scope
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import status
from tests.support.failing_service import CAUSE as FAILING_CAUSE
from tests.support.openai_server import model_server
from tests.support.servers import (
    Receive,
    ReceivedRequest,
    ReservedPort,
    Send,
    eventually,
    read_request,
    send_json,
    serve,
)
from tests.support.service import Service, Stream, open_stream, running_service

from workbench.examples.flow_services import BLUEPRINT, PARAMETER_TYPE
from workbench.wiring.container import make_container
from workbench.wiring.setting_names import SettingsError
from workbench.wiring.settings import Settings

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
CAUSE = "0123456789abcdef0123456789abcdef"
ON = {"enabled": True}
QUICK = {"first_retry_seconds": 0.05, "max_retry_seconds": 0.2}


class Spans:
    """What was exported."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()

    def provider(self) -> Provider:
        traces = TracerProvider()
        traces.add_span_processor(SimpleSpanProcessor(self._exporter))
        swapped = Provider(scope=Scope.APP)
        swapped.provide(lambda: traces, provides=TracerProvider)
        return swapped

    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str, trace: str | None = None) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name == name and trace in {None, trace_of(span)}]

    async def one(self, name: str, trace: str | None = None) -> ReadableSpan:
        await eventually(lambda: len(self.named(name, trace)) > 0)
        (span,) = self.named(name, trace)
        return span


def trace_of(span: ReadableSpan) -> str:
    return f"{span.context.trace_id:032x}"


def parent_of(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


@asynccontextmanager
async def traced(url: str, folder: Path, **settings: Any) -> AsyncGenerator[tuple[Service, Spans]]:
    spans = Spans()
    async with running_service(url, folder, spans.provider(), tracing=ON, delivery=QUICK, **settings) as service:
        yield service, spans


async def seat(service: Service, recorder: RecordingAssistantService) -> str:
    """Open a conversation with an assistant in it, and answer with its path."""
    ann = service.user("ann")
    new = {"assistant_service_id": recorder.service_id, "name": "Recorder"}
    assistant = (await ann.post("/assistants", json=new)).json()["id"]
    path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"
    (await ann.put(f"{path}/participants/{assistant}", json={})).raise_for_status()
    return path


def told(recorder: RecordingAssistantService) -> list[str]:
    return [request.json["event"] for request in recorder.received(Kind.EVENT)]


async def test_one_trace_leads_from_the_caller_through_a_flow_to_the_services_that_answer(
    sqlite_url: str, tmp_path: Path
) -> None:
    flows = {"services": ("workbench.examples.flow_services:services",)}
    async with traced(sqlite_url, tmp_path / "data", flows=flows) as (service, spans):
        ann = service.user()
        (await ann.put("/flow-parameter-types/mark", json=PARAMETER_TYPE)).raise_for_status()
        (await ann.put("/flow-blueprints/echoing", json=BLUEPRINT)).raise_for_status()
        (await ann.post("/flows?wait=ready", json={"flow_id": "f", "blueprint": "echoing"})).raise_for_status()
        headers = {"traceparent": PARENT, "Accept": "text/event-stream"}
        async with ann.stream("POST", "/flows/f/services/tell", json="hidden", headers=headers) as response:
            assert [event.name for event in await Stream(response).until_end()] == ["open", "part", "final"]
        request = await spans.one("POST /flows/{flow_id}/services/{interface}", TRACE)
        asked = await spans.one("ask tell", TRACE)
        served = await spans.one("serve teller", TRACE)
        asked_on = await spans.one("ask teller-shouter", TRACE)
        served_on = await spans.one("serve shouter", TRACE)
    assert parent_of(asked) == request.context.span_id
    assert parent_of(served) == asked.context.span_id
    assert parent_of(asked_on) == served.context.span_id
    assert parent_of(served_on) == asked_on.context.span_id
    assert [span.kind for span in (asked, served)] == [SpanKind.CLIENT, SpanKind.CONSUMER]
    assert "hidden" not in "".join(span.to_json() for span in spans.all())


async def test_one_trace_leads_from_the_caller_through_the_log_to_the_assistant(
    database_url: str, tmp_path: Path
) -> None:
    async with traced(database_url, tmp_path / "data") as (service, spans), service.recorder() as recorder:
        path = await seat(service, recorder)
        headers = {"traceparent": PARENT, "X-Request-ID": CAUSE, "baggage": "private=1"}
        await service.user("ann").post(f"{path}/messages?token=hidden", json={"content": "hidden"}, headers=headers)
        delivery = await spans.one("deliver event", TRACE)
        request = await spans.one("POST /conversations/{conversation_id}/messages", TRACE)
        commit = spans.named("COMMIT", TRACE)[0]
        call = await spans.one("POST", TRACE)
        heard = recorder.received(Kind.EVENT)[-1]
    assert parent_of(request) == int("b7ad6b7169203331", 16)
    assert parent_of(commit) == parent_of(delivery) == request.context.span_id
    assert [link.context.span_id for link in delivery.links] == [request.context.span_id]
    assert parent_of(call) == delivery.context.span_id
    assert [span.kind for span in (request, delivery, call)] == [SpanKind.SERVER, SpanKind.CONSUMER, SpanKind.CLIENT]
    assert heard.headers["traceparent"] == f"00-{TRACE}-{call.context.span_id:016x}-01"
    assert heard.headers["x-request-id"] == CAUSE
    assert "baggage" not in heard.headers
    assert {span.attributes["workbench.correlation_id"] for span in (request, delivery) if span.attributes} == {CAUSE}
    assert not [span for span in spans.all() if "hidden" in span.to_json() or "private" in span.to_json()]


async def test_each_request_has_a_trace_of_its_own_unless_the_caller_has_one(sqlite_url: str, tmp_path: Path) -> None:
    async with traced(sqlite_url, tmp_path / "data") as (service, spans):
        ann = service.user("ann")
        for parent in (None, None, "nonsense", PARENT):
            await ann.get("/conversations", headers={} if parent is None else {"traceparent": parent})
        await ann.get("/livez")
        await ann.get("/metrics")
        found = spans.all()
    assert [span.name for span in found] == ["GET /conversations"] * 4
    assert len({trace_of(span) for span in found}) == 4
    assert [span.parent is None for span in found] == [True, True, True, False]


async def test_what_a_caller_does_not_sample_is_carried_on_but_not_exported(sqlite_url: str, tmp_path: Path) -> None:
    async with traced(sqlite_url, tmp_path / "data") as (service, spans), service.recorder() as recorder:
        path = await seat(service, recorder)
        unsampled = {"traceparent": PARENT[:-1] + "0"}
        await service.user("ann").post(f"{path}/messages", json={"content": "x"}, headers=unsampled)
        await eventually(lambda: "message.created" in told(recorder))
        heard = recorder.received(Kind.EVENT)[-1]
        assert heard.headers["traceparent"].startswith(f"00-{TRACE}-")
        assert heard.headers["traceparent"].endswith("-00")
        assert not [span for span in spans.all() if trace_of(span) == TRACE]


async def test_a_failing_delivery_shows_as_such_and_its_repetition_is_in_the_same_trace(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with traced(sqlite_url, tmp_path / "data") as (service, spans), service.recorder() as recorder:
        path = await seat(service, recorder)
        await eventually(lambda: len(recorder.received(Kind.EVENT)) > 0)
        recorder.answer(Kind.EVENT, status(500))
        await service.user("ann").post(f"{path}/messages", json={"content": "x"}, headers={"traceparent": PARENT})
        await eventually(lambda: len(spans.named("deliver event", TRACE)) == 2)
        failed, repeated = spans.named("deliver event", TRACE)
        call = spans.named("POST", TRACE)[0]
    assert [span.status.status_code for span in (failed, repeated)] == [StatusCode.ERROR, StatusCode.UNSET]
    assert call.attributes is not None
    assert (call.attributes["error.type"], call.attributes["http.response.status_code"]) == ("UpstreamError", 500)


async def test_a_job_goes_on_in_the_trace_of_the_request_that_set_it_down(database_url: str, tmp_path: Path) -> None:
    async with model_server() as model:
        titles = {"provider": "openai", "model": "local", "base_url": f"{model.url}/v1"}
        async with traced(database_url, tmp_path / "data", titles=titles) as (service, spans):
            ann = service.user("ann")
            path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"
            headers = {"traceparent": PARENT, "X-Request-ID": CAUSE}
            await ann.post(f"{path}/messages", json={"content": "hello"}, headers=headers)
            job = await spans.one("job title", TRACE)
            request = await spans.one("POST /conversations/{conversation_id}/messages", TRACE)
    assert parent_of(job) == request.context.span_id
    assert job.attributes is not None
    assert job.attributes["workbench.correlation_id"] == CAUSE


async def test_the_span_of_a_stream_ends_where_the_stream_begins(sqlite_url: str, tmp_path: Path) -> None:
    async with traced(sqlite_url, tmp_path / "data") as (service, spans):
        ann = service.user("ann")
        async with open_stream(ann, "/events"):
            stream = await spans.one("GET /events")
            assert service.stream_count() == 1
    assert stream.attributes is not None
    assert stream.attributes["http.response.status_code"] == 200
    assert len(spans.named("GET /events")) == 1


async def test_without_the_setting_no_traces_are_made_and_none_are_passed_on(sqlite_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path / "data") as service, service.recorder() as recorder:
        path = await seat(service, recorder)
        await service.user("ann").post(f"{path}/messages", json={"content": "x"}, headers={"traceparent": PARENT})
        await eventually(lambda: "message.created" in told(recorder))
        assert not [request for request in recorder.requests if "traceparent" in request.headers]


def test_without_the_setting_nothing_of_the_sdk_is_loaded(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from workbench.entrypoints.http.app import create_app\n"
        "from workbench.wiring.settings import Settings\n"
        "create_app(Settings.of(data_root=sys.argv[1], tracing={'enabled': sys.argv[2] == 'on'}))\n"
        "print('opentelemetry.sdk.trace' in sys.modules)\n"
    )
    for state, loaded in (("off", "False"), ("on", "True")):
        command = [sys.executable, "-c", program, str(tmp_path), state]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == loaded


@pytest.mark.parametrize(
    ("variables", "name"),
    [({}, "workbench"), ({"OTEL_SERVICE_NAME": "ours"}, "ours"), ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=w"}, "w")],
)
async def test_the_environment_names_the_service(variables: dict[str, str], name: str, tmp_path: Path) -> None:
    with CliRunner().isolation(env={"OTEL_TRACES_EXPORTER": "none", **variables}):
        container = make_container(Settings.of(data_root=tmp_path, tracing=ON))
        assert (await container.get(TracerProvider)).resource.attributes["service.name"] == name
        await container.close()


async def test_an_exporter_that_is_not_known_stops_the_start(tmp_path: Path) -> None:
    container = make_container(Settings.of(data_root=tmp_path, tracing=ON))
    with CliRunner().isolation(env={"OTEL_TRACES_EXPORTER": "zipkin"}), pytest.raises(SettingsError) as caught:
        await container.get(TracerProvider)
    assert "OTEL_TRACES_EXPORTER" in str(caught.value)
    await container.close()


class Collector:
    """Takes in spans as a collector does, by OTLP over HTTP."""

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.requests.append(await read_request(scope, receive))
            await send_json(send, 200, {})


async def test_spans_reach_a_collector_also_those_that_wait_at_the_end(sqlite_url: str, tmp_path: Path) -> None:
    collector = Collector()
    async with serve(collector) as url:
        with CliRunner().isolation(env={"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "60000"}):
            async with running_service(sqlite_url, tmp_path / "data", tracing=ON) as service:
                await service.user("ann").get("/conversations")
                assert not collector.requests
    (sent,) = collector.requests
    assert (sent.method, sent.path) == ("POST", "/v1/traces")
    assert b"GET /conversations" in sent.body


async def test_a_collector_that_is_away_does_not_hold_up_the_end(sqlite_url: str, tmp_path: Path) -> None:
    nobody = ReservedPort()
    with CliRunner().isolation(env={"OTEL_EXPORTER_OTLP_ENDPOINT": nobody.url}):
        async with running_service(sqlite_url, tmp_path / "data", tracing=ON) as service:
            (await service.user("ann").get("/conversations")).raise_for_status()
            began = time.monotonic()
    assert time.monotonic() - began < 5


LINES = {"delivery failed", "request failed", "job failed, trying again"}


@pytest.mark.parametrize("tracing", ["off", "on"])
def test_every_line_of_a_request_a_delivery_and_a_job_names_its_cause(
    tracing: str, sqlite_url: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tests.support.failing_service", sqlite_url, str(tmp_path / "data"), tracing]
    environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    entries = [json.loads(line) for line in finished.stderr.splitlines()]
    ours = [entry for entry in entries if entry["event"] in LINES]
    assert {entry["event"] for entry in ours if entry.get("correlation_id") == FAILING_CAUSE} == LINES, finished.stderr
    assert all(entry.get("correlation_id") for entry in ours)
    assert {"trace_id" in entry and "span_id" in entry for entry in ours} == {tracing == "on"}
    if tracing == "on":
        by_cause = {entry["event"]: entry["trace_id"] for entry in ours if entry["correlation_id"] == FAILING_CAUSE}
        assert by_cause["delivery failed"] == by_cause["job failed, trying again"]
