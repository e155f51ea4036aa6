"""What a model is shown of a chat, and what is made of its reply (7.7, 7.8)."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from workbench.domain.messages.model import Message
from workbench.domain.playbooks.matching import Candidate
from workbench.domain.playbooks.shelf import Shelf
from workbench.domain.texts import cleaned_text
from workbench.domain.troubleshooting.lanes import Question, Task
from workbench.domain.troubleshooting.masking import masked
from workbench.domain.troubleshooting.model import Session
from workbench.domain.troubleshooting.replies import suggested
from workbench.domain.troubleshooting.situations import MAX_REPORT, report_text
from workbench.domain.troubleshooting.views import ChatReply, Fork
from workbench.domain.troubleshooting.writers import Line, Source, Talk, WrittenReply

MAX_LINES = 40
"""The newest of a long chat; the report is shown besides."""
MAX_SHOWN = 20_000
"""How many characters of what was said, the newest first, and as many of all sources together."""


def talk_of(session: Session, messages: Sequence[Message], sources: Sequence[Source]) -> Talk:
    """The chat as far as it is shown, the message to be answered last; secrets are masked."""
    lines: list[Line] = []
    room = MAX_SHOWN
    for message in reversed([each for each in messages if _was_said(each)][-MAX_LINES:]):
        text = masked(message.content)[:room]
        if not text.strip():
            break
        role = "person" if message.sender.participant_role == "user" else "assistant"
        lines.append(Line(role=role, text=text))
        room -= len(text)
    report = masked(report_text(session.intake))[:MAX_REPORT]
    return Talk(report=report, lines=tuple(reversed(lines)), sources=tuple(sources))


def replied(written: WrittenReply, shelf: Shelf, shown: Sequence[Candidate]) -> ChatReply:
    """A model's reply in the form of the house. Playbooks that it was not shown are left out."""
    named = [each for each in shown if each.key in written.playbook_keys]
    fork = written.fork
    return ChatReply(
        content=cleaned_text(written.content),
        suggested_flows=suggested(shelf, named, 0.0),
        actions=[Task(id=each.id, text=cleaned_text(each.text)) for each in written.actions],
        questions=[Question(id=each.id, text=cleaned_text(each.text), audience="client") for each in written.questions],
        fork=Fork(label=fork.label, reason=fork.reason, options=fork.options) if fork else msgspec.UNSET,
    )


def _was_said(message: Message) -> bool:
    """Whether it is part of the chat: what stands in the place of a reply that failed is not."""
    told: Any = message.metadata.get("turn")
    turn = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
    is_marker = turn.get("slot") == "output" and turn.get("status") != "finalized"
    return message.message_type == "chat" and not is_marker
