"""What a handler is given with a request: whose it is, parameters, and the services it may ask."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET

from workbench.domain.bus.calls import Reply
from workbench.domain.bus.errors import BusError
from workbench.domain.bus.model import Header, Message
from workbench.domain.bus.ports import BusMeter, MessageBus
from workbench.domain.bus.requesting import Requester, cause_headers
from workbench.domain.bus.services import Assignment, Context, ServiceDefinition

SEND_SECONDS = 30.0


class Run(msgspec.Struct, frozen=True):
    """What a run was begun with: its message, whose it is where its topic says so, and how long its caller waits.

    `lost` counts the messages that a slow listener missed right before it.
    """

    message: Message
    workspace_id: str | None
    left: Callable[[], float]
    lost: int = 0


class HostMeans(NamedTuple):
    """What all runs of an instance have in common."""

    bus: MessageBus
    meter: BusMeter
    calls: Mapping[str, Requester]


class RunContext(Context):
    """The context of one run."""

    def __init__(
        self,
        assignment: Assignment,
        definition: ServiceDefinition,
        run: Run,
        means: HostMeans,
    ) -> None:
        message = run.message
        # The flow that the request came by; a service that several share is of each of them.
        self.workspace = run.workspace_id or message.text("wb-workspace") or ""
        self.flow_id = message.text("wb-flow") or assignment.flow_id
        self.service = definition.name
        self.request_id = message.request_id or ""
        self.lost = run.lost
        self.kind: Literal["request", "flow"] = "request" if message.kind == "request" else "flow"
        self._generation = message.number("wb-gen") or assignment.generation
        self._assignment = assignment
        self._definition = definition
        self._bus = means.bus
        self._meter = means.meter
        self._calls = means.calls
        self._left = run.left

    def param(self, name: str, default: Any = UNSET) -> Any:
        """A parameter."""
        if name in self._assignment.parameters:
            return self._assignment.parameters[name]
        if default is UNSET:
            raise KeyError(name)
        return default

    def output(self, name: str) -> "BoundOutput":
        """A topic to send to."""
        if name not in self._definition.outputs:
            raise KeyError(name)
        topic = self._assignment.topics[name]
        headers: dict[str, Header] = {"wb-v": 1, **self._stamps(), **cause_headers()}
        return BoundOutput(self._bus, topic, self.request_id, headers, self._published(name))

    def _published(self, name: str) -> Callable[[str, float], None]:
        return lambda outcome, seconds: self._meter.published(self.service, name, outcome, seconds)

    def call(self, name: str) -> "BoundCall":
        """A service to ask."""
        return BoundCall(self._calls[name], self._left, self._stamps())

    def _stamps(self) -> dict[str, Header]:
        """In whose name it sends: the flow's that its request came by."""
        return {"wb-workspace": self.workspace, "wb-flow": self.flow_id, "wb-gen": self._generation}

    def seconds_left(self) -> float:
        """How long the caller still waits."""
        return self._left()


class BoundOutput:
    """A topic that a run sends to, in the name of its flow."""

    def __init__(
        self,
        bus: MessageBus,
        topic: str,
        request_id: str,
        headers: dict[str, Header],
        published: Callable[[str, float], None],
    ) -> None:
        self._published = published
        self._bus = bus
        self._topic = topic
        self._request_id = request_id
        self._headers = headers

    async def send(self, data: Any) -> None:
        """Publish."""
        message = Message(body=msgspec.json.encode(data), request_id=self._request_id, headers=self._headers)
        began, outcome = time.monotonic(), "unknown"
        try:
            await self._bus.publish(self._topic, message, SEND_SECONDS)
            outcome = "ok"
        except BusError as error:
            outcome = error.code
            raise
        finally:
            self._published(outcome, time.monotonic() - began)


class BoundCall:
    """A service that a run asks, within the run's own time."""

    def __init__(self, requester: Requester, left: Callable[[], float], stamps: Mapping[str, Header]) -> None:
        self._requester = requester
        self._left = left
        self._stamps = stamps

    async def request(self, data: Any, *, seconds: float | None = None) -> Reply:
        """Ask."""
        left = max(self._left(), 0.05)
        lasts = left if seconds is None else min(seconds, left)
        return await self._requester.request(data, seconds=lasts, stamps=self._stamps)
