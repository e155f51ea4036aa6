"""Budgets in SQL.

What was spent is summed up from the bills themselves, along their indexes: there is no second account that could differ
from the first, whoever writes, moves or erases bills. A reservation is one statement, which inserts on condition that
the sums of the last minutes leave room; on SQLite the one writer makes that exact, on PostgreSQL a lock on the workspace.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from itertools import product
from typing import Any, get_args

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Select,
    String,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    text,
    true,
    tuple_,
    union_all,
)
from sqlalchemy import case as when
from sqlalchemy.dialects import postgresql, sqlite

from workbench.adapters.sql.budget_tables import budget_limits, budget_reservations
from workbench.adapters.sql.prepared import Prepared
from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id, Moment
from workbench.adapters.sql.usage_tables import token_usage
from workbench.domain.budgets.model import EVERY, Limit, Measure, Period, Scope, Spend, Subjects, Terms
from workbench.domain.budgets.ports import Amounts, Budgets, Counted, LimitPlace, Part, Room

_LIMIT_FIELDS = ("scope", "subject", "measure", "period", "amount", "anchor")
_KEYS = ("scope", "subject", "measure", "period")
_PLACE = columns_of(budget_limits, *_KEYS)
_ALL: Select[Any] = select(*columns_of(budget_limits, *_LIMIT_FIELDS)).where(here(budget_limits))
_ARE_LIMITED = select(exists().where(here(budget_limits)))
_OF_SUBJECTS = Query(
    Limit,
    union_all(
        *(
            _ALL.where(
                budget_limits.c.scope == scope,
                or_(budget_limits.c.subject == EVERY, budget_limits.c.subject == bindparam(scope)),
            )
            for scope in Subjects.__struct_fields__
        )
    ),
)
_THE_SUBJECT = and_(
    here(budget_limits),
    budget_limits.c.scope == bindparam("of_scope"),
    budget_limits.c.subject == bindparam("of_subject"),
)
_OWN = Query(Limit, select(*columns_of(budget_limits, *_LIMIT_FIELDS)).where(_THE_SUBJECT).order_by(*_PLACE))
_IN_ORDER = _ALL.order_by(*_PLACE).limit(bindparam("limit"))
_FIRST = Query(Limit, _IN_ORDER)
_BEHIND = Query(
    Limit, _IN_ORDER.where(tuple_(*_PLACE) > tuple_(*(bindparam(f"after_{name}", type_=String()) for name in _KEYS)))
)
_REMOVE = delete(budget_limits).where(
    _THE_SUBJECT,
    budget_limits.c.measure == bindparam("of_measure"),
    budget_limits.c.period == bindparam("of_period"),
)

_NOW: ColumnElement[Any] = bindparam("now", type_=Moment)
_RELEASE = delete(budget_reservations).where(
    here(budget_reservations),
    or_(budget_reservations.c.key == bindparam("of_key"), budget_reservations.c.expires_datetime <= _NOW),
)
# Held to the commit; whoever is second sees what the first has written.
_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended('budgets ' || CAST(:ws AS text), 0))")

# Written out, since a prepared insert takes every parameter for a value of its row.
_NOTHING: ColumnElement[Any] = literal_column("0")
_ONE: ColumnElement[Any] = literal_column("1")
# What nothing was billed for, such as a call that failed at once, does not count.
_COUNTS = or_(token_usage.c.total_tokens > _NOTHING, token_usage.c.cost_micros > _NOTHING)
_BILLED: dict[Measure, ColumnElement[Any]] = {
    "turns": when((_COUNTS, _ONE), else_=_NOTHING),
    "tokens": token_usage.c.total_tokens,
    "cost_micros": token_usage.c.cost_micros,
    "generations": token_usage.c.generations,
}
_HELD: dict[Measure, ColumnElement[Any]] = {
    "turns": _ONE,
    "tokens": budget_reservations.c.tokens,
    "cost_micros": budget_reservations.c.cost_micros,
    "generations": budget_reservations.c.generations,
}
_ROW_COLUMNS = ("key", "user_id", "assistant_id", "tokens", "cost_micros", "generations", "expires_datetime")


def _sum(column: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(func.coalesce(func.sum(column), _NOTHING), BigInteger)


def _number(place: int) -> ColumnElement[Any]:
    number: ColumnElement[Any] = literal_column(str(place))
    return number.label("place")


def _billed(scope: Scope, since: ColumnElement[Any], subject: str) -> ColumnElement[bool]:
    """The subject's bills from a time on, as the index of its scope has them."""
    mine: dict[Scope, ColumnElement[bool] | None] = {
        "workspace": None,
        "user": token_usage.c.user_id == bindparam(subject),
        "assistant": token_usage.c.assistant_id == bindparam(subject, type_=Id),
    }
    whose = mine[scope]
    recent = token_usage.c.created_datetime >= since
    return and_(here(token_usage), recent) if whose is None else and_(here(token_usage), whose, recent)


def _held(scope: Scope, key: str, subject: str) -> ColumnElement[bool]:
    """The subject's reservations that hold, but for one."""
    table = budget_reservations.c
    mine: dict[Scope, ColumnElement[bool] | None] = {
        "workspace": None,
        "user": table.user_id == bindparam(subject),
        "assistant": table.assistant_id == bindparam(subject, type_=Id),
    }
    whose = mine[scope]
    live = and_(here(budget_reservations), table.key != bindparam(key), table.expires_datetime > _NOW)
    return live if whose is None else and_(live, whose)


@lru_cache(64)
def _counting(scopes: tuple[Scope, ...]) -> CompoundSelect[Any]:
    """Build the statement that sums up parts of these scopes: two rows for each, bills and reservations."""
    rows: list[Select[Any]] = []
    for place, scope in enumerate(scopes):
        since, until = (bindparam(f"{name}_{place}", type_=Moment) for name in ("since", "until"))
        early = [when((token_usage.c.created_datetime < until, each), else_=_NOTHING) for each in _BILLED.values()]
        sums = [_sum(column) for column in (*_BILLED.values(), *early)]
        rows.append(select(_number(2 * place), *sums).where(_billed(scope, since, f"subject_{place}")))
        held = [_sum(column) for column in (*_HELD.values(), *(_NOTHING for _ in early))]
        mine = _held(scope, "key", f"subject_{place}")
        rows.append(select(_number(2 * place + 1), *held).select_from(budget_reservations).where(mine))
    return union_all(*rows).order_by(literal_column("1"))


@lru_cache(128)
def _reserving(rooms: tuple[tuple[Scope, Measure], ...], dialect: str) -> Prepared:
    """Build the statement that reserves where each of these has room."""
    columns = budget_reservations.c
    new = {name: bindparam(f"new_{name}", type_=columns[name].type) for name in _ROW_COLUMNS}
    row = {"workspace_id": bindparam("ws", type_=columns.workspace_id.type), **new}
    conditions = [_has_room(place, scope, measure) for place, (scope, measure) in enumerate(rooms)]
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    # SQLite takes ON CONFLICT behind a SELECT only where that has a WHERE.
    statement = make(budget_reservations).from_select(list(row), select(*row.values()).where(true(), *conditions))
    prolonged = {name: statement.excluded[name] for name in _ROW_COLUMNS if name != "key"}
    upsert = statement.on_conflict_do_update(index_elements=["workspace_id", "key"], set_=prolonged)
    return Prepared(upsert.returning(columns.key))


def _has_room(place: int, scope: Scope, measure: Measure) -> ColumnElement[bool]:
    subject, since = f"subject_{place}", bindparam(f"since_{place}", type_=Moment)
    billed = select(_sum(_BILLED[measure])).where(_billed(scope, since, subject)).scalar_subquery()
    others = _held(scope, "new_key", subject)
    held_by_others = select(_sum(_HELD[measure])).select_from(budget_reservations).where(others).scalar_subquery()
    need, room = (bindparam(f"{name}_{place}", type_=BigInteger) for name in ("need", "room"))
    return billed + held_by_others + need <= room


class SqlBudgets(Repository, Budgets):
    """The limits and reservations of one workspace."""

    @property
    def workspace_id(self) -> str:
        """The block's."""
        return self._writes.workspace_id

    async def are_limited(self) -> bool:
        """By the primary key."""
        return bool(await self._scalar(_ARE_LIMITED, {}))

    async def limits_of(self, subjects: Subjects) -> Sequence[Limit]:
        """By the primary key, scope after scope."""
        return await self._all(_OF_SUBJECTS, msgspec.structs.asdict(subjects))

    async def limits(self, after: LimitPlace | None, limit: int) -> Sequence[Limit]:
        """Along the primary key."""
        if after is None:
            return await self._all(_FIRST, {"limit": limit})
        place = {f"after_{name}": value for name, value in zip(_KEYS, after, strict=True)}
        return await self._all(_BEHIND, {**place, "limit": limit})

    async def own_limits(self, scope: Scope, subject: str) -> Sequence[Limit]:
        """By the primary key."""
        return await self._all(_OWN, {"of_scope": scope, "of_subject": subject})

    def replace_limits(self, scope: Scope, subject: str, limits: Sequence[Terms]) -> None:
        """Write over what is given, delete what is not."""
        for terms in limits:
            anchor = None if terms.anchor is None else terms.anchor.isoformat()
            row = {"measure": terms.measure, "period": terms.period, "amount": terms.amount, "anchor": anchor}
            self._writes.upsert(budget_limits, {"scope": scope, "subject": subject, **row})
        given = {(terms.measure, terms.period) for terms in limits}
        for measure, period in product(get_args(Measure), get_args(Period)):
            if (measure, period) not in given:
                place = {"of_scope": scope, "of_subject": subject, "of_measure": measure, "of_period": period}
                self._writes.change(_REMOVE, place)

    async def counted(self, parts: Sequence[Part], key: str, now: datetime) -> Sequence[Counted]:
        """In one statement, so that what is settled meanwhile is seen once, as reserved or as billed."""
        values: dict[str, Any] = {"key": key, "now": now}
        for place, part in enumerate(parts):
            values |= {f"since_{place}": part.since, f"until_{place}": part.until, f"subject_{place}": part.subject}
        rows = await self._rows(_counting(tuple(part.scope for part in parts)), values)
        sums = [_amounts(row[1:]) for row in rows]
        return [
            Counted(used=billed[0], before=billed[1], reserved=held[0])
            for billed, held in zip(sums[::2], sums[1::2], strict=True)
        ]

    def reserve(self, spend: Spend, rooms: Sequence[Room], now: datetime) -> None:
        """Insert where there is room, alone in the workspace."""
        dialect = self._context.database.dialect_name
        if rooms and dialect == "postgresql":
            self._writes.change(_ALONE, {})
        row = {name: getattr(spend, name) for name in _ROW_COLUMNS if name != "expires_datetime"}
        row["expires_datetime"] = now + spend.keep
        values: dict[str, Any] = {"now": now, **{f"new_{name}": value for name, value in row.items()}}
        for place, room in enumerate(rooms):
            values |= {f"{name}_{place}": getattr(room, name) for name in ("subject", "since", "need", "room")}
        statement = _reserving(tuple((room.scope, room.measure) for room in rooms), dialect)
        self._writes.change(statement, values, must_hit=True)

    def release(self, key: str, now: datetime) -> None:
        """Delete."""
        self._writes.change(_RELEASE, {"of_key": key, "now": now})


def _amounts(sums: Sequence[Any]) -> tuple[Amounts, Amounts]:
    split = len(_BILLED)
    whole, early = (dict(zip(_BILLED, part, strict=True)) for part in (sums[:split], sums[split:]))
    return Amounts(**whole), Amounts(**early)
