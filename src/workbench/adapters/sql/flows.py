"""Flows, blueprints and parameter types of one workspace in SQL."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Table, and_, bindparam, delete, exists, func, or_, select, tuple_, update

from workbench.adapters.sql.duties import COUNT_SHARERS
from workbench.adapters.sql.flow_tables import (
    bus_topics,
    flow_blueprints,
    flow_parameter_types,
    flow_topics,
    flows,
)
from workbench.adapters.sql.repository import WORKSPACE, Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Moment
from workbench.domain.bus.model import TopicName
from workbench.domain.flows.model import HOLDING, SYSTEM, Blueprint, FlowTopic, StoredFlow, StoredType
from workbench.domain.flows.ports import Blueprints, FlowFilter, Flows, ParameterTypes

# Plain texts: msgspec takes no subclass of them for the name of a field.
FLOW = tuple(str(column.name) + "" for column in flows.columns)
_BLUEPRINT = ("workspace_id", "name", "version", "document", "created_by", "created_at", "updated_at")
_NESTED = ("blueprint_name", "blueprint_version")


def flow_of(row: Sequence[Any]) -> dict[str, Any]:
    """A row of all columns as the dict of a flow."""
    flow = dict(zip(FLOW, row, strict=True))
    name, version = (flow.pop(column) for column in _NESTED)
    return {**flow, "blueprint": {"name": name, "version": version}, "is_withdrawn": bool(flow["is_withdrawn"])}


def row_of(flow: StoredFlow) -> dict[str, Any]:
    """The columns of a flow."""
    row = {name: getattr(flow, name) for name in FLOW if name not in _NESTED}
    return {**row, "blueprint_name": flow.blueprint.name, "blueprint_version": flow.blueprint.version}


def _blueprint(row: Sequence[Any]) -> dict[str, Any]:
    found = dict(zip(_BLUEPRINT, row, strict=True))
    return {**found, "system": found.pop("workspace_id") == SYSTEM}


def _type(row: Sequence[Any]) -> dict[str, Any]:
    workspace_id, name, schema = row
    return {"name": name, "schema": schema, "system": workspace_id == SYSTEM}


def _topic(row: Sequence[Any]) -> dict[str, Any]:
    topic, owned, shared_with, state = row
    known = state or ("live" if owned else "foreign")
    topic_class = TopicName.parse(topic).topic_class
    return {"topic": topic, "class": topic_class, "owned": bool(owned), "shared_with": shared_with, "state": known}


def _own_or_system(table: Table) -> Any:
    """Rows of the workspace, and operators' that it has no own of."""
    own = table.alias("own")
    has_own = exists().where(own.c.workspace_id == WORKSPACE, own.c.name == table.c.name)
    return or_(here(table), and_(table.c.workspace_id == SYSTEM, ~has_own))


_BLUEPRINTS = select(*columns_of(flow_blueprints, *_BLUEPRINT)).where(_own_or_system(flow_blueprints))
_ONE_BLUEPRINT = Query(Blueprint, _BLUEPRINTS.where(flow_blueprints.c.name == bindparam("name")), _blueprint)
_BLUEPRINT_PAGE = Query(
    Blueprint,
    _BLUEPRINTS.where(flow_blueprints.c.name > bindparam("after"))
    .order_by(flow_blueprints.c.name)
    .limit(bindparam("limit")),
    _blueprint,
)
_CHANGE_BLUEPRINT = (
    update(flow_blueprints)
    .where(
        here(flow_blueprints),
        flow_blueprints.c.name == bindparam("of_name"),
        flow_blueprints.c.version == bindparam("before"),
    )
    .values(
        version=bindparam("to_version"),
        document=bindparam("to_document", type_=flow_blueprints.c.document.type),
        updated_at=bindparam("now", type_=Moment),
    )
)
_REMOVE_BLUEPRINT = delete(flow_blueprints).where(here(flow_blueprints), flow_blueprints.c.name == bindparam("of_name"))
_TYPES = select(*columns_of(flow_parameter_types, "workspace_id", "name", "schema")).where(
    _own_or_system(flow_parameter_types)
)
_ONE_TYPE = Query(StoredType, _TYPES.where(flow_parameter_types.c.name == bindparam("name")), _type)
_ALL_TYPES = Query(StoredType, _TYPES, _type)
_TYPE_PAGE = Query(
    StoredType,
    _TYPES.where(flow_parameter_types.c.name > bindparam("after"))
    .order_by(flow_parameter_types.c.name)
    .limit(bindparam("limit")),
    _type,
)
_REMOVE_TYPE = delete(flow_parameter_types).where(
    here(flow_parameter_types), flow_parameter_types.c.name == bindparam("of_name")
)
_NEWEST = Query(
    StoredFlow,
    select(flows)
    .where(here(flows), flows.c.flow_id == bindparam("flow_id"))
    .order_by(flows.c.generation.desc())
    .limit(1),
    flow_of,
)
_MADE_OF = (
    select(flows.c.flow_id)
    .where(here(flows), flows.c.state.in_(HOLDING), flows.c.blueprint_name == bindparam("blueprint"))
    .order_by(flows.c.flow_id)
    .limit(100)
)
_other = flow_topics.alias("other")
_TOPICS = Query(
    FlowTopic,
    select(
        flow_topics.c.topic,
        flow_topics.c.owned,
        (
            select(func.count() - 1)
            .select_from(_other)
            .where(_other.c.topic == flow_topics.c.topic)
            .scalar_subquery()
            .label("shared_with")
        ),
        bus_topics.c.state,
    )
    .join_from(flow_topics, bus_topics, bus_topics.c.topic == flow_topics.c.topic, isouter=True)
    .where(
        here(flow_topics),
        flow_topics.c.flow_id == bindparam("flow_id"),
        flow_topics.c.generation == bindparam("generation"),
    )
    .order_by(flow_topics.c.topic),
    _topic,
)
_RUN = and_(here(flows), flows.c.flow_id == bindparam("of_flow_id"), flows.c.generation == bindparam("of_generation"))
_DESCRIBE = (
    update(flows).where(_RUN).values(description=bindparam("to_description"), updated_at=bindparam("now", type_=Moment))
)
_REMOVE = delete(flows).where(_RUN, flows.c.state == "failed")


@lru_cache(8)
def _listing(*, by_blueprint: bool, behind: bool) -> Query[StoredFlow]:
    conditions: list[Any] = [here(flows), flows.c.state.in_(bindparam("states", expanding=True))]
    if by_blueprint:
        conditions.append(flows.c.blueprint_name == bindparam("blueprint"))
    if behind:
        place = tuple_(flows.c.flow_id, flows.c.generation)
        conditions.append(place > tuple_(bindparam("after_id"), bindparam("after_generation")))
    ordered = select(flows).where(*conditions).order_by(flows.c.flow_id, flows.c.generation)
    return Query(StoredFlow, ordered.limit(bindparam("limit")), flow_of)


class SqlBlueprints(Repository, Blueprints):
    """The blueprints that one workspace sees."""

    async def find(self, name: str) -> Blueprint | None:
        """By its primary key."""
        return await self._maybe(_ONE_BLUEPRINT, {"name": name})

    async def page(self, after: str | None, limit: int) -> Sequence[Blueprint]:
        """Along the primary keys."""
        return await self._all(_BLUEPRINT_PAGE, {"after": after or "", "limit": limit})

    def add(self, blueprint: Blueprint) -> None:
        """Insert."""
        row = {name: getattr(blueprint, name) for name in _BLUEPRINT[1:]}
        self._writes.insert(flow_blueprints, {**row, "document": msgspec.to_builtins(blueprint.document)})

    def change(self, blueprint: Blueprint) -> None:
        """Update, if it is of the version before."""
        values = {
            "of_name": blueprint.name,
            "before": blueprint.version - 1,
            "to_version": blueprint.version,
            "to_document": msgspec.to_builtins(blueprint.document),
            "now": blueprint.updated_at,
        }
        self._writes.change(_CHANGE_BLUEPRINT, values, must_hit=True)

    def remove(self, name: str) -> None:
        """Delete."""
        self._writes.change(_REMOVE_BLUEPRINT, {"of_name": name}, must_hit=True)


class SqlParameterTypes(Repository, ParameterTypes):
    """The parameter types that one workspace sees."""

    async def find(self, name: str) -> StoredType | None:
        """By its primary key."""
        return await self._maybe(_ONE_TYPE, {"name": name})

    async def page(self, after: str | None, limit: int) -> Sequence[StoredType]:
        """Along the primary keys."""
        return await self._all(_TYPE_PAGE, {"after": after or "", "limit": limit})

    async def all(self) -> Sequence[StoredType]:
        """All."""
        return await self._all(_ALL_TYPES, {})

    def put(self, stored: StoredType) -> None:
        """Insert, or write over."""
        row = {"name": stored.name, "schema": msgspec.to_builtins(stored.schema)}
        self._writes.upsert(flow_parameter_types, {**row, "updated_at": self._context.clock.now()})

    def remove(self, name: str) -> None:
        """Delete."""
        self._writes.change(_REMOVE_TYPE, {"of_name": name}, must_hit=True)


class SqlFlows(Repository, Flows):
    """The flows of one workspace."""

    async def find(self, flow_id: str) -> StoredFlow | None:
        """The highest generation."""
        return await self._maybe(_NEWEST, {"flow_id": flow_id})

    async def page(self, wanted: FlowFilter) -> Sequence[StoredFlow]:
        """Along the primary key."""
        query = _listing(by_blueprint=wanted.blueprint is not None, behind=wanted.after is not None)
        parameters: dict[str, Any] = {"states": list(wanted.states), "limit": wanted.limit}
        if wanted.blueprint is not None:
            parameters["blueprint"] = wanted.blueprint
        if wanted.after is not None:
            parameters["after_id"], parameters["after_generation"] = wanted.after
        return await self._all(query, parameters)

    async def topics_of(self, flow: StoredFlow) -> Sequence[FlowTopic]:
        """By its references, counting those of other flows."""
        place = {"flow_id": flow.flow_id, "generation": flow.generation}
        return _TOPICS.convert(await self._rows(_TOPICS.statement, place, COUNT_SHARERS))

    async def made_of(self, blueprint: str) -> Sequence[str]:
        """By name."""
        return [row[0] for row in await self._rows(_MADE_OF, {"blueprint": blueprint})]

    def describe(self, flow: StoredFlow, description: str) -> None:
        """Update."""
        now = self._context.clock.now()
        self._writes.change(_DESCRIBE, {**_place(flow), "to_description": description, "now": now}, must_hit=True)

    def remove(self, flow: StoredFlow) -> None:
        """Delete, if it failed."""
        self._writes.change(_REMOVE, _place(flow), must_hit=True)


def _place(flow: StoredFlow) -> dict[str, Any]:
    return {"of_flow_id": flow.flow_id, "of_generation": flow.generation}
