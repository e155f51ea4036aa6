"""What is measured of troubleshooting sessions: most of it is told by their events, the rest by who starts and refuses."""

from collections.abc import Sequence
from typing import Any, get_args

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from workbench.domain.events.model import Event
from workbench.domain.playbooks.confidence import Tier
from workbench.domain.playbooks.steps import Source
from workbench.domain.troubleshooting.generations import GenerationMeter, GenerationType, Outcome
from workbench.domain.troubleshooting.metering import Decision, SessionMeter, StreamResult
from workbench.domain.troubleshooting.model import SessionType
from workbench.domain.troubleshooting.quotas import DenyReason
from workbench.domain.troubleshooting.transitions import ACTIONS, IDLE_REASON, STATUSES, TERMINAL
from workbench.domain.troubleshooting.watching import SessionFigures
from workbench.domain.usage.model import ReportedCall

HOUR, DAY = 3600, 86_400
DURATIONS = (60, 300, 900, 1800, HOUR, 4 * HOUR, 8 * HOUR, DAY, 3 * DAY, 7 * DAY, 30 * DAY)
WAITS = (60, 300, 900, 1800, HOUR, 4 * HOUR, 8 * HOUR, DAY, 3 * DAY)
LATENCIES = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120)
STEP_COUNTS = (0, 1, 2, 3, 5, 8, 13, 20, 50, 100, 200)
SCORES = (0.05, 0.1, 0.2, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
UNRATED = "none"
"""The tier of a step that is no guess."""
UNKNOWN = "unknown"
"""Whose a model is that said no word before it failed."""
GIVEN_UP = "idle"
"""What the service does where nobody acts."""
DONE: dict[str, str] = {
    "session.step.answered": "respond",
    "session.paused": "pause",
    "session.resumed": "resume",
    "session.resolved": "resolve",
    "session.escalation.requested": "escalate",
    "session.picked_up": "pickup",
    "session.escalation.withdrawn": "withdraw-escalation",
    "session.abandoned": "abandon",
    "session.reopened": "reopen",
    "session.deleted": "delete",
    "session.ticket.linked": "link-ticket",
    "session.rated": "rate",
}


class PrometheusSessions(SessionMeter, GenerationMeter):
    """The values of one application, in its registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._started = self._counter("workbench_sessions_started", "Sessions that began.", "type", "source")
        self._open = self._gauge("workbench_sessions_open", "Sessions that are not over.", "status")
        self._transitions = self._counter("workbench_session_transitions", "Acts on sessions.", "action", "result")
        self._lasted = self._histogram("workbench_session_duration_seconds", "To the end.", DURATIONS, "outcome")
        self._steps_taken = self._histogram("workbench_session_steps", "Answered steps.", STEP_COUNTS, "outcome")
        self._scores = self._histogram("workbench_playbook_match_score", "Score of the best playbook.", SCORES)
        self._matches = self._counter("workbench_playbook_match", "What came of looking for a playbook.", "decision")
        self._steps = self._counter("workbench_steps", "Steps that were asked.", "source", "tier")
        self._queue = self._gauge("workbench_escalation_queue_depth", "Sessions that wait for a colleague.")
        self._overdue = self._gauge("workbench_escalations_overdue", "Those that have waited too long.")
        self._waited = self._histogram("workbench_escalation_wait_seconds", "Until somebody took it over.", WAITS)
        self._generations = self._counter(
            "workbench_model_requests", "Models that were asked.", "operation", "provider", "result"
        )
        self._tokens = self._counter("workbench_model_tokens", "Tokens of these.", "direction")
        self._latency = self._histogram(
            "workbench_model_latency_seconds", "How long they took.", LATENCIES, "operation"
        )
        self._streams = self._counter("workbench_sse_streams", "Documentations told as streams.", "result")
        self._denied = self._counter("workbench_quota_denied", "Uses that an allowance refused.", "window")
        self._expect()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry, multiprocess_mode="mostrecent")

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, text, labels, registry=self._registry, buckets=buckets)

    def _expect(self) -> None:
        """Begin every series at nothing: one that is not there yet raises no alarm."""
        for source in get_args(Source):
            for session_type in get_args(SessionType):
                self._started.labels(session_type, source)
            for tier in (*get_args(Tier), UNRATED):
                self._steps.labels(source, tier)
        for action in ACTIONS:
            self._transitions.labels(action, "refused")
        for action in (*DONE.values(), GIVEN_UP):
            self._transitions.labels(action, "done")
        for outcome in sorted(TERMINAL):
            self._lasted.labels(outcome)
            self._steps_taken.labels(outcome)
        for decision in get_args(Decision):
            self._matches.labels(decision)
        self._expect_models()

    def _expect_models(self) -> None:
        for result in get_args(StreamResult):
            self._streams.labels(result)
        for kind in get_args(GenerationType):
            self._latency.labels(kind)
        for direction in ("in", "out"):
            self._tokens.labels(direction)
        for reason in get_args(DenyReason):
            self._denied.labels(reason)

    def started(self, session_type: SessionType, source: Source) -> None:
        """Count."""
        self._started.labels(session_type, source).inc()

    def matched(self, decision: Decision, score: float | None) -> None:
        """Count, and note how well."""
        self._matches.labels(decision).inc()
        if score is not None:
            self._scores.observe(score)

    def refused(self, action: str) -> None:
        """Count."""
        self._transitions.labels(action, "refused").inc()

    def streamed(self, result: StreamResult) -> None:
        """Count."""
        self._streams.labels(result).inc()

    def asked(self, kind: GenerationType, provider: str | None, outcome: Outcome) -> None:
        """Count; whose models there are only settings know, so that these series begin with the first use."""
        self._generations.labels(kind, provider or UNKNOWN, outcome).inc()

    def generated(self, kind: GenerationType, seconds: float, calls: Sequence[ReportedCall]) -> None:
        """Note how long it took; what a provider does not tell of tokens is not guessed."""
        self._latency.labels(kind).observe(seconds)
        self._tokens.labels("in").inc(sum(call.prompt or 0 for call in calls))
        self._tokens.labels("out").inc(sum(call.completion or 0 for call in calls))

    def denied(self, reason: DenyReason) -> None:
        """Count."""
        self._denied.labels(reason).inc()

    def committed(self, events: Sequence[Event]) -> None:
        """Count what the events of a commit tell of sessions."""
        for event in events:
            if event.type.startswith("session."):
                self._told(event.type, msgspec.json.decode(event.data))

    def _told(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "session.step.presented":
            step = data["step"]
            self._steps.labels(step["source"], step["confidence_tier"] or UNRATED).inc()
        elif kind in DONE:
            given_up = data.get("reason") == IDLE_REASON
            self._transitions.labels(GIVEN_UP if given_up else DONE[kind], "done").inc()
        if kind in ("session.resolved", "session.abandoned"):
            session = data["session"]
            self._lasted.labels(session["status"]).observe(session["duration_seconds"])
            self._steps_taken.labels(session["status"]).observe(session["step_count"])
        elif kind == "session.picked_up":
            self._waited.observe(data["escalation"]["waiting_seconds"])

    def figures(self, figures: SessionFigures) -> None:
        """Note how many there are, everywhere."""
        for status in STATUSES:
            if status not in TERMINAL:
                self._open.labels(status).set(figures.by_status.get(status, 0))
        self._open.labels("requesting_escalation").set(figures.waiting)
        self._queue.set(figures.waiting)
        self._overdue.set(figures.overdue)
