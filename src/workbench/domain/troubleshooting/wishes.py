"""How a model is to rephrase the texts of sessions, each for whom it is (8.1, 8.3)."""

from workbench.domain.troubleshooting.masking import masked
from workbench.domain.troubleshooting.outputs import OutputKind
from workbench.domain.troubleshooting.updates import UpdateRequest
from workbench.domain.troubleshooting.writers import Prose

_DOCUMENTATION = (
    "This is the documentation of a problem, in Markdown. Keep its headings and their order, and all that is below each. "
    "Write what is below them in full, clear sentences."
)
_AUDIENCES = {
    "ticket_notes": "These are notes for colleagues. Keep the lines, each a sentence or more.",
    "client": "This is for a client, in at most three short sentences. Name no machines, blame nobody, suppose nothing.",
    "email": (
        "This is a mail to a client; keep its greeting and its farewell. Between them at most three short sentences. "
        "Name no machines, blame nobody, suppose nothing."
    ),
}


_ARTICLE = (
    "This is an article of a knowledge base, in Markdown, for colleagues who meet the same problem. Keep its headings and "
    "their order, and all that is below each. Write what is below them in full, clear sentences, and name no person."
)


def documentation_prose(markdown: str) -> Prose:
    """A documentation to be rephrased."""
    return Prose(template=markdown, wishes=_DOCUMENTATION)


def update_prose(content: str, request: UpdateRequest) -> Prose:
    """A status update to be rephrased as was asked for."""
    wishes = [_AUDIENCES[request.audience], f"The tone is {request.tone}, the length {request.length}."]
    if request.language:
        wishes.append(f"Write it in this language: {masked(request.language)}.")
    if request.instructions:
        wishes.append(f"Who asks for it wishes: {masked(request.instructions)}")
    return Prose(template=content, wishes=" ".join(wishes))


def output_prose(kind: OutputKind, template: str) -> Prose:
    """What a resolved session leaves, to be rephrased for whom it is."""
    audiences = {"ticket_notes": _AUDIENCES["ticket_notes"], "client_summary": _AUDIENCES["client"]}
    return Prose(template=template, wishes=audiences.get(kind, _ARTICLE))
