"""A span for each request, around the whole application."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from opentelemetry.trace import Span, Status, StatusCode, use_span

from workbench.adapters.tracing.spans import CORRELATION, Spans, is_fault, parent_of
from workbench.domain.ids import correlation_id, trace_parent

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]

UNTRACED = frozenset({"/", "/livez", "/readyz", "/metrics"})
"""What asks every few seconds, and says nothing."""
CARRIED = (b"traceparent", b"tracestate")


class TracedRequests:
    """ASGI middleware that continues a caller's trace, or begins one.

    A stream's span ends where the stream begins, since it may be open for hours.
    """

    def __init__(self, app: App, spans: Callable[[], Awaitable[Spans]]) -> None:
        self._app = app
        self._ask = spans
        self._spans: Spans | None = None

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in UNTRACED:
            await self._app(scope, receive, send)
            return
        if self._spans is None:
            self._spans = await self._ask()
        carrier = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in CARRIED}
        span = self._spans.of_request(scope["method"], carrier)
        with use_span(span, record_exception=False, set_status_on_exception=False):
            trace_parent.set(parent_of(span))
            try:
                await self._app(scope, receive, _noting(span, scope, send))
            finally:
                _end(span, scope)


def _noting(span: Span, scope: Any, send: Send) -> Send:
    async def noted(message: Message) -> None:
        if message["type"] == "http.response.start":
            span.set_attribute("http.response.status_code", message["status"])
            if is_fault(message["status"]):
                span.set_status(Status(StatusCode.ERROR))
            if _is_stream(message):
                _end(span, scope)
        await send(message)

    return noted


def _is_stream(message: Message) -> bool:
    return any(name.lower() == b"content-type" and b"event-stream" in value for name, value in message["headers"])


def _end(span: Span, scope: Any) -> None:
    """Name the span by the route, which is known by now, and end it unless it has ended."""
    if not span.is_recording():
        return
    route = scope.get("path_template")
    if route:
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.route", route)
    span.set_attribute(CORRELATION, correlation_id.get())
    span.end()
