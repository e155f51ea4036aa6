"""What all tables share: the metadata they register with, and column types that read fast on both databases.

On SQLite ids and times are kept as text in the form that JSON has, so that msgspec turns rows into Structs
in C, without a Python call per value; on PostgreSQL the native types do the same. What has to be done for a value is one
plain function: `process_bind_param` and `process_result_value` would each be called through another of SQLAlchemy's.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Column, DateTime, Dialect, ForeignKeyConstraint, MetaData, String, Text, Uuid
from sqlalchemy.types import TypeDecorator, TypeEngine

NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""What constraints and indexes are called, the same on every database, so that a migration can name them."""

metadata = MetaData(naming_convention=NAMES)

MAX_WORKSPACE_ID_LENGTH = 63
Processor = Callable[..., Any] | None
"""What is done for each value on its way, or None where nothing is."""

_decode = msgspec.json.Decoder().decode


class Id(TypeDecorator[UUID]):
    """A UUID: native on PostgreSQL, canonical text on SQLite."""

    impl = String(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column type."""
        return dialect.type_descriptor(Uuid() if dialect.name == "postgresql" else String(36))

    def bind_processor(self, dialect: Dialect) -> Processor:
        """Write as the column type has it."""
        return None if dialect.name == "postgresql" else _canonical


class Moment(TypeDecorator[datetime]):
    """A time in UTC with microseconds: native on PostgreSQL, RFC 3339 text that sorts on SQLite."""

    impl = String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column type."""
        return dialect.type_descriptor(DateTime(timezone=True) if dialect.name == "postgresql" else String(27))

    def bind_processor(self, dialect: Dialect) -> Processor:
        """Write as the column type has it, always in UTC."""
        return None if dialect.name == "postgresql" else in_utc


class Json(TypeDecorator[Any]):
    """JSON as text on both databases: JSONB would reorder keys and refuse what clients may send."""

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Processor:  # noqa: ARG002 - SQLAlchemy's
        """Encode."""
        return _encoded

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor:  # noqa: ARG002 - SQLAlchemy's
        """Decode."""
        return _decoded

    @staticmethod
    def read_all(column: Iterable[Any]) -> Sequence[Any]:
        """Decode a whole column, without a call of Python for each value where there is no NULL."""
        try:
            return list(map(_decode, column))
        except TypeError:
            return list(map(_decoded, column))


def canonical(value: UUID) -> str:
    """Write an id as str() does, in a quarter of the time."""
    return msgspec.to_builtins(value)


def _canonical(value: UUID | None) -> str | None:
    return None if value is None else msgspec.to_builtins(value)


def in_utc(value: datetime | None) -> str | None:
    """Write a time as SQLite keeps it."""
    # In half of the time that strftime() takes. What is cut off says that it is UTC, as does the Z.
    return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def _encoded(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _decoded(value: str | None) -> Any:
    return None if value is None else _decode(value)


def workspace_column(*, primary_key: bool = False) -> Column[str]:
    """Make the column that every tenant table has."""
    return Column("workspace_id", String(MAX_WORKSPACE_ID_LENGTH), nullable=False, primary_key=primary_key)


def in_the_same_workspace(column: str, parent: str, key: str = "id") -> ForeignKeyConstraint:
    """Refer to a row of the same workspace, and go with it: a link into another cannot be stored, even by a fault."""
    columns = [f"{parent}.workspace_id", f"{parent}.{key}"]
    return ForeignKeyConstraint(["workspace_id", column], columns, ondelete="CASCADE")
