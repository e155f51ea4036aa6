"""Statements that filter bills and sum them up, each built once for its form."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy import case as when

from workbench.adapters.sql.prepared import Values
from workbench.adapters.sql.repository import Query, here
from workbench.adapters.sql.schema import Id, Moment
from workbench.adapters.sql.usage_tables import token_usage, token_usage_models
from workbench.domain.usage.model import ModelShare
from workbench.domain.usage.totals import GroupKey, UsageFilter

_FIRST_DAY = date(1970, 1, 1)
"""Days before are written with fewer digits by some C libraries, and sort wrongly."""
_SUMS = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens")
_TOTALS = (*_SUMS, "cost_micros", "cost_complete", "turns", "calls")
_WITH_MODELS = and_(
    token_usage_models.c.workspace_id == token_usage.c.workspace_id, token_usage_models.c.usage_id == token_usage.c.id
)
_COLUMNS: dict[GroupKey, ColumnElement[Any]] = {
    "user": token_usage.c.user_id,
    "conversation": token_usage.c.conversation_id,
    "workspace": token_usage.c.workspace_id,
    "assistant": token_usage.c.assistant_id,
    "service": token_usage.c.assistant_service_id,
    "model": token_usage_models.c.model,
    "day": token_usage.c.usage_day,
    "usage_type": token_usage.c.usage_type,
}


def _took_part() -> ColumnElement[bool]:
    return exists().where(_WITH_MODELS, token_usage_models.c.model == bindparam("model"))


def conditions(filters: frozenset[str], *, by_model: bool = False) -> list[ColumnElement[bool]]:
    """The conditions that a filter's members stand for; joined with models, only that model's part is meant."""
    known = {
        "first": token_usage.c.created_datetime >= bindparam("first", type_=Moment),
        "last": token_usage.c.created_datetime <= bindparam("last", type_=Moment),
        "user_id": token_usage.c.user_id == bindparam("user_id"),
        "conversation_id": token_usage.c.conversation_id == bindparam("conversation_id", type_=Id),
        "assistant_id": token_usage.c.assistant_id == bindparam("assistant_id", type_=Id),
        "usage_type": token_usage.c.usage_type == bindparam("usage_type"),
        "model": token_usage_models.c.model == bindparam("model") if by_model else _took_part(),
    }
    return [known[name] for name in sorted(filters)]


def condition_values(wanted: UsageFilter) -> dict[str, Any]:
    """The values of the members that are given."""
    given: dict[str, Any] = {
        "first": wanted.first_day and datetime.combine(max(wanted.first_day, _FIRST_DAY), time.min, UTC),
        "last": wanted.last_day and datetime.combine(max(wanted.last_day, _FIRST_DAY), time.max, UTC),
        "user_id": wanted.user_id,
        "conversation_id": wanted.conversation_id,
        "assistant_id": wanted.assistant_id,
        "usage_type": wanted.usage_type,
        "model": wanted.model,
    }
    return {name: value for name, value in given.items() if value is not None}


@lru_cache(128)
def group_statement(filters: frozenset[str], keys: tuple[GroupKey, ...], *, after: bool) -> Select[Any]:
    """Sum up by keys, all of them texts, in their order; without keys all is one group."""
    by_model = "model" in keys
    source = token_usage_models if by_model else token_usage
    names = [_key_text(key) for key in keys]
    calls = token_usage_models.c.calls if by_model else token_usage.c.call_count
    unknown = func.sum(when((source.c.cost_complete, 0), else_=1))
    statement = select(
        *names,
        *(_whole(func.coalesce(func.sum(source.c[name]), 0)) for name in _SUMS),
        _whole(func.sum(source.c.cost_micros)),
        func.coalesce(unknown, 0) == 0,
        func.count(token_usage.c.turn_pk),
        _whole(func.coalesce(func.sum(calls), 0)),
    ).where(here(token_usage), *conditions(filters, by_model=by_model))
    if by_model:
        statement = statement.join_from(token_usage, token_usage_models, _WITH_MODELS)
    if after:
        statement = statement.where(_is_behind(names))
    return statement.group_by(*names).order_by(*names).limit(bindparam("limit"))


def _whole(number: ColumnElement[Any]) -> ColumnElement[Any]:
    """PostgreSQL sums whole numbers up to a decimal one."""
    return cast(number, BigInteger)


def _key_text(key: GroupKey) -> ColumnElement[Any]:
    """A key as text, which is never null, so that groups have an order that a page can go on in."""
    return func.coalesce(cast(_COLUMNS[key], Text), literal_column("''", Text))


def _is_behind(names: Sequence[ColumnElement[Any]]) -> ColumnElement[bool]:
    steps = [
        and_(
            *(before == bindparam(f"after_{earlier}", type_=Text) for earlier, before in enumerate(names[:place])),
            name > bindparam(f"after_{place}", type_=Text),
        )
        for place, name in enumerate(names)
    ]
    return or_(*steps)


def keys_after(keys: Sequence[GroupKey], after: Sequence[str]) -> dict[str, str]:
    """The values of the place to go on from."""
    return {f"after_{place}": after[place] for place in range(len(keys))}


def group_values(keys: Sequence[GroupKey], row: Values) -> dict[str, Any]:
    """The keys of a group, null where there is none."""
    return {key: value or None for key, value in zip(keys, row, strict=False)}


def totals_of(row: Values) -> dict[str, Any]:
    """The sums of a group."""
    return {**dict(zip(_TOTALS, row, strict=True)), "cost_complete": bool(row[_TOTALS.index("cost_complete")])}


_DESCRIPTIONS = ("model_ref", "model_id", "display_name", "provider")
_OF_SHARES: dict[str, ColumnElement[Any]] = {
    "model": token_usage_models.c.model,
    **{name: func.max(token_usage_models.c[name]) for name in _DESCRIPTIONS},
    **{name: _whole(func.sum(token_usage_models.c[name])) for name in (*_SUMS, "cost_micros", "calls")},
    "cost_complete": func.sum(when((token_usage_models.c.cost_complete, 0), else_=1)) == 0,
}
# Not a join: SQLite would begin with all models of the workspace, since they are in the order of the groups.
_IN_CONVERSATION = select(token_usage.c.id).where(
    here(token_usage), token_usage.c.conversation_id == bindparam("conversation_id", type_=Id)
)
MODELS_OF = Query(
    ModelShare,
    select(*(_OF_SHARES[name].label(name) for name in ModelShare.__struct_fields__))
    .where(here(token_usage_models), token_usage_models.c.usage_id.in_(_IN_CONVERSATION))
    .group_by(token_usage_models.c.model)
    .order_by(token_usage_models.c.model),
)
