"""Terms of a statement that PostgreSQL is told in words of its own, and SQLite as they are."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Boolean
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from workbench.adapters.sql.schema import Moment

T = TypeVar("T")


class Term(FunctionElement[T]):
    """What stands for its one argument. Each kind says for itself that SQLAlchemy may keep what it is compiled to."""

    inherit_cache = True

    def on_postgresql(self, given: Callable[[], str]) -> str:
        """Write it for PostgreSQL; `given` writes the argument, and so makes its parameters part of the statement."""
        raise NotImplementedError


@compiles(Term)  # pyright: ignore[reportUnknownMemberType, reportUntypedFunctionDecorator]
def _as_it_is(term: Term[Any], compiler: Any, **options: Any) -> str:  # pyright: ignore[reportUnusedFunction]
    return compiler.process(term.clauses, **options)


@compiles(Term, "postgresql")  # pyright: ignore[reportUnknownMemberType, reportUntypedFunctionDecorator]
def _on_postgresql(term: Term[Any], compiler: Any, **options: Any) -> str:  # pyright: ignore[reportUnusedFunction]
    return term.on_postgresql(lambda: compiler.process(term.clauses, **options))


class ReadTime(Term[datetime]):
    """A time in the form that becomes a datetime soonest: seconds since 1970 on PostgreSQL, the text as it is on SQLite.

    PostgreSQL's driver takes a third of the time that a page takes it for making datetimes of its own form. Seconds as
    a float have their microseconds right until the year 2242.
    """

    inherit_cache = True
    type = Moment()

    def on_postgresql(self, given: Callable[[], str]) -> str:
        """In seconds."""
        return f"date_part('epoch', {given()})"


class Uncounted(Term[bool]):
    """A condition that PostgreSQL is to check, and not to expect that it leaves few rows.

    Its planner multiplies: few rows are of the workspace, few of the conversation, so hardly any is of both, although one
    follows from the other. Those few, it concludes, are quickly sorted, and so it reads all of a conversation for the
    newest hundred of its messages, where an index has them in order. Of a CASE it assumes that it holds for half of all.
    """

    inherit_cache = True
    type = Boolean()

    def on_postgresql(self, given: Callable[[], str]) -> str:
        """As a case."""
        return f"CASE WHEN {given()} THEN true ELSE false END"
