"""Documents of sessions as they are stored: set down by whatever stores what they are made of, in the same commit.

So there is no act that could forget them.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import String, Text, and_, bindparam, case, delete, func, insert, literal, not_, select, update

from workbench.adapters.sql.jobs import SqlJobs
from workbench.adapters.sql.repository import Context, here
from workbench.adapters.sql.schema import Id, Json, Moment
from workbench.adapters.sql.search_tables import embeddings, session_documents
from workbench.adapters.sql.session_tables import sessions
from workbench.adapters.sql.tables import jobs
from workbench.adapters.sql.word_search import place_of, token_of
from workbench.domain.ids import new_id
from workbench.domain.troubleshooting.documents import (
    MAX_SAID,
    WALK_JOB,
    Document,
    EmbedRequest,
    answer_words,
    document_of,
    head_words,
    middle_words,
    problem_hash,
)
from workbench.domain.troubleshooting.model import Session, SessionStep

DOCUMENT_FIELDS = Document.__struct_fields__
AT_ONCE = datetime(2000, 1, 1, 0, 0, 0, 1, UTC)
"""When a job is due that nobody is to wait for."""

_THE_DOCUMENT = and_(here(session_documents), session_documents.c.session_id == bindparam("of_session", type_=Id))
_DESCRIBE = (
    update(session_documents)
    .where(_THE_DOCUMENT)
    .values(
        head=bindparam("new_head"),
        middle=bindparam("new_middle"),
        problem_hash=bindparam("new_hash"),
        version=session_documents.c.version + 1,
    )
)
_SAY = (
    update(session_documents)
    .where(_THE_DOCUMENT)
    .values(
        said=case(
            (
                func.length(session_documents.c.said) < MAX_SAID,
                session_documents.c.said + literal(" ") + bindparam("more", type_=Text),
            ),
            else_=session_documents.c.said,
        ),
        version=session_documents.c.version + 1,
    )
)
REWRITE = (
    update(session_documents)
    .where(_THE_DOCUMENT, session_documents.c.version == bindparam("read_version"))
    .values(
        token=bindparam("new_token"),
        is_current=True,
        version=session_documents.c.version + 1,
        **{name: bindparam(f"new_{name}", type_=session_documents.c[name].type) for name in DOCUMENT_FIELDS},
    )
)


def add_document(context: Context, session: Session) -> None:
    """Set the document of a new session down, and that it is to have a vector."""
    workspace_id = context.writes.workspace_id
    row: dict[str, Any] = {
        "session_id": session.id,
        "place": place_of(workspace_id, session.id),
        "token": token_of(workspace_id),
        "is_current": True,
        "version": 0,
    }
    context.writes.insert(session_documents, {**row, **msgspec.structs.asdict(document_of(session, (), ()))})
    _ask_for_vector(context, session)


def change_document(context: Context, session: Session, before: Session | None) -> None:
    """Set down what of a changed session's document is another than before, where that is known."""
    head, middle = head_words(session), middle_words(session)
    if before is not None and (head, middle) == (head_words(before), middle_words(before)):
        return
    values = {"of_session": session.id, "new_head": head, "new_middle": middle, "new_hash": problem_hash(session)}
    context.writes.change(_DESCRIBE, values)
    if before is None or problem_hash(before) != values["new_hash"]:
        _ask_for_vector(context, session)


def add_answer(context: Context, session_id: UUID, step: SessionStep) -> None:
    """Set down the words of a step's answer, if it has one."""
    if step.is_answered and (words := answer_words(step)):
        say(context, session_id, words)


def say(context: Context, session_id: UUID, words: str) -> None:
    """Set down words that somebody said, behind those said before."""
    context.writes.change(_SAY, {"of_session": session_id, "more": words})


def _ask_for_vector(context: Context, session: Session) -> None:
    SqlJobs(context).enqueue(EmbedRequest(session_id=session.id).job(context.clock.now()))


_BLANK: dict[str, Any] = {"head": "", "middle": "", "report": "", "said": "", "problem_hash": ""}
_OUTDATED: dict[str, Any] = {"is_current": False, "version": session_documents.c.version + 1}
BLANK_DOCUMENT = update(session_documents).where(_THE_DOCUMENT).values(**_BLANK, **_OUTDATED)
"""Forgets the words of a session of which something was taken out; they are to be made anew of what is left."""
_CHAT_OF = (
    select(sessions.c.id)
    .where(
        here(sessions),
        sessions.c.conversation_id == bindparam("of_conversation", type_=Id),
        sessions.c.session_type == "chat",
    )
    .scalar_subquery()
)
BLANK_TALK = (
    update(session_documents)
    .where(here(session_documents), session_documents.c.session_id == _CHAT_OF)
    .values(said="", **_OUTDATED)
)
"""The same for what was said in the chat of a session, if the conversation is one."""
FORGET_VECTORS = delete(embeddings).where(
    here(embeddings), embeddings.c.session_id == bindparam("of_session", type_=Id)
)
_WAITS = select(jobs.c.id).where(here(jobs), jobs.c.kind == WALK_JOB, jobs.c.claim.is_(None)).exists()
_IS_OUTDATED = (
    select(session_documents.c.session_id)
    .where(here(session_documents), session_documents.c.is_current.is_(False))
    .exists()
)
_WALK = {
    "workspace_id": bindparam("ws", type_=String),
    "kind": literal(WALK_JOB),
    "key": bindparam("walk_key", type_=String),
    "id": bindparam("walk_id", type_=Id),
    "payload": literal({}, Json),
    "run_at": literal(AT_ONCE, Moment),
    "attempts": literal(0),
    "created_datetime": literal(AT_ONCE, Moment),
    "correlation_id": literal(""),
}
MAKE_ANEW = insert(jobs).from_select(list(_WALK), select(*_WALK.values()).where(_IS_OUTDATED, not_(_WAITS)))
"""Sets a walk down, unless one waits or there is nothing to be made anew."""


def walk_place() -> dict[str, Any]:
    """What that is told apart by."""
    made = new_id()
    return {"walk_id": made, "walk_key": f"outdated {made}"}
