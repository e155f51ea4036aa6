"""What sessions are found and compared by: their words, and their vectors in spaces. All of it can be made anew.

What looks words up is the database's own, kept by triggers, and no table of ours: on SQLite `session_words`, a full-text
index over the texts here; on PostgreSQL a column `words`, computed from them, and `session_words`, which tells the sessions
that have a word. An index over that column would not be looked into behind row-level security: there only operators that are
known to tell nothing of a row, such as equality, may stand in such a look. What compares vectors is on PostgreSQL, where
the extension is there, indexes over `floats`.
"""

import sys
from array import array
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, REAL
from sqlalchemy.types import TypeDecorator, TypeEngine

from workbench.adapters.sql.schema import Id, Moment, Processor, metadata, workspace_column

ACTIVE_SPACE = text("state = 'active'")
SPACE_IN_USE = text("state <> 'retired'")
INDEXED_DIMS = (384, 768, 1024, 1536)
"""Vectors of these lengths have an index on PostgreSQL; all others are compared one by one."""
OF_THE_DATABASE = frozenset({"session_words", "words", *(f"ix_embeddings_hnsw_{dims}" for dims in INDEXED_DIMS)})
"""What the migrations make beside the tables, for one kind of database each."""


_REAL: TypeEngine[float] = REAL()


class Floats(TypeDecorator[bytes]):
    """Floats of 32 bits, here always with the low byte first: bytes on SQLite, an array of numbers on PostgreSQL."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column type."""
        native: TypeEngine[Any] = ARRAY(_REAL) if dialect.name == "postgresql" else LargeBinary()
        return dialect.type_descriptor(native)

    def bind_processor(self, dialect: Dialect) -> Processor:
        """Write as the column type has it. SQLAlchemy's own way would look at each number."""
        return _as_numbers if dialect.name == "postgresql" else None

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor:  # noqa: ARG002 - SQLAlchemy's
        """Read as bytes. SQLAlchemy's own way would want to know of the driver's type, and look at each number."""
        return _as_bytes if dialect.name == "postgresql" else None


def _as_numbers(value: bytes | None) -> list[float] | None:
    return None if value is None else list(_ours(array("f", value)))


def _as_bytes(values: Any) -> bytes | None:
    return None if values is None else _ours(array("f", values)).tobytes()


def _ours(floats: "array[float]") -> "array[float]":
    """Turn round what is the other way round on this machine."""
    if sys.byteorder == "big":
        floats.byteswap()
    return floats


def _of_session() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["workspace_id", "session_id"], ["sessions.workspace_id", "sessions.id"], ondelete="CASCADE"
    )


# `place` is what SQLite's index knows a document by. `token` says whose it is within an index.
session_documents = Table(
    "session_documents",
    metadata,
    workspace_column(),
    Column("session_id", Id, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("token", String(32), nullable=False),
    Column("head", Text, nullable=False),
    Column("middle", Text, nullable=False),
    Column("report", Text, nullable=False),
    Column("said", Text, nullable=False),
    Column("problem_hash", String(32), nullable=False),
    Column("is_current", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    PrimaryKeyConstraint("workspace_id", "session_id"),
    _of_session(),
    Index("uq_session_documents_place", "place", unique=True),
)

# `head` counts the vectors that were stored in a space: each has its number, in the order of the commits.
embedding_spaces = Table(
    "embedding_spaces",
    metadata,
    workspace_column(),
    Column("id", Id, nullable=False),
    Column("provider", String(63), nullable=False),
    Column("model", String(255), nullable=False),
    Column("dims", Integer, nullable=False),
    Column("algo_version", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("head", BigInteger, nullable=False, server_default="0"),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("workspace_id", "id"),
    Index(
        "uq_embedding_spaces_active",
        "workspace_id",
        unique=True,
        sqlite_where=ACTIVE_SPACE,
        postgresql_where=ACTIVE_SPACE,
    ),
    Index(
        "uq_embedding_spaces_in_use",
        "workspace_id",
        "provider",
        "model",
        "dims",
        "algo_version",
        unique=True,
        sqlite_where=SPACE_IN_USE,
        postgresql_where=SPACE_IN_USE,
    ),
    sqlite_with_rowid=False,
)

embeddings = Table(
    "embeddings",
    metadata,
    workspace_column(),
    Column("session_id", Id, nullable=False),
    Column("space_id", Id, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("dims", Integer, nullable=False),
    Column("text_hash", String(32), nullable=False),
    Column("floats", Floats, nullable=False),
    PrimaryKeyConstraint("workspace_id", "session_id", "space_id"),
    _of_session(),
    ForeignKeyConstraint(
        ["workspace_id", "space_id"], ["embedding_spaces.workspace_id", "embedding_spaces.id"], ondelete="CASCADE"
    ),
    Index("ix_embeddings_sequence", "workspace_id", "space_id", "sequence"),
)
