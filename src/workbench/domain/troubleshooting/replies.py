"""What the guide says in a chat without a model: which playbooks may help, and what a colleague has to know (7.8, 7.9)."""

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.domain.errors import UnavailableError
from workbench.domain.playbooks.matching import Candidate
from workbench.domain.playbooks.shelf import Shelf
from workbench.domain.playbooks.steps import told
from workbench.domain.troubleshooting.views import ChatReply, SuggestedFlow

MAX_SUGGESTED = 3


def suggested(shelf: Shelf, ranked: Sequence[Candidate], least: float) -> list[SuggestedFlow]:
    """The playbooks that fit at least so well, the best first."""
    return [
        SuggestedFlow(playbook_id=shelf.playbooks[each.key].id, title=each.title, score=each.score)
        for each in ranked[:MAX_SUGGESTED]
        if each.score >= least
    ]


def templated(flows: Sequence[SuggestedFlow], *, is_like_another: bool) -> ChatReply:
    """A reply that names playbooks, or says that something like it was solved.

    By whom and how is not said here: it is for who asked, and others read what is said in the conversation.
    """
    lines: list[str] = []
    if flows:
        lines.append("This playbook may help:" if len(flows) == 1 else "One of these playbooks may help:")
        lines += [f"- {flow.title}" for flow in flows]
    if is_like_another:
        lines.append("Something like it was solved before: look at the similar sessions.")
    lines.append("Begin a guided session, or write down what you tried and what came of it.")
    return ChatReply(content="\n".join(lines), suggested_flows=flows)


def briefing_reply(packet: Mapping[str, Any], context: str | None) -> ChatReply:
    """Tell who takes over what is known so far, and what they brought along themselves."""
    tried: Sequence[Mapping[str, Any]] = packet.get("steps_tried", ())
    environment: Mapping[str, str] = packet.get("environment", {})
    ticket = packet.get("psa_ticket_id")
    lines = [
        "What was found so far:",
        f"Problem: {packet.get('problem', '')}",
        *(f"{name}: {value}" for name, value in environment.items()),
        *(f"Tried: {each['prompt']} — {each['answer']}" for each in tried),
        *([f"Ticket: {ticket}"] if ticket else []),
        *([f"Brought along: {context}"] if context else []),
    ]
    return ChatReply(content="\n".join(lines))


def nothing_to_say(shelf: Shelf, nearest: Sequence[Candidate]) -> UnavailableError:
    """No playbook fits what was said, and there is no model."""
    return UnavailableError(
        "No playbook matches what was said, and no model is configured",
        code="no_guidance_available",
        extra={
            "model_configured": False,
            "playbooks_published": len(shelf.playbooks),
            "nearest": told(nearest[:MAX_SUGGESTED]),
            "hint": "import or publish a playbook, configure a model, or write in the conversation, where people read it",
        },
    )
