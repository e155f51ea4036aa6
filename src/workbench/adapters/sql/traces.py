"""Walking tables to take a person out of them: along the primary key, a window at a time.

In a window only rows that name the person are fetched, and each is stored over what was read of it, so that a row that
changes meanwhile is read again.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Delete,
    Executable,
    Select,
    Table,
    Text,
    Update,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)

from workbench.adapters.sql.events import ascii_json
from workbench.adapters.sql.repository import here
from workbench.domain.lifecycle.person import Erased

WINDOW = 2000
"""Rows that one step walks over."""
BATCH = 200
"""Rows that one step mends at most."""
ESCAPE = "!"

Row = dict[str, Any]
Mend = Callable[[Row, Erased], Row | None]
"""Says what is to change in a row: columns with their new values, nothing, or None where the row is to go."""
Beside = Callable[[Row, Erased], Sequence[tuple[Executable, Row]]]


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """How a table names people, and how its rows are mended.

    `ids` hold an id and nothing else; `documents` are JSON in which one may occur, and read and written as text;
    `remarks` are text from elsewhere, in which a name may occur as well. `companions` are read too. `beside` gives
    statements to run for each row that is mended.
    """

    table: Table
    mend: Mend
    ids: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    beside: Beside = lambda _row, _person: ()

    @property
    def name(self) -> str:
        """The table's, as a plain text that JSON can hold."""
        return self.table.name + ""

    @property
    def keys(self) -> list[str]:
        """What tells a row from others of the workspace."""
        return [column.name + "" for column in self.table.primary_key if column.name != "workspace_id"]

    @property
    def columns(self) -> list[str]:
        """What is read of a row, its key first."""
        return list(dict.fromkeys([*self.keys, *self.ids, *self.documents, *self.remarks, *self.companions]))

    def counted(self) -> Select[Any]:
        """Count rows that name the person."""
        return select(func.count()).select_from(self.table).where(here(self.table), self._names_the_person())

    def window_end(self, *, begun: bool) -> Select[Any]:
        """Find the key of the next window's last row; none where what is left is no whole window."""
        keys = [self.table.c[name] for name in self.keys]
        statement = select(*keys).where(here(self.table)).order_by(*keys).limit(1).offset(WINDOW - 1)
        return statement.where(self._key() > self._bound("after")) if begun else statement

    def found(self, *, begun: bool, ends: bool) -> Select[Any]:
        """Fetch rows of the window that name the person."""
        statement = select(*map(self._raw, self.columns)).where(here(self.table), self._names_the_person())
        if begun:
            statement = statement.where(self._key() > self._bound("after"))
        if ends:
            statement = statement.where(self._key() <= self._bound("upto"))
        return statement.order_by(*(self.table.c[name] for name in self.keys)).limit(BATCH)

    def change(self, row: Row, changes: Row) -> tuple[Update, Row]:
        """Store changes over the row as it was read; whoever read it before must read it again."""
        new: dict[str, ColumnElement[Any]] = {
            name: bindparam(f"to_{name}", type_=self._raw(name).type) for name in changes
        }
        if "version" in self.table.c and "version" not in self.keys:
            new["version"] = self.table.c.version + 1
        values = {f"to_{name}": value for name, value in changes.items()}
        return update(self.table).where(self._as_read(row)).values(**new), {**values, **_was(row)}

    def removal(self, row: Row) -> tuple[Delete, Row]:
        """Delete the row as it was read."""
        return delete(self.table).where(self._as_read(row)), _was(row)

    def _as_read(self, row: Row) -> ColumnElement[bool]:
        same = [
            self._raw(name).is_(None)
            if value is None
            else self._raw(name) == bindparam(f"was_{name}", type_=self._raw(name).type)
            for name, value in row.items()
        ]
        return and_(here(self.table), *same)

    def _names_the_person(self) -> ColumnElement[bool]:
        as_ids = [self.table.c[name] == bindparam("user_id") for name in self.ids]
        spelt = [(each, name) for name in self.documents for each in ("plain", "ascii")]
        spelt += [(each, name) for name in self.remarks for each in ("said", "named")]
        return or_(*as_ids, *(self._raw(name).like(bindparam(each), escape=ESCAPE) for each, name in spelt))

    def _raw(self, name: str) -> ColumnElement[Any]:
        column = self.table.c[name]
        return type_coerce(column, Text) if name in self.documents else column

    def _key(self) -> ColumnElement[Any]:
        return tuple_(*(self.table.c[name] for name in self.keys))

    def _bound(self, prefix: str) -> ColumnElement[Any]:
        return tuple_(*(bindparam(f"{prefix}_{name}", type_=self.table.c[name].type) for name in self.keys))


def _was(row: Row) -> Row:
    return {f"was_{name}": value for name, value in row.items() if value is not None}


def spellings(person: Erased) -> Row:
    """The person's id as columns have it, and patterns: for it in JSON of either kind, for it and the name in remarks."""
    return {
        "user_id": person.user_id,
        "plain": _pattern(msgspec.json.encode(person.user_id).decode()),
        "ascii": _pattern(ascii_json(person.user_id)),
        "said": _pattern(person.user_id),
        "named": _pattern(person.name) if person.name else "",
    }


def _pattern(text: str) -> str:
    for special in (ESCAPE, "%", "_"):
        text = text.replace(special, ESCAPE + special)
    return f"%{text}%"
