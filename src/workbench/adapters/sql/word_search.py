"""The same words looked up on either database: the one language of queries here is made of our own words, quoted."""

import hashlib
from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, bindparam, column, func, literal_column, table, text
from sqlalchemy.sql.expression import FromClause

from workbench.adapters.sql.search_tables import session_documents
from workbench.domain.troubleshooting.searching import Term, Wanted

TOKEN_BYTES = 12
PLACE_BYTES = 8
# A database's places are signed.
PLACES = 1 << 62
_FIELDS = "{head middle report said}"

_fts = table("session_words", column("rowid"))
_SIMPLE: ColumnElement[Any] = literal_column("'simple'::regconfig")
_VECTOR: ColumnElement[Any] = literal_column("session_documents.words")
_WEIGHTS: ColumnElement[Any] = literal_column("'{0.25, 0.25, 0.75, 1.0}'::float4[]")


def token_of(workspace_id: str) -> str:
    """The word by which a workspace's documents are found in an index that all share; nobody writes it."""
    return f"ws{hashlib.blake2b(workspace_id.encode(), digest_size=TOKEN_BYTES).hexdigest()}"


def place_of(workspace_id: str, session_id: object) -> int:
    """A number for a session's document, the same whenever it is made."""
    digest = hashlib.blake2b(f"{workspace_id} {session_id}".encode(), digest_size=PLACE_BYTES).digest()
    return int.from_bytes(digest, "big") % PLACES


def matching(dialect: str) -> ColumnElement[bool]:
    """Whether a document has the words; `query` are they."""
    if dialect == "postgresql":
        return _VECTOR.op("@@")(func.to_tsquery(_SIMPLE, bindparam("query", type_=Text)))
    return text("session_words MATCH :query").bindparams(bindparam("query", type_=Text))  # type: ignore[return-value]


def ranked(dialect: str) -> ColumnElement[float]:
    """How well they fit, the more the better; on PostgreSQL by the words alone, which are `ranking`."""
    if dialect == "postgresql":
        terms = func.to_tsquery(_SIMPLE, bindparam("ranking", type_=Text))
        return func.ts_rank_cd(_WEIGHTS, _VECTOR, terms)
    return literal_column("-bm25(session_words, 0.0, 4.0, 3.0, 1.0, 1.0)")


def documents(dialect: str) -> FromClause:
    """Documents, with the index that has their words."""
    if dialect == "postgresql":
        return session_documents
    return session_documents.join(_fts, _fts.c.rowid == session_documents.c.place)


def having(statement: Select[Any], dialect: str) -> Select[Any]:
    """The statement, over documents that have the words."""
    return statement.select_from(documents(dialect)).where(matching(dialect))


def queries(workspace_id: str, wanted: Wanted, dialect: str) -> dict[str, str]:
    """What is looked for, as the database's parameters."""
    if dialect == "postgresql":
        terms = _postgres(wanted)
        return {"query": f"'{token_of(workspace_id)}' & ({terms})", "ranking": terms}
    return {"query": f'token : "{token_of(workspace_id)}" AND {_FIELDS} : ({_sqlite(wanted)})'}


def any_of(words: Collection[str]) -> Wanted:
    """At least one of the words."""
    return Wanted(terms=tuple(Term((word,)) for word in words), any_of=True)


def _sqlite(wanted: Wanted) -> str:
    phrases = [f'"{" ".join(term.words)}"{" *" if term.is_prefix else ""}' for term in wanted.terms]
    return (" OR " if wanted.any_of else " AND ").join(phrases)


def _postgres(wanted: Wanted) -> str:
    return (" | " if wanted.any_of else " & ").join(map(_phrase, wanted.terms))


def _phrase(term: Term) -> str:
    quoted = [f"'{word}'" for word in term.words]
    quoted[-1] += ":*" if term.is_prefix else ""
    return f"({' <-> '.join(quoted)})"
