"""The spans that the service makes, named and described by OpenTelemetry's conventions.

They say which route, which service and which event, never what was said: no queries, bodies, addresses of callers.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from importlib.metadata import version

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    Status,
    StatusCode,
    TracerProvider,
    get_current_span,
    set_span_in_context,
    use_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from workbench.domain.errors import UpstreamError
from workbench.domain.ids import correlation_id, trace_parent

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
CORRELATION = "workbench.correlation_id"

Attributes = Mapping[str, str | int]

# Only this one, whatever the environment names: baggage of our callers is not for assistant services to read.
PROPAGATOR = TraceContextTextMapPropagator()


class Spans:
    """Makes spans of one application."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("workbench", version("workbench"))

    def of_request(self, method: str, carrier: Mapping[str, str]) -> Span:
        """Begin the span of a request, in the trace that its headers name or in a new one. Whoever asks ends it."""
        known = method if method in METHODS else "_OTHER"
        return self._tracer.start_span(
            "HTTP" if known == "_OTHER" else known,
            context=PROPAGATOR.extract(carrier, context=Context()),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": known},
        )

    @contextmanager
    def inner(self, name: str, attributes: Attributes) -> Generator[None]:
        """Make a span of what is done in the block for what goes on already."""
        with self._made(self._tracer.start_span(name, context=_cause(), attributes=attributes)):
            yield

    @contextmanager
    def consumer(self, name: str, attributes: Attributes) -> Generator[None]:
        """Make a span of what is done in the block, later, for what another span has stored.

        It goes on in that span's trace, and links to it, as the conventions for messages ask.
        """
        cause = _cause()
        links = [
            Link(span.get_span_context()) for span in [get_current_span(cause)] if span.get_span_context().is_valid
        ]
        everything = {**attributes, CORRELATION: correlation_id.get()}
        span = self._tracer.start_span(name, cause, SpanKind.CONSUMER, everything, links)
        with self._made(span):
            # What is logged, and what is set down in the block, belongs to this span.
            token = trace_parent.set(parent_of(span))
            try:
                yield
            finally:
                trace_parent.reset(token)

    @contextmanager
    def caller(self, name: str, attributes: Attributes) -> Generator[str | None]:
        """Make a span of a request that is sent by other means than HTTP; gives what the other side goes on with.

        It is nobody else's parent: what it is asked for may be read elsewhere than where it was begun.
        """
        span = self._tracer.start_span(name, _cause(), SpanKind.CLIENT, attributes)
        try:
            yield parent_of(span)
        except BaseException as error:
            _note(span, error)
            raise
        finally:
            span.end()

    @contextmanager
    def client(self, method: str, attributes: Attributes) -> Generator[dict[str, str]]:
        """Make a span of the call in the block; the block gets the headers that let the other side go on."""
        everything = {"http.request.method": method, **attributes}
        with self._made(self._tracer.start_span(method, _cause(), SpanKind.CLIENT, everything)):
            headers: dict[str, str] = {}
            PROPAGATOR.inject(headers)
            yield headers

    @contextmanager
    def _made(self, span: Span) -> Generator[None]:
        # The text of an error may repeat what somebody said; its kind may not.
        with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield
            except BaseException as error:
                _note(span, error)
                raise


def parent_of(span: Span) -> str | None:
    """Say where in its trace a span is, as a `traceparent`; None where it is in none."""
    carrier: dict[str, str] = {}
    PROPAGATOR.inject(carrier, set_span_in_context(span, Context()))
    return carrier.get("traceparent")


def _cause() -> Context | None:
    """What goes on in this task, or else what it was caused by."""
    if get_current_span().get_span_context().is_valid:
        return None
    parent = trace_parent.get()
    return PROPAGATOR.extract({"traceparent": parent} if parent else {}, context=Context())


def _note(span: Span, error: BaseException) -> None:
    span.set_attribute("error.type", type(error).__name__)
    if isinstance(error, UpstreamError) and error.status is not None:
        span.set_attribute("http.response.status_code", int(error.status))
    if not isinstance(error, GeneratorExit):
        span.set_status(Status(StatusCode.ERROR))


def is_fault(status: int) -> bool:
    """Whether an answer says that the service, not the caller, is at fault."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR
