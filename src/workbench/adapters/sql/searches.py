"""Sessions found by their words, in SQL."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    Boolean,
    Executable,
    and_,
    bindparam,
    func,
    or_,
    select,
    text,
    update,
)

from workbench.adapters.sql.documents import DOCUMENT_FIELDS, REWRITE
from workbench.adapters.sql.repository import IDS, Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id
from workbench.adapters.sql.search_tables import session_documents
from workbench.adapters.sql.session_tables import session_steps, sessions
from workbench.adapters.sql.sessions import IS_THERE, SESSION_FIELDS, VISIBLE, VISIBLE_IDS
from workbench.adapters.sql.tables import messages
from workbench.adapters.sql.word_search import alike, queries, scored, sharing, token_of
from workbench.domain.troubleshooting.documents import Document
from workbench.domain.troubleshooting.model import Session, SessionStep
from workbench.domain.troubleshooting.searches import (
    Beholder,
    FoundSession,
    Neighbour,
    Searches,
    StoredDocument,
)
from workbench.domain.troubleshooting.searching import Term, Wanted

SHOWN_ANSWERS = 4000
SHOWN_MESSAGES = 1000
"""Read to show where words were found, over all that was found at once."""

_KNOWN = and_(IS_THERE, or_(VISIBLE, and_(bindparam("with_resolved", type_=Boolean), sessions.c.status == "resolved")))


def _split(name: str) -> Callable[[Sequence[Any]], dict[str, Any]]:
    """A row that is a session with one thing more."""
    return lambda row: {"session": dict(zip(SESSION_FIELDS, row, strict=False)), name: row[-1]}


@cache
def _find(dialect: str) -> Query[FoundSession]:
    """Whom one may know of is asked before the best are taken, and those are read whole that were."""
    best_first = (text("score DESC"), sessions.c.created_at.desc(), sessions.c.id.desc())
    fitting = scored(dialect, VISIBLE_IDS)
    best = (
        select(sessions.c.id, fitting.c.score)
        .where(here(sessions), sessions.c.id == fitting.c.session_id, IS_THERE)
        .order_by(*best_first)
        .limit(bindparam("limit"))
        .cte("best")
    )
    statement = select(*columns_of(sessions, *SESSION_FIELDS), best.c.score.label("score"))
    return Query(
        FoundSession, statement.where(here(sessions), sessions.c.id == best.c.id).order_by(*best_first), _split("score")
    )


@cache
def _alike(dialect: str) -> Executable:
    """Words that hardly anybody else has: so it starts from them, and asks last who may know."""
    found = alike(dialect).subquery("alike")
    return (
        select(sessions.c.id)
        .where(here(sessions), sessions.c.id == found.c.session_id, _KNOWN)
        .order_by(found.c.score.desc(), sessions.c.created_at.desc(), sessions.c.id.desc())
        .limit(bindparam("limit"))
    )


@cache
def _sharing(dialect: str) -> Executable:
    return sharing(dialect).limit(bindparam("limit"))


# Each word is counted by itself, and only so far: the rare ones are what is looked for.
_FREQUENCIES = {
    "sqlite": text(
        "SELECT words.value, (SELECT count(*) FROM (SELECT 1 FROM session_words"
        """ WHERE session_words MATCH :scope || '{head middle report said} : "' || words.value || '"'"""
        " LIMIT :up_to)) FROM json_each(:words) AS words"
    ),
    "postgresql": text(
        "SELECT words.value, (SELECT count(*) FROM (SELECT 1 FROM session_words AS w WHERE w.workspace_id = :ws"
        " AND w.word = words.value LIMIT CAST(:up_to AS bigint)) AS counted)"
        " FROM json_array_elements_text(CAST(:words AS json)) AS words(value)"
    ),
}
_COUNT = select(func.count()).select_from(
    select(session_documents.c.session_id).where(here(session_documents)).limit(bindparam("limit")).subquery("counted")
)
_NEIGHBOUR_FIELDS = [name for name in Neighbour.__struct_fields__ if name != "is_visible"]
_NEIGHBOURS = Query(
    Neighbour,
    select(*columns_of(sessions, *_NEIGHBOUR_FIELDS), VISIBLE.label("is_visible")).where(
        here(sessions), sessions.c.id.in_(IDS), _KNOWN
    ),
)
_SESSIONS = Query(Session, select(*columns_of(sessions, *SESSION_FIELDS)).where(here(sessions), sessions.c.id.in_(IDS)))
_HASHES = select(session_documents.c.session_id, session_documents.c.problem_hash).where(
    here(session_documents), session_documents.c.session_id.in_(IDS)
)
_STORED = select(*columns_of(session_documents, *StoredDocument.__struct_fields__)).where(here(session_documents))
_ONE = Query(StoredDocument, _STORED.where(session_documents.c.session_id == bindparam("session_id", type_=Id)))
_FIRST = Query(StoredDocument, _STORED.order_by(session_documents.c.session_id).limit(bindparam("limit")))
_BEHIND = Query(
    StoredDocument,
    _STORED.where(session_documents.c.session_id > bindparam("after", type_=Id))
    .order_by(session_documents.c.session_id)
    .limit(bindparam("limit")),
)


class _Answered(msgspec.Struct, frozen=True):
    session_id: UUID
    step: SessionStep


_ANSWERS = Query(
    _Answered,
    select(session_steps.c.session_id, *columns_of(session_steps, *SessionStep.__struct_fields__))
    .where(here(session_steps), session_steps.c.session_id.in_(IDS), session_steps.c.answered_at.is_not(None))
    .order_by(session_steps.c.session_id, session_steps.c.answered_at)
    .limit(SHOWN_ANSWERS),
    lambda row: {"session_id": row[0], "step": dict(zip(SessionStep.__struct_fields__, row[1:], strict=True))},
)
_MESSAGES = (
    select(messages.c.conversation_id, messages.c.content)
    .where(
        here(messages),
        messages.c.conversation_id.in_(IDS),
        messages.c.sender_role == "user",
        messages.c.message_type == "chat",
    )
    .order_by(messages.c.conversation_id, messages.c.sequence)
    .limit(SHOWN_MESSAGES)
)
_OUTDATE = (
    update(session_documents)
    .where(here(session_documents))
    .values(is_current=False, version=session_documents.c.version + 1)
)


def _ids(rows: Sequence[Sequence[Any]]) -> list[UUID]:
    return msgspec.convert([row[0] for row in rows], list[UUID])


class SqlSearches(Repository, Searches):
    """The words of one workspace's sessions."""

    @property
    def _dialect(self) -> str:
        return self._context.database.dialect_name

    def _queries(self, wanted: Wanted) -> dict[str, str]:
        return queries(self._writes.workspace_id, wanted, self._dialect)

    def _any_of(self, words: Collection[str]) -> dict[str, Any]:
        wanted = Wanted(terms=tuple(Term((word,)) for word in words), any_of=True)
        return {**self._queries(wanted), "words": list(words)}

    async def find(self, person_id: str, wanted: Wanted, limit: int) -> Sequence[FoundSession]:
        """Among the sessions that the person may see."""
        place = {**self._queries(wanted), "person_id": person_id, "limit": limit}
        return await self._all(_find(self._dialect), place)

    async def alike(self, beholder: Beholder, words: Collection[str], limit: int) -> Sequence[UUID]:
        """By the index over words."""
        place = {**self._any_of(words), **msgspec.structs.asdict(beholder), "limit": limit}
        return _ids(await self._rows(_alike(self._dialect), place))

    async def sharing(self, words: Collection[str], limit: int) -> Collection[UUID]:
        """By the same, in no order."""
        return _ids(await self._rows(_sharing(self._dialect), {**self._any_of(words), "limit": limit}))

    async def frequencies(self, words: Collection[str], up_to: int) -> Mapping[str, int]:
        """One statement, with a look into the index for each word."""
        place: dict[str, Any] = {"words": msgspec.json.encode(list(words)).decode(), "up_to": up_to}
        if self._dialect == "sqlite":
            place["scope"] = f'token : "{token_of(self._writes.workspace_id)}" AND '
        rows = await self._rows(_FREQUENCIES[self._dialect], place)
        return {row[0]: row[1] for row in rows}

    async def count(self, up_to: int) -> int:
        """Along the primary key, and no further."""
        return int(await self._scalar(_COUNT, {"limit": up_to}))

    async def neighbours(self, beholder: Beholder, session_ids: Collection[UUID]) -> Sequence[Neighbour]:
        """By the primary key."""
        if not session_ids:
            return []
        return await self._all(_NEIGHBOURS, {**msgspec.structs.asdict(beholder), "ids": list(session_ids)})

    async def said_in(self, sessions: Collection[Session]) -> Mapping[UUID, Sequence[str]]:
        """Two statements at most."""
        if not sessions:
            return {}
        said: dict[UUID, list[str]] = {session.id: [] for session in sessions}
        for answered in await self._all(_ANSWERS, {"ids": list(said)}):
            step = answered.step
            said[answered.session_id] += [text for text in (step.answer_text, step.note) if text]
        chats = {str(each.conversation_id): each.id for each in sessions if each.session_type == "chat"}
        if chats:
            rows = await self._rows(_MESSAGES, {"ids": [UUID(chat) for chat in chats]})
            for conversation_id, content in rows:
                said[chats[str(conversation_id)]].append(content)
        return said

    async def sessions(self, session_ids: Collection[UUID]) -> Sequence[Session]:
        """By the primary key."""
        return await self._all(_SESSIONS, {"ids": list(session_ids)}) if session_ids else []

    async def hashes(self, session_ids: Collection[UUID]) -> Mapping[UUID, str]:
        """By the primary key."""
        rows = await self._rows(_HASHES, {"ids": list(session_ids)}) if session_ids else ()
        return {UUID(str(row[0])): row[1] for row in rows}

    async def one(self, session_id: UUID) -> StoredDocument | None:
        """By the primary key."""
        return await self._maybe(_ONE, {"session_id": session_id})

    async def behind(self, after: UUID | None, limit: int) -> Sequence[StoredDocument]:
        """Along the primary key."""
        if after is None:
            return await self._all(_FIRST, {"limit": limit})
        return await self._all(_BEHIND, {"after": after, "limit": limit})

    def put(self, session_id: UUID, document: Document, read_version: int) -> None:
        """Update, over the version that was read."""
        new = {f"new_{name}": getattr(document, name) for name in DOCUMENT_FIELDS}
        place = {
            "of_session": session_id,
            "read_version": read_version,
            "new_token": token_of(self._writes.workspace_id),
        }
        self._writes.change(REWRITE, {**place, **new}, must_hit=True)

    def outdate(self) -> None:
        """Mark them all."""
        self._writes.change(_OUTDATE, {})
