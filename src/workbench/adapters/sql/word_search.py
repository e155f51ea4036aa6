"""The same words looked up on either database: the one language of queries here is made of our own words, quoted."""

import hashlib
from typing import Any

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    column,
    func,
    literal_column,
    select,
    table,
    text,
)

from workbench.adapters.sql.repository import WORKSPACE, here
from workbench.adapters.sql.search_tables import session_documents
from workbench.domain.troubleshooting.searching import Term, Wanted

TOKEN_BYTES = 12
PLACE_BYTES = 8
# A database's places are signed.
PLACES = 1 << 62
_FIELDS = "{head middle report said}"

_FTS = table("session_words", column("rowid"))
# Not as a key to go by, which the index would be asked for once more for each.
_FTS_PLACE: ColumnElement[int] = literal_column("+session_words.rowid")
_WORDS_OF_SESSIONS = table("session_words", column("workspace_id"), column("word"), column("session_id"))
_SIMPLE: ColumnElement[Any] = literal_column("'simple'::regconfig")
_VECTOR: ColumnElement[Any] = literal_column("session_documents.words")
_WEIGHTS: ColumnElement[Any] = literal_column("'{0.25, 0.25, 0.75, 1.0}'::float4[]")
_QUERY: BindParameter[str] = bindparam("query", type_=Text)
_ASKED: ColumnElement[Any] = func.to_tsquery(_SIMPLE, _QUERY)
_HAS_WORDS: ColumnElement[bool] = _VECTOR.op("@@")(_ASKED)
_SCORE: ColumnElement[float] = literal_column("-bm25(session_words, 0.0, 4.0, 3.0, 1.0, 1.0)")
_MATCHES = text("session_words MATCH :query").bindparams(_QUERY)


def token_of(workspace_id: str) -> str:
    """The word by which a workspace's documents are found in an index that all share; nobody writes it."""
    return f"ws{hashlib.blake2b(workspace_id.encode(), digest_size=TOKEN_BYTES).hexdigest()}"


def place_of(workspace_id: str, session_id: object) -> int:
    """A number for a session's document, the same whenever it is made."""
    digest = hashlib.blake2b(f"{workspace_id} {session_id}".encode(), digest_size=PLACE_BYTES).digest()
    return int.from_bytes(digest, "big") % PLACES


def scored(dialect: str, known: CTE) -> CTE:
    """The sessions of `known` that have the words, as `session_id` and, the better they fit the higher, `score`.

    Words that many sessions have are looked for as well, and most of those sessions are nobody's business here: so it
    starts from those that are.
    """
    ids = select(known.c.id)
    of_known = session_documents.c.session_id.in_(ids)
    if dialect == "postgresql":
        return _ranked_of_postgresql(and_(of_known, _HAS_WORDS)).cte("scored")
    places = select(session_documents.c.place).where(here(session_documents), of_known)
    return _ranked_of_sqlite(_FTS_PLACE.in_(places)).cte("scored")


def alike(dialect: str) -> Select[Any]:
    """The same of all sessions with any of the words, for words that few have."""
    if dialect == "postgresql":
        return _ranked_of_postgresql(session_documents.c.session_id.in_(sharing(dialect)))
    return _ranked_of_sqlite()


def _ranked_of_postgresql(condition: ColumnElement[bool]) -> Select[Any]:
    score = func.ts_rank_cd(_WEIGHTS, _VECTOR, _ASKED).label("score")
    return select(session_documents.c.session_id, score).where(here(session_documents), condition)


def _ranked_of_sqlite(*conditions: ColumnElement[bool]) -> Select[Any]:
    """How well one fits is told by the index alone, before anything is looked up of it."""
    hits = (
        select(_FTS.c.rowid, _SCORE.label("score")).where(_MATCHES, *conditions).cte("hits").prefix_with("MATERIALIZED")
    )
    return select(session_documents.c.session_id, hits.c.score).where(
        here(session_documents), session_documents.c.place == hits.c.rowid
    )


def sharing(dialect: str) -> Select[Any]:
    """The sessions with any of the words, which are `words` and `query`."""
    if dialect == "postgresql":
        known = _WORDS_OF_SESSIONS.c
        words: BindParameter[str] = bindparam("words", expanding=True)
        return select(known.session_id).distinct().where(known.workspace_id == WORKSPACE, known.word.in_(words))
    return select(session_documents.c.session_id).where(
        here(session_documents), session_documents.c.place.in_(select(_FTS.c.rowid).where(_MATCHES))
    )


def fits(dialect: str, session_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether that session has the words."""
    if dialect == "postgresql":
        # One look for each: by itself the planner would rather read the words of all sessions.
        its_words = select(_VECTOR).where(here(session_documents), session_documents.c.session_id == session_id)
        return its_words.scalar_subquery().op("@@")(_ASKED)
    return session_id.in_(sharing(dialect))


def queries(workspace_id: str, wanted: Wanted, dialect: str) -> dict[str, str]:
    """What is looked for, as the database's parameters."""
    if dialect == "postgresql":
        return {"query": _postgres(wanted)}
    return {"query": f'token : "{token_of(workspace_id)}" AND {_FIELDS} : ({_sqlite(wanted)})'}


def _sqlite(wanted: Wanted) -> str:
    phrases = [f'"{" ".join(term.words)}"{" *" if term.is_prefix else ""}' for term in wanted.terms]
    return (" OR " if wanted.any_of else " AND ").join(phrases)


def _postgres(wanted: Wanted) -> str:
    return (" | " if wanted.any_of else " & ").join(map(_phrase, wanted.terms))


def _phrase(term: Term) -> str:
    quoted = [f"'{word}'" for word in term.words]
    quoted[-1] += ":*" if term.is_prefix else ""
    return f"({' <-> '.join(quoted)})"
