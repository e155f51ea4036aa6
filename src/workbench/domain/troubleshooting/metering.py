"""What is counted of sessions for operators: numbers under words of ours, never who, where or what about (14)."""

from typing import Any, Literal, Protocol

from workbench.domain.playbooks.steps import Source
from workbench.domain.troubleshooting.model import SessionType
from workbench.domain.troubleshooting.starting import NewSession
from workbench.domain.troubleshooting.views import Started

Decision = Literal["followed", "offered", "chosen", "model", "none"]
"""What came of looking for a playbook: one is followed, some are offered, a person chose, a model was asked, or nothing fits."""


StreamResult = Literal["done", "fallback", "error", "left"]
"""How a telling of a documentation ended: told, told in the house's own words instead of a model's, not told, or not heard out."""


class SessionMeter(Protocol):
    """Counts what happens at the edge. What is stored is counted by the events that tell of it."""

    def started(self, session_type: SessionType, source: Source) -> None:
        """Count a session by what it is and where its first step is from."""
        ...

    def matched(self, decision: Decision, score: float | None) -> None:
        """Count what came of looking for a playbook; `score` is the best one's, where there is any."""
        ...

    def refused(self, action: str) -> None:
        """Count something that the state of a session did not allow."""
        ...

    def streamed(self, result: StreamResult) -> None:
        """Count a documentation that was told piece by piece."""
        ...


def meter_start(meter: SessionMeter, new: NewSession, started: Started) -> None:
    """Count a session that was started."""
    first = started.first_step
    meter.started(started.session_type, first.source if first is not None else "system")
    if first is None or (new.start_mode == "manual" and new.playbook_id is None):
        return  # none was looked for to be followed
    best = started.candidates[0].score if started.candidates else started.match_score
    if new.playbook_id is not None:
        meter.matched("chosen", None)
    elif first.step_type == "choose_playbook":
        meter.matched("offered", best)
    else:
        meter.matched("model" if first.source == "model" else "followed", best)


def meter_unmatched(meter: SessionMeter, nearest: list[dict[str, Any]]) -> None:
    """Count a report that no playbook fits."""
    meter.matched("none", nearest[0]["score"] if nearest else None)
