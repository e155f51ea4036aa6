"""What the service measures of itself, for Prometheus to fetch."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from workbench.adapters.metrics.flows import PrometheusFlows
from workbench.adapters.metrics.sessions import PrometheusSessions
from workbench.domain.delivery.model import Backlog
from workbench.domain.delivery.ports import DeliveryMeter, DeliveryOutcome
from workbench.domain.events.model import Event
from workbench.domain.jobs.ports import DutyMeter
from workbench.domain.rates.ports import RateMeter
from workbench.domain.tickets.model import PushKind
from workbench.domain.tickets.ports import PushMeter, PushResult
from workbench.domain.usage.ports import UsageMeter

MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class PrometheusMeter(DeliveryMeter, DutyMeter, RateMeter, UsageMeter, PushMeter):
    """The values of one application, in a registry of its own; requests are counted where HTTP is, by `Metering`.

    Where several worker processes serve, each writes its values to files in the folder that the environment names,
    and whichever is asked answers for all.
    """

    def __init__(self, *, flows_by_workspace: bool = False) -> None:
        self._registry = CollectorRegistry()
        self.flows = PrometheusFlows(self._registry, by_workspace=flows_by_workspace)
        self.sessions = PrometheusSessions(self._registry)
        events = self._counter("workbench_events", "Events committed to the log by this process.", "type")
        # Looking a label's child up costs more than counting does.
        self._of_type: Callable[[str], Counter] = cache(events.labels)
        self._attempts = self._counter("workbench_delivery_attempts", "Events brought to assistants.", "outcome")
        self._refused = self._counter("workbench_usage_refused", "Bills that came when another one held.", "source")
        self._pushes = Counter(
            "workbench_psa_push", "Notes tried to bring to tickets.", ["kind", "result"], registry=self._registry
        )
        self._push_age = self._gauge("workbench_psa_push_oldest_seconds", "How long the oldest of them has waited.")
        self._commits = self._total("workbench_commits", "Commits of this process; many requests may share one.")
        self._statements = self._total("workbench_write_statements", "Statements sent for them.")
        self._reads = self._total("workbench_read_statements", "Statements sent that only read.")
        self._unscoped = self._total("unscoped_query", "Statements refused since they kept to no workspace: a fault.")
        self._streams = self._gauge("workbench_streams", "Open event streams.", "livesum")
        self._lag_events = self._gauge("workbench_delivery_lag_events", "Events not brought to assistants yet.")
        self._lag_seconds = self._gauge("workbench_delivery_lag_seconds", "How long the oldest of them has waited.")
        self._letters = self._gauge("workbench_dead_letters", "Events set aside because they could not be brought.")
        self._limited = self._counter("workbench_rate_limited", "Requests that came too often.", "route")
        self._interrupted = self._counter("workbench_duty_failures", "Duties begun again as they failed.", "duty")
        self._jobs = Gauge(
            "workbench_jobs_oldest_seconds",
            "How long the job has waited that is due longest.",
            # `job` is what Prometheus calls the service itself.
            ["kind"],
            registry=self._registry,
            multiprocess_mode="mostrecent",
        )

    def _counter(self, name: str, text: str, label: str) -> Counter:
        return Counter(name, text, [label], registry=self._registry)

    def _total(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self._registry)

    def _gauge(self, name: str, text: str, mode: str = "mostrecent") -> Gauge:
        return Gauge(name, text, registry=self._registry, multiprocess_mode=mode)  # pyright: ignore[reportArgumentType]

    def interrupted(self, duty: str) -> None:
        """Count a duty that failed, and is begun again."""
        self._interrupted.labels(duty).inc()

    def attempted(self, outcome: DeliveryOutcome) -> None:
        """Count a call that was to bring an event."""
        self._attempts.labels(outcome).inc()

    def pushed(self, kind: PushKind, result: PushResult) -> None:
        """Count a note that was tried to bring to a ticket."""
        self._pushes.labels(kind, result).inc()

    def oldest_push(self, seconds: float) -> None:
        """Note how long the oldest note waits that is not at its ticket."""
        self._push_age.set(seconds)

    def wrote(self, commits: int, statements: int) -> None:
        """Count what was written to the database."""
        self._commits.inc(commits)
        self._statements.inc(statements)

    def read(self, statements: int) -> None:
        """Count what was read from the database."""
        self._reads.inc(statements)

    def refused_unscoped(self, statements: int) -> None:
        """Count statements that did not keep to their workspace, and were not sent."""
        self._unscoped.inc(statements)

    def usage_refused(self, source: str) -> None:
        """Count a bill that came when another one held."""
        self._refused.labels(source).inc()

    def committed(self, events: Sequence[Event]) -> None:
        """Count events of a commit."""
        for event in events:
            self._of_type(event.type).inc()

    def streams(self, count: int) -> None:
        """Note how many streams this process holds open."""
        self._streams.set(count)

    def backlog(self, backlog: Backlog, lag_seconds: float) -> None:
        """Note what waits for assistants, everywhere."""
        self._lag_events.set(backlog.lag_events)
        self._lag_seconds.set(lag_seconds)
        self._letters.set(backlog.dead_letters)

    def expect_limits(self, routes: Iterable[str]) -> None:
        """Begin to count for these routes."""
        for route in routes:
            self._limited.labels(route)

    def limited(self, route: str) -> None:
        """Count a request that came too often."""
        self._limited.labels(route).inc()

    def jobs(self, oldest_seconds: Mapping[str, float]) -> None:
        """Note how long jobs wait, everywhere, by kind."""
        for kind, seconds in oldest_seconds.items():
            self._jobs.labels(kind).set(seconds)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format, version 0.0.4."""
        if MULTIPROCESS_FOLDER not in os.environ:
            return generate_latest(REGISTRY) + generate_latest(self._registry)
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody)
        return generate_latest(everybody)
