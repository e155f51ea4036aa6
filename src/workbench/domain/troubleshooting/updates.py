"""What is told of a session while it is worked on: to colleagues, to a client, or by mail, without a model (8.3)."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec

from workbench.domain.troubleshooting.cases import Case
from workbench.domain.troubleshooting.documentation import OUTCOMES, findings, next_steps
from workbench.domain.troubleshooting.masking import masked
from workbench.domain.troubleshooting.model import SessionStatus
from workbench.domain.troubleshooting.naming import summary_of

Audience = Literal["ticket_notes", "client", "email"]
Tone = Literal["neutral", "friendly", "formal"]
Length = Literal["short", "standard"]

MAX_INSTRUCTIONS = 1000
MAX_LANGUAGE = 35
"""The longest name that a language has in practice (RFC 5646, 4.4.1)."""
MAX_SUBJECT = 120
MAX_DONE_SHORT = 3
MAX_DONE = 20
MAX_LINE = 200
"""Characters of a message of a chat."""

STATUS_LINES: dict[SessionStatus, str] = {
    "active": "In progress",
    "paused": "On hold",
    "requesting_escalation": "Waiting for a colleague",
    "escalated": "In progress with a colleague",
    "resolved": "Resolved",
    "abandoned": "Closed without a solution",
}
GREETINGS: dict[Tone, str] = {"neutral": "Hello,", "friendly": "Hi,", "formal": "Dear Sir or Madam,"}
FAREWELLS: dict[Tone, str] = {"neutral": "Kind regards", "friendly": "Best wishes", "formal": "Yours faithfully"}


class UpdateRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For whom a status update is, and how it is to sound. A template knows one language and takes no instructions."""

    audience: Audience
    tone: Tone = "neutral"
    length: Length = "standard"
    include_next_steps: bool = True
    language: Annotated[str, msgspec.Meta(max_length=MAX_LANGUAGE)] | None = None
    instructions: Annotated[str, msgspec.Meta(max_length=MAX_INSTRUCTIONS)] | None = None
    post_to_ticket: bool = False
    """Whether it is also put down at the ticket of the session: for colleagues, or for the customer, as it is for."""


class StatusUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """A status update. `ignored` names what was asked for and could not be heeded; `step_order` is how far it goes."""

    audience: Audience
    content: str
    subject: str | None = None
    format: Literal["text", "markdown"] = "text"
    generated_by: Literal["template", "model"] = "template"
    fallback_reason: Literal["quota", "provider", "facts_lost"] | None = None
    step_order: int
    ignored: list[str]
    push_id: UUID | None = None
    """The note to the ticket, if there is to be one."""


def status_update(case: Case, request: UpdateRequest) -> StatusUpdate:
    """Tell how far it has come.

    Clients are told what they reported, which checks were made whose author marked them safe to tell, and the summary of
    the resolution; never answers, notes, names of machines or what was only supposed.
    """
    subject = None
    content = _notes(case, request) if request.audience == "ticket_notes" else client_text(case, request)
    if request.audience == "email":
        subject = f"{STATUS_LINES[case.session.status]}: {_reported(case)}"[:MAX_SUBJECT]
        signature = f"{FAREWELLS[request.tone]}\n{case.name(case.session.handler_id)}"
        content = f"{GREETINGS[request.tone]}\n\n{content}\n\n{signature}"
    ignored = {"language": request.language, "instructions": request.instructions}
    return StatusUpdate(
        audience=request.audience,
        content=content,
        subject=subject,
        step_order=max((step.step_order for step in case.path() if step.is_answered), default=0),
        ignored=[name for name, value in ignored.items() if value],
    )


def client_text(case: Case, request: UpdateRequest) -> str:
    """What was reported, what was done, and what happens next: three short sentences that are safe to tell."""
    session = case.session
    said = [f"You reported: {_sentence(_reported(case))}", _done_for_client(case, request.length)]
    if session.resolution is not None:
        said.append(f"The problem is solved: {_sentence(masked(session.resolution.summary))}")
    elif request.include_next_steps:
        said.append(_next_for_client(session.status))
    return " ".join(said)


def _notes(case: Case, request: UpdateRequest) -> str:
    """For colleagues; every line ends as a sentence, for some systems lose the breaks between lines."""
    session = case.session
    worked = [step for step in case.path() if step.is_work]
    shown = worked[-(MAX_DONE_SHORT if request.length == "short" else MAX_DONE) :]
    done = "; ".join(
        f"{step.step.prompt} — {OUTCOMES[step.outcome] if step.outcome else step.answer_text}" for step in shown
    )
    lines = [
        f"Status: {STATUS_LINES[session.status]}.",
        f"Done so far ({_counted(len(worked), 'step')}): {_sentence(done)}" if done else _talked(case, request.length),
    ]
    if session.resolution is not None:
        cause = f" Cause: {_sentence(session.resolution.root_cause)}" if session.resolution.root_cause else ""
        lines.append(f"Resolution: {_sentence(session.resolution.summary)}{cause}")
    elif found := findings(case):
        lines.append(f"Finding: {_sentence(found[-1])}")
    if request.include_next_steps and (following := next_steps(case)):
        lines.append(f"Next: {_sentence('; '.join(following))}")
    return masked("\n".join(lines))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _talked(case: Case, length: Length) -> str:
    """What was written last on the way that is followed, where it is a chat."""
    said = [each.text for each in case.said if case.is_on_way(each.branch_id)]
    shown = said[-(MAX_DONE_SHORT if length == "short" else MAX_DONE) :]
    told = "; ".join(_cut(each) for each in shown)
    return (
        f"Written so far ({_counted(len(said), 'message')}): {_sentence(told)}" if told else "Done so far: nothing yet."
    )


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 1]}\u2026"


def _reported(case: Case) -> str:
    """In the words of the report: what a model made of it may say more than a client is to know."""
    session = case.session
    told = summary_of(session.intake) or session.title or "your request"
    return masked(" ".join(told.split()).rstrip("."))


def _done_for_client(case: Case, length: Length) -> str:
    safe = [step.step.prompt for step in case.path() if step.is_answered and step.step.is_client_safe]
    if not safe:
        return "We are looking into it." if not case.session.is_terminal else "We have looked into it."
    shown = list(dict.fromkeys(safe))[-(MAX_DONE_SHORT if length == "short" else MAX_DONE) :]
    return f"We went through this: {_sentence('; '.join(prompt.rstrip('.?!') for prompt in shown))}"


def _next_for_client(status: SessionStatus) -> str:
    return {
        "paused": "We will go on as soon as we can, and let you know.",
        "requesting_escalation": "A colleague will take it over, and we will let you know.",
        "abandoned": "We have closed this request; please write to us if you still need help.",
    }.get(status, "We are working on it and will let you know.")


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    return line if line.endswith((".", "!", "?")) else f"{line}."
