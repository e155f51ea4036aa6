"""Requests to a flow's service: through the gateway over HTTP, and over the bus directly, on either bus."""

import asyncio
import contextlib
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from tests.support.rabbitmq import PROGRAMS, new_broker, stop

from benchmarks.client import Connection, closed_loop, quantile
from benchmarks.scenarios import Effort, Figure, connect
from benchmarks.servers import Server, workbench
from workbench.adapters.bus.in_process import InProcessBus
from workbench.adapters.bus.rabbitmq import RabbitBus
from workbench.adapters.metrics.flows import PrometheusFlows
from workbench.domain.bus.calls import Route
from workbench.domain.bus.errors import CallError
from workbench.domain.bus.hosting import HostMemory
from workbench.domain.bus.ports import MessageBus
from workbench.domain.bus.requesting import ProcessCalls, Requester
from workbench.domain.bus.services import Assignment, Input, ServiceDefinition
from workbench.domain.bus.serving import ServiceInstance
from workbench.sdk.flows import FlowContext, FlowService

CALLERS = (1, 64)
INSIDE = "flows on the bus inside"
REQUEST, RESPONSE = "request:wb:{workspace}:bench:{id}", "response:wb:{workspace}:bench:{id}"
BLUEPRINT = {
    "services": [{"service": "bench", "topics": {"request": REQUEST, "response": RESPONSE}}],
    "interfaces": {"ask": {"request": REQUEST, "response": RESPONSE}},
}
ROOT = Path(__file__).parents[1]

services = FlowService("bench")


@services.input(concurrency=64)
async def answer(data: Any, _: FlowContext) -> Any:
    """Say it again."""
    return data


@contextlib.contextmanager
def broker(folder: Path) -> Generator[str]:
    """Run a RabbitMQ of our own in the folder, with one scheduler; gives its URL."""
    if not (PROGRAMS / "rabbitmq-server").exists():
        raise SystemExit("RabbitMQ is not installed: apt-get install rabbitmq-server")
    own = new_broker(folder)
    pids = own.start()
    try:
        yield own.url()
    finally:
        stop(pids)


async def measured(server: Server, bus: MessageBus, effort: Effort) -> list[Figure]:
    """Call through the server, then over a bus of our own, from 1 and from 64 callers."""
    through = await _through_gateway(server, effort)
    directly = await _directly(bus, effort)
    figures: list[Figure] = []
    for count, (rate, took), (bare_rate, bare_took) in zip(CALLERS, through, directly, strict=True):
        name = f"{count} caller{'s' if count > 1 else ''}"
        added = quantile(took, 0.5) - quantile(bare_took, 0.5)
        figures += [
            Figure(f"{name}, bus alone", bare_rate, "/s"),
            Figure(f"{name}, bus alone p50", quantile(bare_took, 0.5) * 1e3, "ms"),
            Figure(f"{name}, bus alone p99", quantile(bare_took, 0.99) * 1e3, "ms"),
            Figure(f"{name}, gateway", rate, "/s"),
            Figure(f"{name}, gateway p50", quantile(took, 0.5) * 1e3, "ms"),
            Figure(f"{name}, gateway p99", quantile(took, 0.99) * 1e3, "ms"),
            Figure(f"{name}, p50 added by the gateway", added * 1e3, "ms"),
        ]
    return figures


Measured = tuple[float, list[float]]


async def _through_gateway(server: Server, effort: Effort) -> list[Measured]:
    await _once(server, "PUT", "/flow-blueprints/bench", BLUEPRINT)
    await _once(server, "POST", "/flows?wait=ready", {"flow_id": "bench", "blueprint": "bench"})
    found: list[Measured] = []
    for count in CALLERS:
        connections: list[Connection] = await connect(server, count)
        found.append(await closed_loop(connections, _asking, effort.seconds))
        for connection in connections:
            connection.close()
    await _once(server, "DELETE", "/flows/bench")
    return found


async def _once(server: Server, method: str, path: str, body: Any = None) -> None:
    """Ask on a connection of its own: one that rests while others are measured is closed by the server."""
    connection = (await connect(server, 1))[0]
    await connection.json(method, path, body)
    connection.close()


def _asking(_: int, count: int) -> tuple[str, str, Any]:
    return "POST", "/flows/bench/services/ask", {"n": count}


async def _directly(bus: MessageBus, effort: Effort) -> list[Measured]:
    await bus.start()
    topics = {"request": "request:wb:bare", "response": "response:wb:bare"}
    for topic in topics.values():
        await bus.create_topic(topic)
    process = ProcessCalls(PrometheusFlows(CollectorRegistry()))
    definition = ServiceDefinition(name="bench", inputs=(Input(handler=answer, concurrency=64),))
    assignment = Assignment(
        key="k", workspace_id=None, flow_id="f", generation=1, service="bench", topics=topics, parameters={}
    )
    instance = ServiceInstance(bus, definition, assignment, HostMemory(), process)
    await instance.start()
    route = Route(
        workspace_id="w",
        flow_id="f",
        generation=1,
        interface="ask",
        request=topics["request"],
        response=topics["response"],
    )
    requester = Requester(bus, route, process)
    await requester.request(0)
    found = [await _ask_on(requester, count, effort.seconds) for count in CALLERS]
    await requester.close(CallError("closed", ""), 0)
    await instance.stop(0)
    for topic in topics.values():
        await bus.delete_topic(topic, [f"{topic}/bench/request"])
    await bus.close()
    return found


async def _ask_on(requester: Requester, count: int, seconds: float) -> Measured:
    end = time.perf_counter() + seconds
    took: list[float] = []

    async def one() -> None:
        while (begun := time.perf_counter()) < end:
            await requester.request({"n": len(took)})
            took.append(time.perf_counter() - begun)

    await asyncio.gather(*[one() for _ in range(count)])
    return len(took) / seconds, took


async def flowing(folder: Path, effort: Effort, amqp_url: str | None) -> dict[str, list[Figure]]:
    """Measure the bus inside the process, and RabbitMQ where a URL says where there is one."""
    meter = PrometheusFlows(CollectorRegistry())
    buses: dict[str, tuple[str, MessageBus]] = {INSIDE: ("inprocess://", InProcessBus())}
    if amqp_url is None:
        print("RabbitMQ is left out: --rabbitmq starts one, --amqp-url says where there is one\n")
    else:
        buses["flows on RabbitMQ"] = (amqp_url, RabbitBus(amqp_url, meter))
    columns: dict[str, list[Figure]] = {}
    for number, (kind, (url, bus)) in enumerate(buses.items()):
        more = {
            "WORKBENCH__BUS__URL": url,
            "WORKBENCH__FLOWS__SERVICES": "benchmarks.flows:services",
            "PYTHONPATH": str(ROOT),
        }
        with workbench(kind, folder / f"flows-{number}", None, more) as server:
            columns[kind] = await measured(server, bus, effort)
    return columns
