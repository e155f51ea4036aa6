"""Buses for tests, services on them, and clients of these."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from prometheus_client import CollectorRegistry

from workbench.adapters.bus.in_process import InProcessBus
from workbench.adapters.bus.rabbit_link import RabbitTimes
from workbench.adapters.bus.rabbitmq import RabbitBus
from workbench.adapters.metrics.flows import PrometheusFlows
from workbench.domain.bus.calls import CallLimits, Route
from workbench.domain.bus.errors import BusUnavailableError, CallError
from workbench.domain.bus.hosting import HostMemory, control_reader
from workbench.domain.bus.model import Message
from workbench.domain.bus.ports import Delivery, MessageBus, Subscription
from workbench.domain.bus.requesting import ProcessCalls, Requester
from workbench.domain.bus.services import Assignment, Calls, Input, ServiceDefinition
from workbench.domain.bus.serving import HostTimes, ServiceInstance

QUICK = RabbitTimes(
    queue_length=1000, heartbeat_seconds=2, probe_seconds=0.5, probe_patience_seconds=0.5, blocked_notice_seconds=0.2
)


class BusBench:
    """One bus, or the same broker seen by several processes: `replica` is another of them."""

    def __init__(self, make: Callable[[], MessageBus], shares: bool) -> None:
        self._make = make
        self._shares = shares
        self.registry = CollectorRegistry()
        self.meter = PrometheusFlows(self.registry)
        self.bus: MessageBus
        self._buses: list[MessageBus] = []
        self._mark = uuid4().hex[:8]
        self.topics: list[str] = []

    async def replica(self) -> MessageBus:
        """What another process would use. Inside a process there is only the one bus."""
        if self._buses and not self._shares:
            return self._buses[0]
        bus = self._make()
        await bus.start()
        self._buses.append(bus)
        return bus

    async def topic(self, topic_class: str, name: str = "t") -> str:
        """A topic of the test's own."""
        topic = f"{topic_class}:wb:{self._mark}:{name}"
        await self.bus.create_topic(topic)
        self.topics.append(topic)
        return topic

    def process(self, **limits: Any) -> ProcessCalls:
        return ProcessCalls(self.meter, CallLimits(**limits))

    async def requester(
        self, *, bus: MessageBus | None = None, process: ProcessCalls | None = None, **options: Any
    ) -> Requester:
        request, response = await self.topic("request", "s"), await self.topic("response", "s")
        place = {"workspace_id": "acme", "flow_id": "f1", "generation": 1, "interface": "ask"}
        route = Route(**{**place, "request": request, "response": response, **options})
        return Requester(bus or self.bus, route, process or self.process())

    def held(self) -> list[tuple[int, int]]:
        """How many queues each bus reads, and how many channels it has open for that."""
        return [(len(bus._subscriptions), _channels(bus)) for bus in self._buses if isinstance(bus, RabbitBus)]

    def count(self, name: str, **labels: str) -> float:
        """The value of a metric."""
        return self.registry.get_sample_value(name, labels) or 0.0

    async def close(self) -> None:
        for topic in self.topics:
            await self._delete(topic)
        for bus in self._buses:
            await bus.close()

    async def _delete(self, topic: str) -> None:
        """Also where the broker has closed the connection a moment ago, and it is being made anew."""
        async with asyncio.timeout(15):
            while True:
                try:
                    await self.bus.delete_topic(topic, [f"{topic}/s/request", f"{topic}/w/work"])
                except BusUnavailableError:
                    await asyncio.sleep(0.05)
                else:
                    return


def _channels(bus: RabbitBus) -> int:
    links = (bus._publishing._connection, bus._consuming._connection)
    return sum(len(link.transport.connection.channels) for link in links if link is not None and link.transport)


class Host:
    """A process that serves."""

    def __init__(
        self, bus: MessageBus, instance: ServiceInstance, memory: HostMemory, control: asyncio.Task[None]
    ) -> None:
        self.bus = bus
        self.instance = instance
        self.memory = memory
        self._control = control

    async def stop(self, drain_seconds: float = 0) -> None:
        await self.instance.stop(drain_seconds)
        self._control.cancel()
        await asyncio.gather(self._control, return_exceptions=True)


@asynccontextmanager
async def serving(
    bench: BusBench,
    handler: Callable[..., Any],
    *,
    bus: MessageBus | None = None,
    concurrency: int = 4,
    calls: Sequence[Calls] = (),
    assigned: Mapping[str, Any] | None = None,
    **times: Any,
) -> AsyncGenerator[Host]:
    """Serve requests on the bench's topics, or others that it is assigned, with a handler."""
    on = bus or bench.bus
    request, response = await bench.topic("request", "s"), await bench.topic("response", "s")
    memory = HostMemory()
    an_input = Input(handler=handler, concurrency=concurrency)
    definition = ServiceDefinition(name="s", inputs=(an_input,), calls=tuple(calls))
    place = {"key": "acme/s/acme.f1", "workspace_id": "acme", "flow_id": "f1", "generation": 1, "service": "s"}
    topics = {"request": request, "response": response}
    assignment = Assignment(**{**place, "topics": topics, "parameters": {}, **(assigned or {})})
    instance = ServiceInstance(on, definition, assignment, memory, bench.process(), HostTimes(**times))
    control = asyncio.create_task(control_reader(on, memory).run())
    await instance.start()
    host = Host(on, instance, memory, control)
    try:
        yield host
    finally:
        await host.stop()


@asynccontextmanager
async def in_process_bench() -> AsyncGenerator[BusBench]:
    bench = BusBench(InProcessBus, shares=False)
    bench.bus = await bench.replica()
    try:
        yield bench
    finally:
        await bench.close()


@asynccontextmanager
async def rabbit_bench(url: str, times: RabbitTimes = QUICK) -> AsyncGenerator[BusBench]:
    registry: list[BusBench] = []
    bench = BusBench(lambda: RabbitBus(url, registry[0].meter, times), shares=True)
    registry.append(bench)
    bench.bus = await bench.replica()
    try:
        yield bench
    finally:
        await bench.close()


async def read(subscription: Subscription, count: int = 1, seconds: float = 10) -> list[Delivery]:
    """So many deliveries."""
    found: list[Delivery] = []
    async with asyncio.timeout(seconds):
        async for delivery in subscription:
            found.append(delivery)
            if len(found) == count:
                break
    return found


async def eventually(true: Callable[[], Any], seconds: float = 15) -> None:
    """Wait until it is so."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            raise AssertionError("it did not come to be")
        await asyncio.sleep(0.01)


async def failing(awaitable: Any) -> CallError:
    """The error that a call ends with."""
    try:
        await awaitable
    except CallError as error:
        return error
    raise AssertionError("it did not fail")


def said(replies: Sequence[Any]) -> list[Any]:
    """What replies said."""
    return [(reply.kind, reply.data) for reply in replies]


def plain(body: bytes, request_id: str | None = None, **headers: Any) -> Message:
    """A message as somebody else would send it."""
    return Message(body=body, request_id=request_id, headers=headers)
