"""What a service is, as its author declares it, and what its handlers are given."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from workbench.domain.bus.calls import Overflow, Reply, Usage

Handler = Callable[[Any, Any], Any]
"""Takes the data of a request and its context. A coroutine or plain function returns the result; an async generator
yields parts. A plain function runs in a thread."""


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """A topic that a service reads: by its name in the blueprint, and where replies go, if to anywhere.

    `on_overflow` is for topics that all may hear, where messages do not wait for who is slow.
    """

    name: str = "request"
    handler: Handler
    reply: str | None = "response"
    concurrency: int = 4
    on_overflow: Overflow = "drop_oldest"


class Calls(msgspec.Struct, frozen=True, kw_only=True):
    """Another service that this one asks: the names of the two topics. An optional one may be left out of blueprints."""

    name: str
    request: str
    response: str
    optional: bool = False


class ServiceDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A service: what it reads, what it writes to, whom it asks."""

    name: str
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...] = ()
    calls: tuple[Calls, ...] = ()


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """An instance of a service that is to run: for one flow, or for all that share its variant.

    `crossing` names those of its topics by which messages of several workspaces come.
    """

    key: str
    workspace_id: str | None
    flow_id: str
    generation: int
    service: str
    topics: Mapping[str, str]
    parameters: Mapping[str, Any]
    crossing: frozenset[str] = frozenset()

    def workspace_by(self, topic_name: str) -> str | None:
        """Whose everything is that comes by a topic; None where each message says so itself."""
        return None if topic_name in self.crossing else self.workspace_id


class Final(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler returns, or yields last, where it has more to say than data."""

    data: Any = UNSET
    usage: Usage | UnsetType = UNSET


class Output(Protocol):
    """A topic that a service sends to."""

    async def send(self, data: Any) -> None:
        """Publish. Raises BusError."""
        ...


class Callee(Protocol):
    """A service that this one asks."""

    async def request(self, data: Any, *, seconds: float | None = None) -> Reply:
        """Ask, within the time that is left for the request in hand. Raises CallError."""
        ...


class Context(Protocol):
    """What a handler is given with each request."""

    workspace: str
    flow_id: str
    service: str
    request_id: str
    kind: Literal["request", "flow"]
    lost: int

    def param(self, name: str, default: Any = UNSET) -> Any:
        """A parameter of the blueprint. Raises KeyError for one that is not declared and has no default."""
        ...

    def output(self, name: str) -> Output:
        """A topic to send to."""
        ...

    def call(self, name: str) -> Callee:
        """A service to ask. Raises KeyError for one that the blueprint leaves out."""
        ...

    def seconds_left(self) -> float:
        """How long the caller still waits."""
        ...
