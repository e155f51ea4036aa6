"""For authors of services of flows: a service in a few lines, run by the workbench on whichever bus there is.

upper = FlowService("upper")

@upper.input()
async def answer(data, context):
return data["text"].upper()
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, TypeVar


class ServiceError(Exception):
    """What a service answers instead of a result: the caller sees its code and its message."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        category: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        """`category` is `invalid_request` (answered with 422), `unavailable` (503), or None (502)."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.category = category
        self.retry_after_seconds = retry_after_seconds


class BusyError(Exception):
    """What the service stands on asks for patience: the request is tried again, for as long as its caller waits."""

    def __init__(self, message: str = "The service is busy.", *, retry_after_seconds: float | None = None) -> None:
        """`retry_after_seconds` is when it is worth trying again, where that is known."""
        super().__init__(message)
        self.message = message
        self.retry_after_seconds = retry_after_seconds


class Usage(NamedTuple):
    """What an answer took of a model."""

    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Final:
    """Returned, or yielded last, by a handler that has more to say than data."""

    def __init__(self, *data: Any, usage: Usage | None = None) -> None:
        """At most one value: that of the last part. Without it the answer ends with the parts before."""
        self.data = data[:1]
        self.usage = usage


class Reply(Protocol):
    """What another service answered."""

    @property
    def data(self) -> Any:
        """What it said."""
        ...


class Output(Protocol):
    """A topic to send to."""

    async def send(self, data: Any) -> None:
        """Send."""
        ...


class Callee(Protocol):
    """A service to ask."""

    async def request(self, data: Any, *, seconds: float | None = None) -> Reply:
        """Ask, for at most so long, and never longer than one's own caller waits."""
        ...


class FlowContext(Protocol):
    """What a handler is given with each request."""

    @property
    def workspace(self) -> str:
        """The workspace that the request came from."""
        ...

    @property
    def flow_id(self) -> str:
        """The flow that it came through."""
        ...

    @property
    def service(self) -> str:
        """The name of the service."""
        ...

    @property
    def request_id(self) -> str:
        """The id of the request."""
        ...

    @property
    def lost(self) -> int:
        """How many messages were lost right before this one, on a topic that all may hear."""
        ...

    def param(self, name: str, default: Any = ...) -> Any:
        """A parameter that the blueprint gives. Raises KeyError for one that it does not, where there is no default."""
        ...

    def output(self, name: str) -> Output:
        """A topic that was declared as an output."""
        ...

    def call(self, name: str) -> Callee:
        """A service that was declared as one to ask. Raises KeyError where the blueprint leaves it out."""
        ...

    def seconds_left(self) -> float:
        """How long the caller still waits."""
        ...


Handler = TypeVar("Handler", bound=Callable[..., Any])


Overflow = Literal["fail", "drop_oldest", "drop_new"]


class DeclaredInput(NamedTuple):
    """A topic that a service reads."""

    name: str
    handler: Callable[..., Any]
    reply: str | None
    concurrency: int
    on_overflow: Overflow


class DeclaredCall(NamedTuple):
    """Another service that it asks."""

    name: str
    request: str
    response: str
    optional: bool


class FlowService:
    """A service of flows, by the name that blueprints call it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.inputs: list[DeclaredInput] = []
        self.outputs: list[str] = []
        self.calls: list[DeclaredCall] = []

    def input(
        self,
        name: str = "request",
        *,
        reply: str | None = "response",
        concurrency: int = 4,
        on_overflow: Overflow = "drop_oldest",
    ) -> Callable[[Handler], Handler]:
        """Have a function answer what comes on a topic: the names are those of the blueprint.

        It takes the data and the context. What a function returns is the answer; an async generator answers in parts.
        A plain function runs in a thread. With `reply=None` nobody waits: work that fails is done again. On a topic of
        class notify every process that runs the service hears every message, one after another, and what fails is not
        done again; `on_overflow` says what is lost where they come faster than they are attended to, which
        `context.lost` counts.
        """

        def declare(handler: Handler) -> Handler:
            self.inputs.append(DeclaredInput(name, handler, reply, concurrency, on_overflow))
            return handler

        return declare

    def output(self, name: str) -> "FlowService":
        """Declare a topic that it sends to."""
        self.outputs.append(name)
        return self

    def asks(
        self, name: str, *, request: str | None = None, response: str | None = None, optional: bool = False
    ) -> "FlowService":
        """Declare a service that it asks, by the names of two topics: `<name>-request` and `<name>-response`."""
        self.calls.append(DeclaredCall(name, request or f"{name}-request", response or f"{name}-response", optional))
        return self
