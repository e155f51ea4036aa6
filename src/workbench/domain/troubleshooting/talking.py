"""What a model is shown of a chat, and what is made of its reply (7.7, 7.8)."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from workbench.domain.messages.model import Message
from workbench.domain.playbooks.matching import Candidate
from workbench.domain.playbooks.shelf import Shelf
from workbench.domain.texts import cleaned_text
from workbench.domain.troubleshooting.cases import way_to
from workbench.domain.troubleshooting.chat_turns import branch_of
from workbench.domain.troubleshooting.lanes import Question, Task
from workbench.domain.troubleshooting.masking import masked
from workbench.domain.troubleshooting.model import Branch, Session
from workbench.domain.troubleshooting.replies import suggested
from workbench.domain.troubleshooting.situations import MAX_REPORT, report_text
from workbench.domain.troubleshooting.views import ChatReply, Fork
from workbench.domain.troubleshooting.writers import Fork as WrittenFork
from workbench.domain.troubleshooting.writers import Line, Source, Talk, WrittenReply

MIN_WAYS = 2
MAX_LINES = 40
"""The newest of a long chat; the report is shown besides."""
MAX_SHOWN = 20_000
"""How many characters of what was said, the newest first, and as many of all sources together."""


def talk_of(
    session: Session, branches: tuple[Branch, ...], messages: Sequence[Message], sources: Sequence[Source]
) -> Talk:
    """The chat as far as it is shown, the message to be answered last; secrets are masked."""
    root_id = branches[0].id
    way = way_to(branches, session.active_branch_id or root_id)
    lines: list[Line] = []
    room = MAX_SHOWN
    for message in reversed([each for each in messages if _was_said(each)][-MAX_LINES:]):
        text = masked(message.content)[:room]
        if not text.strip():
            break
        role = "person" if message.sender.participant_role == "user" else "assistant"
        lines.append(Line(role=role, text=text, left=(branch_of(message) or root_id) not in way))
        room -= len(text)
    report = masked(report_text(session.intake))[:MAX_REPORT]
    labels = {each.id: each.label for each in branches if each.id != root_id}
    picked = tuple(labels[each] for each in way if each in labels)
    return Talk(report=report, lines=tuple(reversed(lines)), sources=tuple(sources), picked=picked)


def replied(written: WrittenReply, shelf: Shelf, shown: Sequence[Candidate]) -> ChatReply:
    """A model's reply in the form of the house. Playbooks that it was not shown are left out."""
    named = [each for each in shown if each.key in written.playbook_keys]
    return ChatReply(
        content=cleaned_text(written.content),
        suggested_flows=suggested(shelf, named, 0.0),
        actions=[Task(id=each.id, text=cleaned_text(each.text)) for each in written.actions],
        questions=[Question(id=each.id, text=cleaned_text(each.text), audience="client") for each in written.questions],
        fork=_proposed(written.fork) if written.fork else msgspec.UNSET,
    )


def _proposed(written: WrittenFork) -> Fork | msgspec.UnsetType:
    """The ways, each once; where but one is left there is nothing to choose."""
    options = [each for each in dict.fromkeys(cleaned_text(each).strip() for each in written.options) if each]
    if len(options) < MIN_WAYS:
        return msgspec.UNSET
    return Fork(label=cleaned_text(written.label), reason=cleaned_text(written.reason), options=options)


def _was_said(message: Message) -> bool:
    """Whether it is part of the chat: what stands in the place of a reply that failed is not."""
    told: Any = message.metadata.get("turn")
    turn = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
    is_marker = turn.get("slot") == "output" and turn.get("status") != "finalized"
    return message.message_type == "chat" and not is_marker
