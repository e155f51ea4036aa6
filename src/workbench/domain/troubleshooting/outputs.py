"""What is left of a solved problem for those who come after: notes, a summary, an article, a playbook (8.4)."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from workbench.domain.playbooks.fields import Tree
from workbench.domain.playbooks.model import MAX_LABEL, MAX_NODES, MAX_PROMPT, MAX_TITLE, SCHEMA
from workbench.domain.troubleshooting.cases import Case
from workbench.domain.troubleshooting.markdown import escaped_block, escaped_line
from workbench.domain.troubleshooting.masking import masked
from workbench.domain.troubleshooting.model import Resolution, Session, SessionStep
from workbench.domain.troubleshooting.updates import UpdateRequest, client_text, status_update

OutputKind = Literal["ticket_notes", "client_summary", "kb_article", "playbook_draft"]
OutputState = Literal["pending", "ready", "failed"]

_OF_THE_HOUSE = frozenset({"choose_playbook", "briefing"})


PROSE: dict[OutputKind, str] = {"ticket_notes": "text", "client_summary": "text", "kb_article": "markdown"}
"""Where the text is that a model may put into better words. A draft of a playbook is a document, and stays as it is."""


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """A text, or the document of a draft, that was made of a session."""

    kind: OutputKind
    content: dict[str, Any]
    generated_by: Literal["template", "model"] = "template"


class StoredOutput(msgspec.Struct, frozen=True, kw_only=True):
    """An output as it is kept, of one version of its session. `told_at` is when all of that version were told of."""

    kind: OutputKind
    session_version: int
    created_at: datetime
    state: OutputState = "pending"
    content: dict[str, Any] | None = None
    generated_by: Literal["template", "model"] = "template"
    error_code: str | None = None
    told_at: datetime | None = None


class RephrasedText(msgspec.Struct, frozen=True, kw_only=True):
    """A documentation in a model's words, and of which template they are."""

    template_version: int
    model: str
    markdown: str


class Rephrased(msgspec.Struct, frozen=True, kw_only=True):
    """The same as it is kept, of one version of its session."""

    session_version: int
    content: RephrasedText


def has_left_playbook(case: Case) -> bool:
    """Whether something else than a playbook asked on the way to the end."""
    asked = (step.step for step in case.path() if step.is_answered)
    return any(step.source != "playbook" and step.step_type not in _OF_THE_HOUSE for step in asked)


def wanted_outputs(session: Session, *, left_playbook: bool) -> list[OutputKind]:
    """What is made of a session that is resolved. A draft is of use where no playbook led to the end."""
    kinds: list[OutputKind] = ["ticket_notes", "client_summary", "kb_article"]
    return [*kinds, "playbook_draft"] if left_playbook or session.confidence_tier != "guided" else kinds


def output_of(case: Case, resolution: Resolution, kind: OutputKind) -> Output:
    """One of the outputs, without a model."""
    match kind:
        case "ticket_notes":
            content = {"text": status_update(case, UpdateRequest(audience="ticket_notes")).content}
        case "client_summary":
            content = {"text": client_text(case, UpdateRequest(audience="client"))}
        case "kb_article":
            content = kb_article(case, resolution)
            content["markdown"] = article_text(content)
        case "playbook_draft":
            content = {"document": playbook_draft(case, resolution)}
    return Output(kind=kind, content=content)


def kb_article(case: Case, resolution: Resolution) -> dict[str, Any]:
    """An article in its parts; words are for a person to find."""
    session = case.session
    return {
        "title": masked(session.title or "Untitled problem"),
        "domain": session.problem_domain,
        "symptoms": masked(session.problem_summary or session.intake.text),
        "environment": {name: masked(value) for name, value in case.environment.items()},
        "cause": masked(resolution.root_cause or "Not recorded"),
        "steps": [
            *(f"{step.step.prompt} — {masked(step.answer_text)}" for step in case.path() if step.is_answered),
            *(masked(each.text) for each in case.said if case.is_on_way(each.branch_id)),
        ],
        "ruled_out": [
            *(step.step.prompt for step in case.ruled_out()),
            *(masked(each.text) for each in case.said if not case.is_on_way(each.branch_id)),
        ],
        "resolution": masked(resolution.summary),
    }


def article_text(article: Mapping[str, Any]) -> str:
    """The same as one text with headings."""
    environment: Mapping[str, str] = article["environment"]
    sections = {
        "Symptoms": escaped_block(article["symptoms"]),
        "Environment": "\n".join(f"- {escaped_line(f'{name}: {value}')}" for name, value in environment.items()),
        "Cause": escaped_block(article["cause"]),
        "Steps": "\n".join(f"{number}. {escaped_line(step)}" for number, step in enumerate(article["steps"], 1)),
        "Ruled out": "\n".join(f"- {escaped_line(each)}" for each in article["ruled_out"]),
        "Resolution": escaped_block(article["resolution"]),
    }
    told = (f"## {head}\n\n{text}" for head, text in sections.items() if text)
    return "\n\n".join([f"# {escaped_line(article['title'])}", *told]) + "\n"


def playbook_draft(case: Case, resolution: Resolution) -> dict[str, Tree]:
    """The way to the solution as a playbook's document, for an author to go on with. It is never published by itself."""
    session = case.session
    title = masked(session.title or session.problem_summary or "Untitled problem")[:MAX_TITLE]
    kept = [step for step in case.path() if _is_useful(step)][: MAX_NODES - 2]
    names = [f"step_{number}" for number in range(1, len(kept) + 1)]
    nodes: dict[str, Tree] = {
        name: _drafted(step, following)
        for name, step, following in zip(names, kept, [*names, "solved"][1:], strict=True)
    }
    nodes["solved"] = {
        "type": "resolution",
        "summary": _literal(masked(resolution.summary)),
        "action": resolution.action,
    }
    nodes["unsolved"] = {
        "type": "escalation",
        "reason": "The known way did not lead to a solution",
        "urgency": "normal",
    }
    document: dict[str, Tree] = {
        "schema": SCHEMA,
        "key": draft_key(title),
        "title": title,
        "match": {"examples": [masked(session.problem_summary or title)]},
        "start": names[0] if names else "solved",
        "nodes": nodes,
    }
    return {**document, "domain": session.problem_domain} if session.problem_domain else document


def draft_key(title: str) -> str:
    """A playbook's key made of a title."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return f"draft-{re.sub(r'[^a-z0-9]+', '-', plain).strip('-')[:50].strip('-') or 'untitled'}"


def _is_useful(step: SessionStep) -> bool:
    """Whether it belongs to the way: what was skipped, or did not help, does not."""
    if step.reading is None or step.reading.kind == "skipped" or step.step.step_type in _OF_THE_HOUSE:
        return False
    was_in_vain = step.step.step_type == "verification" and step.reading.values == ("no",)
    return step.outcome in {None, "done"} and not was_in_vain


def _drafted(step: SessionStep, following: str) -> dict[str, Tree]:
    """What was done by hand is told by its text, for the prompt of such a step tells nothing."""
    said = step.answer_text if step.step.step_type == "manual" else f"{step.step.prompt} — {step.answer_text}"
    prompt = _literal(masked(said))[:MAX_PROMPT] or step.step.prompt[:MAX_LABEL]
    return {"type": "action", "prompt": prompt, "outcomes": {"done": following, "failed": "unsolved"}}


def _literal(text: str) -> str:
    """Braces would be read as the names of inputs."""
    return text.replace("{", "(").replace("}", ")").strip()
