"""What flows need to have stored, in one workspace and over all of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from workbench.domain.audit.model import NewAuditEntry
from workbench.domain.audit.ports import AuditLog
from workbench.domain.flows.model import (
    AssignmentList,
    Blueprint,
    Cleanup,
    FlowError,
    FlowState,
    FlowTopic,
    Host,
    StoredFlow,
    StoredType,
)

CLAIM_SECONDS = 60.0
Key = tuple[str, str, int]
"""A run of a flow: workspace, flow_id, generation."""


class FlowFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which flows: without a state those that are not over; behind `after`, in the order of their ids."""

    states: tuple[FlowState, ...]
    blueprint: str | None = None
    after: tuple[str, int] | None = None
    limit: int = 50


class Blueprints(Protocol):
    """The blueprints of one workspace, and those that operators gave to all."""

    async def find(self, name: str) -> Blueprint | None:
        """The workspace's own of that name, else the operators'."""
        ...

    async def page(self, after: str | None, limit: int) -> Sequence[Blueprint]:
        """In the order of names; operators' that the workspace has its own of are left out."""
        ...

    def add(self, blueprint: Blueprint) -> None:
        """Store a new one of the workspace's."""
        ...

    def change(self, blueprint: Blueprint) -> None:
        """Store the next version of one of the workspace's; stale where it is not the next one."""
        ...

    def remove(self, name: str) -> None:
        """Forget the workspace's own; stale where it is gone."""
        ...


class ParameterTypes(Protocol):
    """The parameter types of one workspace, and those that operators gave to all."""

    async def find(self, name: str) -> StoredType | None:
        """The workspace's own of that name, else the operators'."""
        ...

    async def page(self, after: str | None, limit: int) -> Sequence[StoredType]:
        """In the order of names."""
        ...

    async def all(self) -> Sequence[StoredType]:
        """Every one that the workspace's blueprints may name."""
        ...

    def put(self, stored: StoredType) -> None:
        """Store one of the workspace's, new or over what there was."""
        ...

    def remove(self, name: str) -> None:
        """Forget the workspace's own; stale where it is gone."""
        ...


class Flows(Protocol):
    """The flows of one workspace."""

    async def find(self, flow_id: str) -> StoredFlow | None:
        """The newest run of the flow."""
        ...

    async def page(self, wanted: FlowFilter) -> Sequence[StoredFlow]:
        """Those that the filter wants."""
        ...

    async def topics_of(self, flow: StoredFlow) -> Sequence[FlowTopic]:
        """What the flow refers to."""
        ...

    async def made_of(self, blueprint: str) -> Sequence[str]:
        """The ids of the flows of that blueprint that are not over."""
        ...

    def describe(self, flow: StoredFlow, description: str) -> None:
        """Change its description; stale where the run is gone."""
        ...

    def remove(self, flow: StoredFlow) -> None:
        """Forget a run that failed; stale where it is gone, or not failed."""
        ...


class FlowTx(Protocol):
    """The slice of a transaction that flows may touch."""

    @property
    def flows(self) -> Flows: ...
    @property
    def blueprints(self) -> Blueprints: ...
    @property
    def parameter_types(self) -> ParameterTypes: ...
    @property
    def audit(self) -> AuditLog: ...


class DoomedTopic(msgspec.Struct, frozen=True, kw_only=True):
    """A topic that is to be deleted from the bus, with the queues of these subscriptions."""

    topic: str
    subscriptions: list[str]
    attempts: int = 0


class FlowLedger(Protocol):
    """The states of all flows, and the topics that they hold together, across workspaces.

    Each act is one transaction, and they happen one after another: which topics a flow leaves to others is decided
    while nobody else starts or stops.
    """

    async def begin(self, flow: StoredFlow, limit: int, entry: NewAuditEntry) -> StoredFlow:
        """Store a flow that is starting, under its next generation, with all the topics that it refers to.

        Raises ConflictError (flow_exists, flow_stopping, flow_limit, topic_conflict, shared_service_conflict), and
        UnavailableError (topic_busy) while one of its topics is still being deleted.
        """
        ...

    async def run(self, key: Key, now: datetime) -> StoredFlow | None:
        """From starting to running; None where it is no longer starting."""
        ...

    async def fail(self, key: Key, error: FlowError, now: datetime) -> Sequence[DoomedTopic]:
        """From starting to failed; says which topics are to be deleted, and are taken up for it."""
        ...

    async def stop(self, key: Key, drain_seconds: float, now: datetime, entry: NewAuditEntry) -> StoredFlow | None:
        """From starting or running to stopping; None where it is neither."""
        ...

    async def withdraw(self, key: Key, now: datetime) -> None:
        """Have hosts let go of a flow that is stopping."""
        ...

    async def sweep(self, key: Key, now: datetime) -> Cleanup:
        """Drop what a stopping flow holds; the topics that nobody else needs are marked, and are `pending`."""
        ...

    async def finish(self, key: Key, cleanup: Cleanup, now: datetime) -> StoredFlow | None:
        """From stopping to stopped."""
        ...

    async def claim_doomed(self, topics: Sequence[str] | None, now: datetime) -> Sequence[DoomedTopic]:
        """Take up topics, of these or any, whose next try is due; for CLAIM_SECONDS nobody else is given them."""
        ...

    async def still_doomed(self, topics: Sequence[str]) -> Sequence[str]:
        """Which of the topics are still to be deleted."""
        ...

    async def deleted(self, topic: str) -> None:
        """Forget a topic that is gone from the bus."""
        ...

    async def not_deleted(self, topic: str, again_at: datetime) -> None:
        """Note a try in vain."""
        ...

    async def pending(self) -> int:
        """How many topics are still to be deleted."""
        ...

    async def version(self) -> int:
        """A number that grows whenever a flow begins, or changes its state."""
        ...

    async def holding(self) -> Sequence[StoredFlow]:
        """Every flow that holds topics: starting, running, stopping."""
        ...

    async def counts(self) -> dict[str, int]:
        """How many flows are in each state."""
        ...

    async def heard(self, host: Host) -> None:
        """Note a host's sign of life."""
        ...

    async def left(self, host_id: str) -> None:
        """Forget a host that ended."""
        ...

    async def host(self, host_id: str) -> Host | None:
        """A host, whenever its last sign of life was."""
        ...

    async def hosts(self, since: datetime) -> Sequence[Host]:
        """The hosts that gave a sign of life since then."""
        ...

    async def forget(self, before: datetime, limit: int) -> int:
        """Forget flows that were over by then, and hosts; says how many."""
        ...


MAX_MISFITS = 20


class Misfit(msgspec.Struct, frozen=True, kw_only=True):
    """What in a value is not as a schema wants it, at a JSON path."""

    path: str
    detail: str


class Shape(Protocol):
    """A schema that was read."""

    def misfits(self, value: Any) -> list[Misfit]:
        """What is wrong with a value, MAX_MISFITS at most; nothing of the value itself is told."""
        ...


class Schemas(Protocol):
    """Reads JSON Schemas. Nothing is fetched for it, and no pattern takes for ever."""

    def read(self, schema: Mapping[str, Any]) -> Shape:
        """A schema, ready to be held against values. Raises ValueError, which says what is wrong with it."""
        ...


class Sealer(Protocol):
    """Keeps secret values from whoever can read what is stored."""

    def seal(self, value: Any) -> dict[str, str]:
        """A value of JSON, sealed. Of two that are the same, `mark` is the same."""
        ...

    def unseal(self, sealed: dict[str, str]) -> Any:
        """The value that was sealed."""
        ...


class AssignmentSource(Protocol):
    """Where a host that is a process of its own learns what to run."""

    async def next(self, version: int, wait_seconds: float) -> AssignmentList | None:
        """What to run, where that is not the list of this version; None where nothing changed in that time.

        Raises UnavailableError where there is no answer now, UnauthenticatedError where the host is not let in.
        """
        ...

    async def release(self, keys: Sequence[str]) -> None:
        """Say what is not held. Raises as `next` does."""
        ...


class FlowMeter(Protocol):
    """Counts what becomes of flows."""

    def transitioned(self, before: str, after: str) -> None:
        """Count a change of state."""
        ...

    def topics(self, topic_class: str, outcome: str, count: int) -> None:
        """Count topics that were deleted, or kept."""
        ...
