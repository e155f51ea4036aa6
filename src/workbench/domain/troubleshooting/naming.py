"""What a session is called when no model has read it (5.1)."""

import re

from workbench.domain.troubleshooting.model import Intake

MAX_NAMED = 120
_SENTENCE_END = re.compile(r"(?<=[.!?])\s|(?<=[。！？])|\n")  # noqa: RUF001 - full-width on purpose
_GREETING = re.compile(r"(?i)^(hi|hello|hey|dear|good (morning|afternoon|evening)|thanks|thank you|please|sorry)\b")
_ENOUGH_WORDS = 3


def title_of(intake: Intake) -> str:
    """The subject, else the first sentence that says something."""
    return _cut(intake.subject.strip() if intake.subject and intake.subject.strip() else _first_sentence(intake.text))


def summary_of(intake: Intake) -> str:
    """The first sentence that says something, else the subject."""
    return _cut(_first_sentence(intake.text) or (intake.subject or "").strip())


def _first_sentence(text: str) -> str:
    sentences = [" ".join(part.split()) for part in _SENTENCE_END.split(text)]
    telling = (part for part in sentences if part and not _is_greeting(part))
    return next(telling, next((part for part in sentences if part), ""))


def _is_greeting(sentence: str) -> bool:
    return bool(_GREETING.match(sentence)) and len(sentence.split()) <= _ENOUGH_WORDS


def _cut(text: str) -> str:
    """At the end of a word, where there is one near."""
    line = " ".join(text.split())
    if len(line) <= MAX_NAMED:
        return line
    head = line[: MAX_NAMED - 1]
    whole = head.rpartition(" ")[0]
    return f"{whole if len(whole) > MAX_NAMED // 2 else head}\u2026"
