"""What of a session is found by its words, and what it is compared by (10.1, 10.2).

The words are kept as the databases are to see them, in four fields. Each has an end, and so has the whole: PostgreSQL
places no word behind the 16,383rd.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from workbench.domain.jobs.model import NewJob
from workbench.domain.messages.model import Message
from workbench.domain.troubleshooting.model import Intake, Session, SessionStep
from workbench.domain.troubleshooting.searching import search_text

MAX_REPORT_WORDS = 6000
MAX_SAID = 32_000
"""Characters. What is said after that is not found."""
MAX_SAID_AT_ONCE = 8000
MAX_COMPARED = 8000
"""Characters of a problem that it is compared by."""
HASH_BYTES = 16
EMBED_JOB = "session.embed"
WALK_JOB = "sessions.walk"


class EmbedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which session is to have a vector of what it is now."""

    session_id: UUID

    def job(self, now: datetime) -> NewJob:
        """Set it down; once for a session, however often that changes."""
        return NewJob(kind=EMBED_JOB, key=str(self.session_id), payload=msgspec.to_builtins(self), run_at=now)


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """A walk over all sessions of a workspace: behind which one it goes on, and which space it has filled so far."""

    after: UUID | None = None
    space_id: UUID | None = None

    def job(self, key: str, now: datetime) -> NewJob:
        """Set it down under a key."""
        return NewJob(kind=WALK_JOB, key=key, payload=msgspec.to_builtins(self), run_at=now)


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A session's words: `head` counts most, `middle` less, what was reported and what was said by people least.

    `problem_hash` tells whether what it is compared by is still the same.
    """

    head: str
    middle: str
    report: str
    said: str
    problem_hash: str


def document_of(session: Session, steps: Iterable[SessionStep], messages: Iterable[Message]) -> Document:
    """All of it: `messages` are what people said in a session that is a chat."""
    said = ""
    for words in (*map(answer_words, steps), *map(message_words, messages)):
        said = with_words(said, words)
    return Document(
        head=head_words(session),
        middle=middle_words(session),
        report=report_words(session.intake),
        said=said,
        problem_hash=problem_hash(session),
    )


def head_words(session: Session) -> str:
    """Title and summary."""
    return search_text(f"{session.title or ''}\n{session.problem_summary or ''}")


def middle_words(session: Session) -> str:
    """What kind of problem it is, and how it was solved."""
    done = session.resolution
    texts = (session.problem_domain, done.summary if done else None, done.root_cause if done else None)
    return search_text("\n".join(text for text in texts if text))


def report_words(intake: Intake) -> str:
    """What was reported, with what forms told besides."""
    told = [intake.subject or "", intake.text, *(str(value) for value in intake.fields.values() if value is not None)]
    return " ".join(search_text("\n".join(told)).split(" ", MAX_REPORT_WORDS)[:MAX_REPORT_WORDS])


def answer_words(step: SessionStep) -> str:
    """What was answered, and noted with it; nothing for what only goes on."""
    if step.reading is None or step.reading.kind == "skipped" or step.step.step_type == "briefing":
        return search_text(step.note or "")
    return search_text(f"{step.answer_text}\n{step.note or ''}")[:MAX_SAID_AT_ONCE]


def message_words(message: Message) -> str:
    """What a person said; nothing for what anybody else did."""
    return search_text(message.content)[:MAX_SAID_AT_ONCE] if message.is_users_chat else ""


def with_words(said: str, words: str) -> str:
    """What was said, with what is said now: as databases add it, too."""
    return f"{said} {words}" if words and len(said) < MAX_SAID else said


def problem_text(session: Session) -> str:
    """What a session is compared by: its problem, in the words of who reported it."""
    named = [session.title, session.problem_summary, session.intake.subject]
    told = dict.fromkeys(text for text in named if text and text not in session.intake.text)
    return "\n".join([*told, session.intake.text])[:MAX_COMPARED]


def problem_hash(session: Session) -> str:
    """Tells one such text from another."""
    return hashlib.blake2b(problem_text(session).encode(), digest_size=HASH_BYTES).hexdigest()
