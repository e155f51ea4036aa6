"""Model calls and bills in SQL: writing them, and reading them row by row. Sums are in usage_totals."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    Insert,
    Select,
    Table,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from workbench.adapters.sql.repository import WORKSPACE, Context, Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id, Moment
from workbench.adapters.sql.tables import messages
from workbench.adapters.sql.usage_tables import token_usage, token_usage_models, turn_model_calls
from workbench.adapters.sql.usage_totals import (
    MODELS_OF,
    condition_values,
    conditions,
    group_statement,
    group_values,
    keys_after,
    totals_of,
)
from workbench.adapters.sql.writes import Row
from workbench.domain.paging import Cursor
from workbench.domain.usage.model import ModelCall, ModelShare, UsageRow
from workbench.domain.usage.ports import After, UsageLedger
from workbench.domain.usage.totals import GroupKey, GroupTotals, Totals, UsageFilter

_CALL_FIELDS = tuple(ModelCall.__struct_fields__)
_FIELDS = tuple(UsageRow.__struct_fields__)
_UPGRADED = tuple(
    name
    for name in (*_FIELDS, "call_details")
    if name not in ("id", "workspace_id", "usage_day", "created_datetime")
)  # fmt: skip


def _insertion(table: Table, *names: str) -> Any:
    values: dict[str, Any] = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in names}
    values["workspace_id"] = WORKSPACE
    return values


_HAS_A_BILL = select(
    exists().where(
        here(token_usage), token_usage.c.turn_pk == bindparam("new_turn_pk", type_=Id), ~token_usage.c.provisional
    )
).scalar_subquery()
_CALL_VALUES = {
    **_insertion(turn_model_calls, *(name for name in _CALL_FIELDS if name != "late")),
    "late": _HAS_A_BILL,
}
_RECORD: dict[str, Insert] = {
    "sqlite": sqlite.insert(turn_model_calls).values(_CALL_VALUES).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(turn_model_calls).values(_CALL_VALUES).on_conflict_do_nothing(),
}
_CALLS_OF_TURN = Query(
    ModelCall,
    select(*columns_of(turn_model_calls, *_CALL_FIELDS))
    .where(here(turn_model_calls), turn_model_calls.c.turn_pk == bindparam("turn_pk", type_=Id))
    .order_by(turn_model_calls.c.created_datetime, turn_model_calls.c.call_id),
)

# A message that is gone is no longer named.
_MESSAGE = and_(messages.c.id == token_usage.c.message_id, messages.c.workspace_id == token_usage.c.workspace_id)
_COLUMNS = [messages.c.id.label("message_id") if name == "message_id" else token_usage.c[name] for name in _FIELDS]
_ROWS: Select[Any] = select(*_COLUMNS).outerjoin_from(token_usage, messages, _MESSAGE).where(here(token_usage))
_OF_TURN = token_usage.c.turn_pk == bindparam("turn_pk", type_=Id)
_BILLED = Query(
    UsageRow,
    _ROWS.where(or_(_OF_TURN, token_usage.c.message_id == bindparam("message_id", type_=Id))).order_by(
        case((_OF_TURN, 0), else_=1)
    ),
)
_ADD = insert(token_usage).values(_insertion(token_usage, *_FIELDS[:1], *_FIELDS[2:], "call_details"))
_ADD_MODEL = insert(token_usage_models).values(
    _insertion(token_usage_models, "usage_id", *ModelShare.__struct_fields__)
)
_THE_ROW = and_(here(token_usage), token_usage.c.id == bindparam("of_id", type_=Id))
_UPGRADE = (
    update(token_usage)
    .where(_THE_ROW, token_usage.c.provisional)
    .values({name: bindparam(f"new_{name}", type_=token_usage.c[name].type) for name in _UPGRADED})
)
_FORGET_MODELS = delete(token_usage_models).where(
    here(token_usage_models), token_usage_models.c.usage_id == bindparam("of_id", type_=Id)
)
_COUNTED = (
    select(func.count())
    .select_from(turn_model_calls)
    .where(here(turn_model_calls), turn_model_calls.c.turn_pk == bindparam("of_turn", type_=Id))
    .scalar_subquery()
)
# Hits nothing where the turn has other calls than those that were summed up.
_STILL_ALL = (
    update(token_usage)
    .where(_THE_ROW, token_usage.c.call_count == _COUNTED)
    .values(call_count=token_usage.c.call_count)
)


@lru_cache(64)
def _listing(filters: frozenset[str], *, after: bool) -> Query[UsageRow]:
    """Build the statement of one form: which filters there are, and whether it goes on from somewhere."""
    place = tuple_(token_usage.c.created_datetime, token_usage.c.id)
    statement = _ROWS.where(*conditions(filters))
    if after:
        statement = statement.where(place < tuple_(bindparam("at", type_=Moment), bindparam("behind", type_=Id)))
    newest_first = statement.order_by(token_usage.c.created_datetime.desc(), token_usage.c.id.desc())
    return Query(UsageRow, newest_first.limit(bindparam("limit")))


class SqlUsageLedger(Repository, UsageLedger):
    """The calls and bills of one workspace. Its writes are carried out in the order in which they are set down."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._recorded: list[ModelCall] = []

    @property
    def workspace_id(self) -> str:
        """The block's."""
        return self._writes.workspace_id

    def record_calls(self, calls: Sequence[ModelCall]) -> None:
        """Insert, where the key is free."""
        statement = _RECORD[self._context.database.dialect_name]
        for call in calls:
            row = {f"new_{name}": getattr(call, name) for name in _CALL_FIELDS if name != "late"}
            self._writes.change(statement, row)
        self._recorded += calls

    async def calls_of_turn(self, turn_pk: UUID) -> Sequence[ModelCall]:
        """Along the primary key."""
        stored = await self._all(_CALLS_OF_TURN, {"turn_pk": turn_pk})
        known = {call.call_id: call for call in stored}
        for call in self._recorded:
            if call.turn_pk == turn_pk:
                known.setdefault(call.call_id, call)
        return list(known.values())

    async def billed(self, turn_pk: UUID | None, message_id: UUID | None) -> Sequence[UsageRow]:
        """By the two unique indexes."""
        return await self._all(_BILLED, {"turn_pk": turn_pk, "message_id": message_id})

    def add(self, row: UsageRow, calls: Sequence[ModelCall]) -> None:
        """Insert, and see to it that no call came between."""
        self._writes.change(_ADD, {f"new_{name}": value for name, value in _values(row, calls).items()})
        self._add_models(row)

    def upgrade(self, row: UsageRow, calls: Sequence[ModelCall]) -> None:
        """Update what is provisional, and write its models anew."""
        values = _values(row, calls)
        self._writes.change(
            _UPGRADE, {"of_id": row.id, **{f"new_{name}": values[name] for name in _UPGRADED}}, must_hit=True
        )
        self._writes.change(_FORGET_MODELS, {"of_id": row.id})
        self._add_models(row)

    def _add_models(self, row: UsageRow) -> None:
        for share in row.model_breakdown.values():
            values = {f"new_{name}": value for name, value in msgspec.structs.asdict(share).items()}
            self._writes.change(_ADD_MODEL, {"new_usage_id": row.id, **values})
        if row.turn_pk is not None:
            self._writes.change(_STILL_ALL, {"of_id": row.id, "of_turn": row.turn_pk}, must_hit=True)

    async def rows(self, wanted: UsageFilter, after: Cursor | None, limit: int) -> Sequence[UsageRow]:
        """Along one of the indexes on time."""
        values = condition_values(wanted)
        query = _listing(frozenset(values), after=after is not None)
        place = {"at": after.created_datetime, "behind": after.id} if after else {}
        return await self._all(query, {**values, **place, "limit": limit})

    async def total(self, wanted: UsageFilter) -> Totals:
        """Over the same rows."""
        values = condition_values(wanted)
        rows = await self._rows(group_statement(frozenset(values), (), after=False), {**values, "limit": 1})
        return msgspec.convert(totals_of(rows[0]), Totals)

    async def groups(
        self, wanted: UsageFilter, keys: Sequence[GroupKey], after: After | None, limit: int
    ) -> Sequence[GroupTotals]:
        """Over the same rows, or their models."""
        values = condition_values(wanted)
        statement = group_statement(frozenset(values), tuple(keys), after=after is not None)
        place = keys_after(keys, after) if after is not None else {}
        rows = await self._rows(statement, {**values, **place, "limit": limit})
        found = [{**group_values(keys, row), **totals_of(row[len(keys) :])} for row in rows]
        return msgspec.convert(found, list[GroupTotals])

    async def models_of(self, conversation_id: UUID) -> Sequence[ModelShare]:
        """Over the index on conversations."""
        return await self._all(MODELS_OF, {"conversation_id": conversation_id})


def _values(row: UsageRow, calls: Sequence[ModelCall]) -> Row:
    values = {name: value for name, value in msgspec.structs.asdict(row).items() if name != "workspace_id"}
    details = {"calls": msgspec.to_builtins(calls)}
    return {**values, "usage_day": row.usage_day.isoformat(), "call_details": details}
