"""The documentation of a session without a model: a function of what is stored, and of nothing else (8.1).

The same version of a session gives the same text, byte by byte; so no clock is asked here.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from workbench.domain.troubleshooting.cases import Case, Said
from workbench.domain.troubleshooting.markdown import escaped_block, escaped_line
from workbench.domain.troubleshooting.model import Escalation, Intake, Resolution, Session, SessionStep, Ticket

TEMPLATE_VERSION = 1
NOTHING = "Nothing recorded."
IN_PROGRESS = "In progress."
ACTIONS = {
    "fixed": "Fixed",
    "workaround": "Worked around",
    "no_fault_found": "No fault found",
    "duplicate": "Duplicate",
    "user_education": "Explained",
    "referred": "Referred",
    "other": "Other",
}
OUTCOMES = {"done": "done", "failed": "did not work", "not_applicable": "not applicable"}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, and when."""

    at: datetime
    by: str
    kind: Literal["started", "answered", "said", "escalated", "picked_up", "resolved", "abandoned"]
    text: str
    outcome: str | None = None


class Documentation(msgspec.Struct, frozen=True, kw_only=True):
    """A session told, as data and as text."""

    session_id: UUID
    title: str | None
    problem_summary: str | None
    problem_domain: str | None
    intake: Intake
    environment: Mapping[str, str]
    ticket: Ticket | None
    timeline: list[Entry]
    findings: list[str]
    escalations: list[Escalation]
    resolution: Resolution | None
    next_steps: list[str]
    duration_seconds: int
    session_version: int
    markdown: str
    generated_by: Literal["template", "model"] = "template"
    fallback_reason: Literal["quota", "provider", "facts_lost"] | None = None
    """Why the text is the house's own where a model was to rephrase it."""
    template_version: int = TEMPLATE_VERSION


def documented(case: Case) -> Documentation:
    """Tell a session, whatever its status; one that is not over is told to be in progress."""
    session = case.session
    return Documentation(
        session_id=session.id,
        title=session.title,
        problem_summary=session.problem_summary,
        problem_domain=session.problem_domain,
        intake=session.intake,
        environment=case.environment,
        ticket=session.ticket,
        timeline=timeline(case),
        findings=findings(case),
        escalations=list(case.escalations),
        resolution=session.resolution,
        next_steps=next_steps(case),
        duration_seconds=session.duration_seconds,
        session_version=session.version,
        markdown=markdown(case),
    )


def timeline(case: Case) -> list[Entry]:
    """What happened, in the order in which it did."""
    session = case.session
    entries = [Entry(at=session.created_at, by=case.name(session.owner_id), kind="started", text=session.title or "")]
    for step in case.steps:
        if step.answered_at is not None:
            text = f"{step.step.prompt} — {step.answer_text}"
            by = case.name(step.answered_by)
            entries.append(Entry(at=step.answered_at, by=by, kind="answered", text=text, outcome=step.outcome))
    entries += (Entry(at=each.at, by=case.name(each.by), kind="said", text=each.text) for each in case.said)
    for each in case.escalations:
        by = case.name(each.requested_by)
        entries.append(Entry(at=each.requested_at, by=by, kind="escalated", text=each.reason, outcome=each.state))
        if each.picked_up_by is not None and each.closed_at is not None:
            by = case.name(each.picked_up_by)
            entries.append(Entry(at=each.closed_at, by=by, kind="picked_up", text=each.additional_context or ""))
    if session.closed_at is not None:
        by = case.name(session.handler_id)
        kind = "resolved" if session.resolution else "abandoned"
        text = session.resolution.summary if session.resolution else session.abandon_reason or ""
        entries.append(Entry(at=session.closed_at, by=by, kind=kind, text=text))
    return sorted(entries, key=lambda entry: entry.at)


def findings(case: Case) -> list[str]:
    """What is known by now: the answers on the way that was followed, without what was only done or skipped."""
    telling = {"question", "multi", "verification"}
    return [
        f"{step.step.prompt} — {step.answer_text}"
        for step in case.path()
        if step.reading is not None and step.reading.kind != "skipped" and step.step.step_type in telling
    ]


def next_steps(case: Case) -> list[str]:
    """What is to be done, while it is not over."""
    session, waiting = case.session, case.open_step
    if session.is_terminal:
        return []
    steps = ["Waiting for a colleague to take over"] if session.status == "requesting_escalation" else []
    return [*steps, waiting.step.prompt] if waiting else steps


def markdown(case: Case) -> str:
    """The session as a text with headings, always the same ones in the same order."""
    session = case.session
    sections = {
        "Problem": _problem(case),
        "Environment": _list(
            f"{escaped_line(name)}: {escaped_line(value)}" for name, value in case.environment.items()
        ),
        "Steps taken": _numbered(_taken(case)),
        "Ruled out": _list(_ruled_out(case)),
        "Escalations": _list(_escalation(case, each) for each in case.escalations),
        "Resolution": _resolution(case),
        "Next steps": _list(escaped_line(text) for text in next_steps(case)),
        "Time": _time(session),
    }
    title = f"# {escaped_line(session.title or 'Troubleshooting session')}"
    return "\n\n".join([title, *(f"## {head}\n\n{text}" for head, text in sections.items())]) + "\n"


def _time(session: Session) -> str:
    end = f" to {session.closed_at:%Y-%m-%d %H:%M} UTC" if session.closed_at else ", in progress"
    open_for = f"{_duration(session.duration_seconds)}, {session.created_at:%Y-%m-%d %H:%M} UTC{end}"
    minutes = session.resolution.time_spent_minutes if session.resolution else None
    return open_for if minutes is None else f"{open_for}; {_duration(minutes * 60)} of work"


def _problem(case: Case) -> str:
    session = case.session
    ticket = f"Ticket {escaped_line(session.ticket.id)}" if session.ticket else ""
    summary = session.problem_summary if session.problem_summary != session.title else None
    lines = (escaped_block(summary or ""), escaped_block(session.intake.text), ticket)
    return "\n\n".join(line for line in lines if line) or NOTHING


def _taken(case: Case) -> Iterator[str]:
    """What was answered, or, in a chat, what people wrote."""
    yield from (_step(case, step) for step in case.path() if step.is_work)
    yield from (_said(case, each) for each in case.said if case.is_on_way(each.branch_id))


def _ruled_out(case: Case) -> Iterator[str]:
    yield from (_step(case, step) for step in case.ruled_out() if step.is_work)
    yield from (_said(case, each) for each in case.said if not case.is_on_way(each.branch_id))


def _said(case: Case, each: Said) -> str:
    return f"{escaped_line(each.text)}{_by(case, each.by)}"


def _step(case: Case, step: SessionStep) -> str:
    """Prompt, answer and outcome; by whom where it was not the owner."""
    said = [escaped_line(step.step.prompt), escaped_line(step.answer_text)]
    if step.outcome is not None:
        said[-1] = OUTCOMES[step.outcome]
    if step.note:
        said.append(escaped_line(step.note))
    return " — ".join(said) + _by(case, step.answered_by)


def _by(case: Case, person_id: str | None) -> str:
    return "" if person_id == case.session.owner_id else f" ({escaped_line(case.name(person_id))})"


def _escalation(case: Case, each: Escalation) -> str:
    text = f"{escaped_line(case.name(each.requested_by))}, {each.urgency}: {escaped_line(each.reason)}"
    if each.picked_up_by is not None:
        return f"{text} — taken over by {escaped_line(case.name(each.picked_up_by))}"
    return f"{text} — {each.state}"


def _resolution(case: Case) -> str:
    session = case.session
    if session.status == "abandoned":
        return f"Abandoned: {escaped_line(session.abandon_reason or 'no reason given')}"
    if session.resolution is None:
        return IN_PROGRESS
    done = session.resolution
    cause = f"\n\nCause: {escaped_block(done.root_cause)}" if done.root_cause else ""
    return f"{ACTIONS[done.action]}: {escaped_block(done.summary)}{cause}"


def _duration(seconds: int) -> str:
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _list(lines: Iterator[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) or NOTHING


def _numbered(lines: Iterator[str]) -> str:
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1)) or NOTHING
