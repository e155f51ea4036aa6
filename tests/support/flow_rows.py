"""Flows for tests: blueprints of a few topics, and flows of them as they are stored."""

from collections.abc import Callable
from typing import Any

from tests.support.databases import Store

from workbench.adapters.sql.flow_ledger import SqlFlowLedger
from workbench.adapters.sql.transactions import SqlTransaction
from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.clock import Clock
from workbench.domain.flows.model import (
    Blueprint,
    BlueprintRef,
    Document,
    FlowError,
    Interface,
    ParameterType,
    ServiceUse,
    StoredFlow,
    StoredType,
)
from workbench.domain.flows.ports import FlowFilter
from workbench.domain.flows.resolving import Place, Values, resolved

ENTRY = NewAuditEntry(actor=Actor(kind="user", id="ann"), act="flow.started", subject="f")
LIBRARIAN = "request:wb:librarian"
BLUEPRINTS = {
    "rag": [
        "request:wb:{workspace}:chunk:{id}",
        "request:wb:{workspace}:llm:{blueprint}",
        "notify:wb:{workspace}:audit",
        "request:wb:embed:{blueprint}",
        LIBRARIAN,
    ],
    "chat": ["request:wb:{workspace}:agent:{id}", "notify:wb:{workspace}:audit", LIBRARIAN],
    "solo": ["request:wb:solo:{id}", LIBRARIAN],
}


class OpenSealer:
    """Hides nothing."""

    def seal(self, value: Any) -> dict[str, str]:
        return {"$sealed": repr(value), "mark": repr(value)}

    def unseal(self, sealed: dict[str, str]) -> Any:
        return sealed["$sealed"]


def document_of(*topics: str, **interfaces: Interface) -> Document:
    """A blueprint of one service that uses these topics."""
    names = {f"t{number}": topic for number, topic in enumerate(topics)}
    return Document(services=[ServiceUse(service="worker", topics=names)], interfaces=interfaces)


def stored_flow(
    clock: Clock, workspace: str, flow_id: str, blueprint: str, document: Document | None = None
) -> StoredFlow:
    """A flow that is starting."""
    now = clock.now()
    chosen = document or document_of(*BLUEPRINTS[blueprint])
    values = Values(by_name={}, secrets=frozenset(), sealer=OpenSealer())
    place = Place(workspace_id=workspace, blueprint=blueprint, flow_id=flow_id)
    return StoredFlow(
        workspace_id=workspace,
        flow_id=flow_id,
        generation=0,
        blueprint=BlueprintRef(name=blueprint, version=1),
        description="",
        state="starting",
        parameters={},
        secrets=[],
        snapshot=resolved(chosen, place, values, system=True),
        is_withdrawn=False,
        drain_milliseconds=0,
        error=None,
        cleanup=None,
        created_by="ann",
        created_at=now,
        updated_at=now,
        started_at=None,
        stopping_at=None,
        stopped_at=None,
    )


def blueprint(clock: Clock, name: str = "rag", version: int = 1) -> Blueprint:
    """A blueprint of a workspace's own."""
    now = clock.now()
    return Blueprint(
        name=name,
        system=False,
        version=version,
        document=document_of(*BLUEPRINTS["rag"]),
        created_by="ann",
        created_at=now,
        updated_at=now,
    )


def add_flows(tx: SqlTransaction, clock: Clock) -> None:
    """What a workspace has of its own, under a name that no other has."""
    tx.blueprints.add(blueprint(clock, named(tx.writes.workspace_id)))
    stored = StoredType(name=named(tx.writes.workspace_id), system=False, schema=ParameterType())
    tx.parameter_types.put(stored)


def named(workspace: str) -> str:
    """A name of the workspace's own; that of the one whose things others try to reach is `theirs`."""
    return "theirs" if workspace == "default" else f"of-{workspace}"


async def begin_flow(store: Store, workspace: str) -> StoredFlow:
    """A flow that failed to start: one of the kind that can be removed."""
    name = named(workspace)
    flow = stored_flow(store.clock, workspace, name, name, document_of("request:wb:{workspace}:{id}"))
    ledger = SqlFlowLedger(store.database, store.group.announce_all)
    begun = await ledger.begin(flow, 10, ENTRY)
    await ledger.fail(begun.key, FlowError(code="x", message="x"), store.clock.now())
    return begun


Read = Callable[[SqlTransaction, Any], Any]

READS: dict[str, tuple[Read, object]] = {
    "flows.find": (lambda tx, w: tx.flows.find(w.flow.flow_id), None),
    "flows.page": (lambda tx, w: tx.flows.page(FlowFilter(states=("starting",), blueprint=w.flow.blueprint.name)), []),
    "flows.made_of": (lambda tx, w: tx.flows.made_of(w.flow.blueprint.name), []),
    "flows.topics_of": (lambda tx, w: tx.flows.topics_of(w.flow), []),
    "blueprints.find": (lambda tx, w: tx.blueprints.find(w.flow.flow_id), None),
    "parameter_types.find": (lambda tx, w: tx.parameter_types.find(w.flow.flow_id), None),
}
WRITES: dict[str, Callable[[SqlTransaction, Any], object]] = {
    "flows.describe": lambda tx, w: tx.flows.describe(w.flow, "changed"),
    "flows.remove": lambda tx, w: tx.flows.remove(w.flow),
    "blueprints.change": lambda tx, w: tx.blueprints.change(blueprint(w.clock, w.flow.flow_id, 2)),
    "blueprints.remove": lambda tx, w: tx.blueprints.remove(w.flow.flow_id),
    "parameter_types.remove": lambda tx, w: tx.parameter_types.remove(w.flow.flow_id),
}
WITHOUT_AN_ID = {
    *("blueprints.add", "blueprints.page", "parameter_types.page", "parameter_types.all", "parameter_types.put"),
}
