"""What a database is to write, as it is chosen when it is its turn: one statement, or a transaction of several."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec
from sqlalchemy import Connection

from workbench.adapters.sql.prepared import Prepared, Row, Values
from workbench.adapters.sql.walls import Within

T = TypeVar("T")


class Alone(msgspec.Struct, Generic[T], frozen=True):
    """A statement that needs no other: the database commits it by itself. `read` makes of its rows what is wanted."""

    statement: Prepared
    row: Row
    within: Within
    read: Callable[[Sequence[Values]], T]


class Together(msgspec.Struct, Generic[T], frozen=True):
    """Work of several statements, all of which are stored or none."""

    work: Callable[[Connection], T]
    within: Within


Chosen = Alone[T] | Together[T]
