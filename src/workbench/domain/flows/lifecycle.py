"""Starting flows, looking at them, and asking for their end."""

import asyncio
import re
import time
from typing import Any

from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.bus.errors import BusError
from workbench.domain.errors import ConflictError, NotFoundError, UnavailableError, UnprocessableError
from workbench.domain.flows.blueprints import Types, types_of
from workbench.domain.flows.checking import findings_of
from workbench.domain.flows.means import FlowMeans
from workbench.domain.flows.model import (
    MAX_DRAIN_SECONDS,
    NAME_PATTERN,
    Blueprint,
    BlueprintRef,
    Flow,
    FlowError,
    NewFlow,
    Snapshot,
    StoredFlow,
)
from workbench.domain.flows.parameters import resolve
from workbench.domain.flows.reading import FlowReader
from workbench.domain.flows.resolving import Place, Values, refuse, resolved
from workbench.domain.flows.roster import Roster
from workbench.domain.flows.stopping import StopService, TopicRemover
from workbench.domain.identity.model import Principal

CREATE_AT_ONCE = 8
CREATE_SECONDS = 30.0
BUSY_SECONDS = 10.0
BUSY_PAUSE_SECONDS = 0.25
READY_SECONDS = 30.0
READY_PAUSE_SECONDS = 0.02


class FlowService:
    """Acts that change flows."""

    def __init__(
        self, means: FlowMeans, reader: FlowReader, roster: Roster, stops: StopService, remover: TopicRemover
    ) -> None:
        self._transactions = means.transactions
        self._ledger = means.ledger
        self._bus = means.bus
        self._changes = means.changes
        self._clock = means.clock
        self._policy = means.policy
        self._meter = means.meter
        self._sealer = means.sealer
        self._times = means.times
        self._reader = reader
        self._roster = roster
        self._stops = stops
        self._remover = remover

    async def start(self, principal: Principal, new: NewFlow, *, until_ready: bool = False) -> Flow:
        """Make a flow of a blueprint and run it: when this returns, every topic of it exists.

        `until_ready` waits, for a while, until every service of it has a host. Raises UnprocessableError
        (blueprint_not_found, parameter_*), ConflictError (flow_exists, flow_stopping, topic_conflict,
        shared_service_conflict, flow_limit), UnavailableError (bus_unavailable, topic_busy).
        """
        self._policy.require_writer(principal)
        if not re.fullmatch(NAME_PATTERN, new.flow_id):
            raise UnprocessableError("flow_id is no name", code="invalid_name", field="flow_id")
        planned = await self._planned(principal, new)
        entry = NewAuditEntry(
            actor=Actor.of(principal), act="flow.started", subject=new.flow_id, detail={"blueprint": new.blueprint}
        )
        flow = await self._begun(planned, entry)
        self._meter.transitioned("", "starting")
        await self._create_topics(flow)
        running = await self._ledger.run(flow.key, self._clock.now())
        self._changes.ring()
        if running is None:
            raise ConflictError("The flow was stopped while it was starting", code="flow_stopping")
        self._meter.transitioned("starting", "running")
        if until_ready:
            await self._until_ready(running)
        return running.shown(await self._reader.health_of(running, fresh=True))

    async def _planned(self, principal: Principal, new: NewFlow) -> StoredFlow:
        async with self._transactions.read(principal.workspace_id) as tx:
            blueprint = await tx.blueprints.find(new.blueprint)
            types = await types_of(tx)
        if blueprint is None:
            raise UnprocessableError("There is no such blueprint", code="blueprint_not_found", field="blueprint")
        values, findings = resolve(blueprint.document.parameters, types, new.parameters)
        refuse(findings)
        return self._flow(principal, new, blueprint, values, types)

    def _flow(
        self, principal: Principal, new: NewFlow, blueprint: Blueprint, values: dict[str, Any], types: Types
    ) -> StoredFlow:
        now = self._clock.now()
        document = blueprint.document
        if not blueprint.system:
            # What settings allow may have become less since it was stored.
            refuse(findings_of(document, types, self._policy.walls))
        place = Place(workspace_id=principal.workspace_id, blueprint=blueprint.name, flow_id=new.flow_id)
        secrets = frozenset(name for name, use in document.parameters.items() if types[use.type].secret)
        given = Values(by_name=values, secrets=secrets, sealer=self._sealer)
        snapshot = resolved(document, place, given, system=blueprint.system)
        self._require_own(snapshot)
        return StoredFlow(
            workspace_id=principal.workspace_id,
            flow_id=new.flow_id,
            generation=0,
            blueprint=BlueprintRef(name=blueprint.name, version=blueprint.version),
            description=new.description,
            state="starting",
            parameters=given.stored(),
            secrets=sorted(secrets),
            snapshot=snapshot,
            is_withdrawn=False,
            drain_milliseconds=round(self._policy.drain_seconds * 1000),
            error=None,
            cleanup=None,
            created_by=principal.id,
            created_at=now,
            updated_at=now,
            started_at=None,
            stopping_at=None,
            stopped_at=None,
        )

    def _require_own(self, snapshot: Snapshot) -> None:
        taken = sorted({*snapshot.owned} & {*self._policy.walls.global_topics, *snapshot.literal})
        if taken:
            raise ConflictError(
                "A topic of the flow is one that belongs to somebody else",
                code="topic_conflict",
                extra={"topics": taken},
            )

    async def _begun(self, planned: StoredFlow, entry: NewAuditEntry) -> StoredFlow:
        """Store it; where one of its topics is still being deleted, see to that, and wait for a moment."""
        until = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return await self._ledger.begin(planned, self._policy.flows_per_workspace, entry)
            except UnavailableError:
                if time.monotonic() > until:
                    raise
            await self._remover.round()
            await asyncio.sleep(BUSY_PAUSE_SECONDS)

    async def _create_topics(self, flow: StoredFlow) -> None:
        at_once = asyncio.Semaphore(CREATE_AT_ONCE)

        async def create(topic: str) -> None:
            async with at_once:
                await self._bus.create_topic(topic)

        try:
            async with asyncio.timeout(CREATE_SECONDS):
                await asyncio.gather(*map(create, flow.snapshot.owned))
        except (BusError, TimeoutError) as error:
            why = FlowError(code="bus_unavailable", message="The topics could not be created.")
            await self.fail(flow, why)
            raise UnavailableError(why.message, code=why.code) from error

    async def fail(self, flow: StoredFlow, why: FlowError) -> None:
        """Give a start up: what it held is let go."""
        doomed = await self._ledger.fail(flow.key, why, self._clock.now())
        self._meter.transitioned("starting", "failed")
        # What cannot be deleted now is deleted later.
        await self._remover.remove(doomed, 1)
        self._changes.ring()

    async def _until_ready(self, flow: StoredFlow) -> None:
        until = time.monotonic() + READY_SECONDS
        keys = [service.key for service in flow.snapshot.services]
        while time.monotonic() < until:
            if await self._roster.all_held(keys, fresh=True):
                return
            await asyncio.sleep(READY_PAUSE_SECONDS)

    async def stop(self, principal: Principal, flow_id: str, drain_seconds: float | None = None) -> Flow:
        """Stop a flow, or join its stopping; one that is stopped says what became of its topics, a failed one is gone.

        Requests under way have `drain_seconds`. Where the end takes longer than is waited for it goes on by itself.
        Raises NotFoundError.
        """
        self._policy.require_writer(principal)
        drain = self._policy.drain_seconds if drain_seconds is None else drain_seconds
        if not 0 <= drain <= MAX_DRAIN_SECONDS:
            raise UnprocessableError(
                f"drain_s is from 0 to {MAX_DRAIN_SECONDS:g}", code="invalid_drain", field="drain_s"
            )
        flow = await self._reader.require(principal, flow_id)
        if flow.state == "failed":
            async with self._transactions.write(principal.workspace_id) as tx:
                tx.flows.remove(flow)
            return flow.shown("unknown")
        if flow.state in ("starting", "running"):
            entry = NewAuditEntry(
                actor=Actor.of(principal), act="flow.stopped", subject=flow_id, detail={"generation": flow.generation}
            )
            stopping = await self._ledger.stop(flow.key, drain, self._clock.now(), entry)
            if stopping is not None:
                self._meter.transitioned(flow.state, "stopping")
            self._changes.ring()
            flow = stopping or await self._reader.require(principal, flow_id)
        if flow.state == "stopping":
            await asyncio.wait([self._stops.begin(flow)], timeout=self._times.answer_seconds)
            flow = await self._reader.require(principal, flow_id)
        return flow.shown("unknown")

    async def describe(self, principal: Principal, flow_id: str, description: str) -> Flow:
        """Change what is said of it. Raises NotFoundError."""
        self._policy.require_writer(principal)
        async with self._transactions.write(principal.workspace_id) as tx:
            flow = await tx.flows.find(flow_id)
            if flow is None:
                raise NotFoundError(code="flow_not_found")
            tx.flows.describe(flow, description)
        self._changes.ring()
        return await self._reader.get(principal, flow_id)
