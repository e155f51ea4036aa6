"""Sessions found by their words, in SQL."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    Boolean,
    ColumnElement,
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
from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id
from workbench.adapters.sql.search_tables import session_documents
from workbench.adapters.sql.session_tables import session_steps, sessions
from workbench.adapters.sql.sessions import IS_THERE, SESSION_FIELDS, VISIBLE
from workbench.adapters.sql.tables import messages
from workbench.adapters.sql.word_search import any_of, having, queries, ranked, token_of
from workbench.domain.troubleshooting.documents import Document
from workbench.domain.troubleshooting.model import Session, SessionStep
from workbench.domain.troubleshooting.searches import (
    Beholder,
    FoundSession,
    Neighbour,
    Searches,
    StoredDocument,
)
from workbench.domain.troubleshooting.searching import Wanted

SHOWN_ANSWERS = 4000
SHOWN_MESSAGES = 1000
"""Read to show where words were found, over all that was found at once."""

_KNOWN = and_(IS_THERE, or_(VISIBLE, and_(bindparam("with_resolved", type_=Boolean), sessions.c.status == "resolved")))
_WITH_DOCUMENT = and_(
    session_documents.c.workspace_id == sessions.c.workspace_id, session_documents.c.session_id == sessions.c.id
)
_IDS = bindparam("ids", expanding=True, type_=Id)


def _split(name: str) -> Callable[[Sequence[Any]], dict[str, Any]]:
    """A row that is a session with one thing more."""
    return lambda row: {"session": dict(zip(SESSION_FIELDS, row, strict=False)), name: row[-1]}


@cache
def _find(dialect: str) -> Query[FoundSession]:
    """Whom one may know of is asked before the best are taken."""
    score: ColumnElement[float] = ranked(dialect)
    known = select(*columns_of(sessions, *SESSION_FIELDS), score.label("score")).where(
        here(session_documents), here(sessions), _WITH_DOCUMENT, _KNOWN
    )
    statement = having(known, dialect)
    order = (text("score DESC"), sessions.c.created_at.desc(), sessions.c.id.desc())
    return Query(FoundSession, statement.order_by(*order).limit(bindparam("limit")), _split("score"))


@cache
def _having(dialect: str) -> Executable:
    statement = select(session_documents.c.session_id).where(here(session_documents))
    return having(statement, dialect).limit(bindparam("limit"))


# Each word is counted by itself, and only so far: the rare ones are what is looked for.
_FREQUENCIES = {
    "sqlite": text(
        "SELECT words.value, (SELECT count(*) FROM (SELECT 1 FROM session_words"
        """ WHERE session_words MATCH :scope || '{head middle report said} : "' || words.value || '"'"""
        " LIMIT :up_to)) FROM json_each(:words) AS words"
    ),
    "postgresql": text(
        "SELECT words.value, (SELECT count(*) FROM (SELECT 1 FROM session_documents AS d WHERE d.workspace_id = :ws"
        " AND d.words @@ to_tsquery('simple', CAST(:scope AS text) || '''' || words.value || '''')"
        " LIMIT CAST(:up_to AS bigint)) AS counted)"
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
        here(sessions), sessions.c.id.in_(_IDS), _KNOWN
    ),
)
_SESSIONS = Query(
    Session, select(*columns_of(sessions, *SESSION_FIELDS)).where(here(sessions), sessions.c.id.in_(_IDS))
)
_HASHES = select(session_documents.c.session_id, session_documents.c.problem_hash).where(
    here(session_documents), session_documents.c.session_id.in_(_IDS)
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
    .where(here(session_steps), session_steps.c.session_id.in_(_IDS), session_steps.c.answered_at.is_not(None))
    .order_by(session_steps.c.session_id, session_steps.c.answered_at)
    .limit(SHOWN_ANSWERS),
    lambda row: {"session_id": row[0], "step": dict(zip(SessionStep.__struct_fields__, row[1:], strict=True))},
)
_MESSAGES = (
    select(messages.c.conversation_id, messages.c.content)
    .where(
        here(messages),
        messages.c.conversation_id.in_(_IDS),
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


class SqlSearches(Repository, Searches):
    """The words of one workspace's sessions."""

    @property
    def _dialect(self) -> str:
        return self._context.database.dialect_name

    def _queries(self, wanted: Wanted) -> dict[str, str]:
        return queries(self._writes.workspace_id, wanted, self._dialect)

    async def find(self, beholder: Beholder, wanted: Wanted, limit: int) -> Sequence[FoundSession]:
        """By the index over words."""
        known = msgspec.structs.asdict(beholder)
        return await self._all(_find(self._dialect), {**self._queries(wanted), **known, "limit": limit})

    async def having(self, words: Collection[str], limit: int) -> Collection[UUID]:
        """By the same, in no order."""
        place = {**self._queries(any_of(words)), "limit": limit}
        rows = await self._rows(_having(self._dialect), place)
        return msgspec.convert([row[0] for row in rows], list[UUID])

    async def frequencies(self, words: Collection[str], up_to: int, *, is_large: bool = False) -> Mapping[str, int]:
        """One statement, with a look into the index for each word."""
        place = {"words": msgspec.json.encode(list(words)).decode(), "scope": self._scope(is_large=is_large)}
        rows = await self._rows(_FREQUENCIES[self._dialect], {**place, "up_to": up_to})
        return {row[0]: row[1] for row in rows}

    def _scope(self, *, is_large: bool) -> str:
        """What narrows a look into the index down to the workspace.

        Where one has much of what there is, PostgreSQL does better without: that would be found in most documents.
        """
        token = token_of(self._writes.workspace_id)
        if self._dialect == "sqlite":
            return f'token : "{token}" AND '
        return "" if is_large else f"'{token}' & "

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
