"""Statements that are compiled once: for lists of any length, and for no longer than they are used."""

import gc
import sqlite3
import weakref
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from sqlalchemy import Select, bindparam, column, select, table
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.sql.sqltypes import Integer

from workbench.adapters.sql.messages import MESSAGE_FIELDS
from workbench.adapters.sql.prepared import MAX_LENGTH, Statements
from workbench.adapters.sql.schema import Json
from workbench.domain.messages.model import Message, Sender


def statement() -> Select[Any]:
    wanted = column("n", Integer).in_(bindparam("wanted", expanding=True))
    return select(column("n", Integer)).select_from(table("numbers")).where(wanted, column("n") != bindparam("but"))


def run(statements: Statements, asked: Select[Any], wanted: Sequence[int], but: int = 0) -> list[int]:
    row = {"wanted": wanted, "but": but}
    found = statements.find(asked, row)
    assert found is not None
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE numbers (n INTEGER)")
        connection.executemany("INSERT INTO numbers VALUES (?)", [(number,) for number in range(1, 8)])
        return [each[0] for each in connection.execute(found.text, found.parameters(row))]


@pytest.mark.parametrize("wanted", [[], [3], [3, 4], [1, 2, 3], [5, 6, 7, 8, 9], list(range(100))])
def test_a_list_of_any_length_finds_what_it_names(wanted: list[int]) -> None:
    expected = [number for number in range(1, 8) if number in wanted and number != 4]
    assert run(Statements(sqlite.dialect()), statement(), wanted, but=4) == expected


def test_lists_of_similar_length_share_a_text() -> None:
    statements, asked = Statements(asyncpg.dialect()), statement()
    found = {length: statements.find(asked, {"wanted": [1] * length, "but": 0}) for length in (1, 2, 3, 4, 5)}
    assert found[3] is found[4]
    assert len({id(each) for each in found.values()}) == 4


def test_a_list_that_a_statement_brings_along_is_part_of_it() -> None:
    asked = select(column("n", Integer)).select_from(table("numbers")).where(column("n", Integer).in_([2, 5, 9]))
    assert run(Statements(sqlite.dialect()), asked, []) == [2, 5]


def test_long_lists_are_left_to_sqlalchemy() -> None:
    row = {"wanted": [1] * (MAX_LENGTH + 1), "but": 0}
    assert Statements(sqlite.dialect()).find(statement(), row) is None


def test_a_statement_that_is_built_for_once_is_not_kept() -> None:
    statements, asked = Statements(sqlite.dialect()), statement()
    assert run(statements, asked, [1, 2]) == [1, 2]
    gone = weakref.ref(asked)
    del asked
    gc.collect()
    assert gone() is None


def test_the_columns_of_a_message_stand_in_the_order_of_its_fields() -> None:
    sender = tuple(f"sender_{name.removeprefix('participant_')}" for name in Sender.__struct_fields__)
    (first, second, *others) = (name for name in Message.__struct_fields__ if name != "parts")
    assert (first, second) == ("id", "sender")
    assert (first, *sender, *others) == MESSAGE_FIELDS


def test_json_may_be_missing_in_some_rows_of_a_column() -> None:
    found = Statements(sqlite.dialect()).find(select(column("told", Json)).select_from(table("tales")), {})
    assert found is not None
    assert found.read([('{"a": 1}',), (None,), ("[]",)]) == [({"a": 1},), (None,), ([],)]
    assert found.read([('{"a": 1}',), ("[]",)]) == [({"a": 1},), ([],)]
    with pytest.raises(msgspec.DecodeError):
        found.read([("{",)])
