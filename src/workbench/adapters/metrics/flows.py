"""What is measured of the message bus and of flows."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from workbench.domain.bus.ports import Asked, BusMeter
from workbench.domain.flows.ports import FlowMeter

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 150.0, 300.0, 600.0)
MOST_NAMES = 200
"""Names are chosen by authors of blueprints: those beyond so many are counted as one, lest they be without end. Of
workspaces, where they are told apart, there may be as many.
"""
OTHER = "other"
STATES = ("starting", "running", "stopping", "stopped", "failed")


class PrometheusFlows(BusMeter, FlowMeter):
    """The values of one application, in its registry."""

    def __init__(self, registry: CollectorRegistry, *, by_workspace: bool = False) -> None:
        """`by_workspace`: requests are counted for each workspace by itself."""
        self._registry = registry
        self._names: set[str] = set()
        self._workspaces: set[str] = set()
        whose = ("workspace",) if by_workspace else ()
        self._up = self._gauge("workbench_bus_connection_up", "Whether a connection to the broker is up.", "role")
        self._blocked = self._gauge("workbench_bus_blocked", "Whether the broker takes no messages.")
        self._reconnects = self._counter("workbench_bus_reconnects", "Connections made again.", "role", "cause")
        self._published = self._counter("workbench_bus_published", "Messages sent.", "service", "output", "outcome")
        self._publishing = self._histogram(
            "workbench_bus_publish_seconds", "From sending to the bus's word.", "service"
        )
        self._readers = self._gauge("workbench_bus_consumer_up", "Inputs that are read.", "service", "input")
        self._subscribers = self._gauge(
            "workbench_bus_subscriber_up", "Interfaces whose replies are read.", "interface"
        )
        self._consumed = self._counter("workbench_bus_consumed", "Requests served.", "service", "input", "outcome")
        self._handling = self._histogram("workbench_bus_handler_seconds", "Serving a request.", "service", "input")
        self._limited = self._counter("workbench_bus_rate_limited", "Waits for a busy upstream.", "service", "input")
        self._received = self._counter("workbench_bus_received", "Replies that came.", "interface", "kind")
        self._dropped = self._counter("workbench_bus_dropped", "Replies nobody was given.", "interface", "reason")
        self._requests = self._counter(
            "workbench_flow_requests", "Requests that ended.", "interface", *whose, "outcome"
        )
        self._lasted = self._histogram("workbench_flow_request_seconds", "From asking to the end.", "interface", *whose)
        self._first = self._histogram(
            "workbench_flow_first_reply_seconds", "From asking to a reply.", "interface", *whose
        )
        self._flying = self._gauge("workbench_flow_requests_in_flight", "Requests under way.", "interface", *whose)
        self._mailboxes = self._gauge("workbench_flow_mailbox_bytes", "Replies that wait for their callers.")
        self._timeouts = self._counter("workbench_flow_timeouts", "Requests out of time.", "interface", *whose, "phase")
        self._is_by_workspace = by_workspace
        self._flows = self._gauge("workbench_flows", "Flows.", "state", mode="mostrecent")
        self._transitions = self._counter("workbench_flow_transitions", "Changes of state.", "from", "to")
        self._topics = self._counter("workbench_flow_topics", "Topics of ended flows.", "class", "outcome")
        self._pending = self._gauge("workbench_flow_topics_pending", "Topics still to be deleted.", mode="mostrecent")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, registry=self._registry, buckets=BUCKETS)

    def _gauge(self, name: str, text: str, *labels: str, mode: str = "livesum") -> Gauge:
        return Gauge(name, text, labels, registry=self._registry, multiprocess_mode=mode)  # pyright: ignore[reportArgumentType]

    def _bounded(self, name: str) -> str:
        return _among(self._names, name)

    def _of(self, asked: Asked) -> tuple[str, ...]:
        name = self._bounded(asked.interface)
        return (name, _among(self._workspaces, asked.workspace_id)) if self._is_by_workspace else (name,)

    def published(self, service: str, output: str, outcome: str, seconds: float) -> None:
        """Count, and note how long."""
        name = self._bounded(service)
        self._published.labels(name, self._bounded(output), outcome).inc()
        self._publishing.labels(name).observe(seconds)

    def reading(self, service: str, input_name: str, change: int) -> None:
        """Add."""
        self._readers.labels(self._bounded(service), self._bounded(input_name)).inc(change)

    def subscribed(self, interface: str, change: int) -> None:
        """Add."""
        self._subscribers.labels(self._bounded(interface)).inc(change)

    def consumed(self, service: str, input_name: str, outcome: str, seconds: float) -> None:
        """Count, and note how long."""
        names = self._bounded(service), self._bounded(input_name)
        self._consumed.labels(*names, outcome).inc()
        self._handling.labels(*names).observe(seconds)

    def rate_limited(self, service: str, input_name: str) -> None:
        """Count."""
        self._limited.labels(self._bounded(service), self._bounded(input_name)).inc()

    def received(self, interface: str, kind: str) -> None:
        """Count."""
        known = kind if kind in ("part", "final", "error", "keepalive", "plain") else OTHER
        self._received.labels(self._bounded(interface), known).inc()

    def dropped(self, interface: str, reason: str) -> None:
        """Count."""
        self._dropped.labels(self._bounded(interface), reason).inc()

    def requested(self, asked: Asked, outcome: str, seconds: float, first_seconds: float | None) -> None:
        """Count, and note how long."""
        place = self._of(asked)
        self._requests.labels(*place, outcome).inc()
        self._lasted.labels(*place).observe(seconds)
        if first_seconds is not None:
            self._first.labels(*place).observe(first_seconds)

    def timed_out(self, asked: Asked, phase: str) -> None:
        """Count."""
        self._timeouts.labels(*self._of(asked), phase).inc()

    def in_flight(self, asked: Asked, change: int) -> None:
        """Add."""
        self._flying.labels(*self._of(asked)).inc(change)

    def mailboxes(self, used_bytes: int) -> None:
        """Note."""
        self._mailboxes.set(used_bytes)

    def reconnected(self, role: str, cause: str) -> None:
        """Count."""
        self._reconnects.labels(role, cause).inc()

    def connection(self, role: str, *, is_up: bool) -> None:
        """Note."""
        self._up.labels(role).set(is_up)

    def blocked(self, *, is_blocked: bool) -> None:
        """Note."""
        self._blocked.set(is_blocked)

    def transitioned(self, before: str, after: str) -> None:
        """Count."""
        self._transitions.labels(before, after).inc()

    def topics(self, topic_class: str, outcome: str, count: int) -> None:
        """Count."""
        self._topics.labels(topic_class, outcome).inc(count)

    def flows(self, counts: dict[str, int], pending: int) -> None:
        """Note how many there are, everywhere."""
        for state in STATES:
            self._flows.labels(state).set(counts.get(state, 0))
        self._pending.set(pending)


def _among(known: set[str], name: str) -> str:
    """The name itself, while there are not too many."""
    if name not in known:
        if len(known) >= MOST_NAMES:
            return OTHER
        known.add(name)
    return name
