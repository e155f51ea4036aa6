"""The states of all flows and the topics that they hold together, in SQL.

Acts happen one after another: on SQLite since there is one writer, on PostgreSQL since each takes one lock first. They
are rare and short, and whether a topic is still needed is a question about all flows at once.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select, text, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import LEAD_FLOWS
from workbench.adapters.sql.flow_tables import bus_topics, flow_hosts, flow_topics, flow_versions, flows
from workbench.adapters.sql.flows import flow_of, row_of
from workbench.adapters.sql.group_commit import AnnounceStored
from workbench.adapters.sql.lifecycle_tables import audit
from workbench.adapters.sql.schema import Moment
from workbench.adapters.sql.telling import Cause, cause_here, tell
from workbench.domain.audit.model import NewAuditEntry
from workbench.domain.errors import ConflictError, UnavailableError
from workbench.domain.events.model import Event
from workbench.domain.flows.events import flow_changed
from workbench.domain.flows.model import HOLDING, LIVE, Cleanup, FlowError, FlowState, Host, ResolvedService, StoredFlow
from workbench.domain.flows.ports import CLAIM_SECONDS, DoomedTopic, FlowLedger, Key
from workbench.domain.flows.sealing import comparable
from workbench.domain.ids import new_id

T = TypeVar("T")
Moved = tuple[StoredFlow | None, T]
"""The flow that came to another state, if one did, and what is answered."""

ADVISORY_LOCK = 7_305_812_095
CLAIMED_AT_ONCE = 100
OVER = ("stopped", "failed")

_RUN = and_(
    flows.c.workspace_id == bindparam("of_ws"),
    flows.c.flow_id == bindparam("of_flow"),
    flows.c.generation == bindparam("of_generation"),
)
_REFERENCES = and_(
    flow_topics.c.workspace_id == bindparam("of_ws"),
    flow_topics.c.flow_id == bindparam("of_flow"),
    flow_topics.c.generation == bindparam("of_generation"),
)
_VERSION = select(flow_versions.c.version)
_HOLDING = select(flows).where(flows.c.state.in_(HOLDING)).order_by(flows.c.created_at, flows.c.flow_id)
_COUNTS = select(flows.c.state, func.count()).group_by(flows.c.state)
_PENDING = select(func.count()).where(bus_topics.c.state == "deleting")
_STILL = select(bus_topics.c.topic).where(
    bus_topics.c.topic.in_(bindparam("topics", expanding=True)), bus_topics.c.state == "deleting"
)
_HOSTS = select(flow_hosts).where(flow_hosts.c.seen_at >= bindparam("since", type_=Moment))
_HOST = select(flow_hosts).where(flow_hosts.c.host_id == bindparam("of_host"))
_HOST_FIELDS = tuple(str(column.name) + "" for column in flow_hosts.columns)


class SqlFlowLedger(FlowLedger):
    """All flows."""

    def __init__(self, database: Database, announce: AnnounceStored) -> None:
        """What is told of flows goes to `announce` as well, once it is stored."""
        self._database = database
        self._announce = announce

    async def _telling(self, work: Callable[[Connection], Moved[T]], now: datetime) -> T:
        """Carry out the work, and tell of the flow that came to another state by it in the same commit."""
        cause = cause_here()

        def told(connection: Connection) -> tuple[list[Event], T]:
            moved, answer = work(connection)
            events = [] if moved is None else [tell(connection, moved.workspace_id, flow_changed(moved), now, cause)]
            return events, answer

        events, answer = await self._alone(told)
        if events:
            self._announce([events])
        return answer

    async def _move(self, key: Key, states: Sequence[FlowState], now: datetime, **values: Any) -> StoredFlow | None:
        def work(connection: Connection) -> Moved[StoredFlow | None]:
            moved = _change(connection, key, states, now, **values)
            return moved, moved

        return await self._telling(work, now)

    async def _alone(self, work: Callable[[Connection], T]) -> T:
        def locked(connection: Connection) -> T:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
            return work(connection)

        return await self._database.transact(locked, LEAD_FLOWS)

    async def begin(self, flow: StoredFlow, limit: int, entry: NewAuditEntry) -> StoredFlow:
        """Check what must hold, then insert."""
        cause = cause_here()

        def work(connection: Connection) -> StoredFlow:
            begun = _begin(connection, flow, limit)
            _note(connection, flow.workspace_id, entry, flow.created_at, cause)
            return begun

        return await self._alone(work)

    async def run(self, key: Key, now: datetime) -> StoredFlow | None:
        """Update, if it is starting."""
        return await self._move(key, ("starting",), now, state="running", started_at=now)

    async def fail(self, key: Key, error: FlowError, now: datetime) -> Sequence[DoomedTopic]:
        """Update, if it is starting, and let its topics go."""

        def work(connection: Connection) -> Moved[Sequence[DoomedTopic]]:
            told = msgspec.to_builtins(error)
            failed = _change(connection, key, ("starting",), now, state="failed", error=told, stopped_at=now)
            if failed is None:
                return None, []
            cleanup = _let_go(connection, failed, now)
            return failed, _claim(connection, cleanup.pending, now)

        return await self._telling(work, now)

    async def stop(self, key: Key, drain_seconds: float, now: datetime, entry: NewAuditEntry) -> StoredFlow | None:
        """Update, if it is live."""
        cause = cause_here()

        def work(connection: Connection) -> Moved[StoredFlow | None]:
            values = {"state": "stopping", "stopping_at": now, "drain_milliseconds": round(drain_seconds * 1000)}
            stopping = _change(connection, key, LIVE, now, **values)
            if stopping is not None:
                _note(connection, key[0], entry, now, cause)
            return stopping, stopping

        return await self._telling(work, now)

    async def withdraw(self, key: Key, now: datetime) -> None:
        """Update, if it is stopping."""
        await self._alone(lambda connection: _change(connection, key, ("stopping",), now, is_withdrawn=True))

    async def sweep(self, key: Key, now: datetime) -> Cleanup:
        """Let its topics go, once."""

        def work(connection: Connection) -> Cleanup:
            flow = _find(connection, key)
            if flow is None or flow.state != "stopping":
                return Cleanup()
            if flow.cleanup is not None:
                return flow.cleanup
            cleanup = _let_go(connection, flow, now)
            _change(connection, key, ("stopping",), now, cleanup=msgspec.to_builtins(cleanup))
            return cleanup

        return await self._alone(work)

    async def finish(self, key: Key, cleanup: Cleanup, now: datetime) -> StoredFlow | None:
        """Update, if it is stopping."""
        values = {"state": "stopped", "stopped_at": now, "cleanup": msgspec.to_builtins(cleanup)}
        return await self._move(key, ("stopping",), now, **values)

    async def claim_doomed(self, topics: Sequence[str] | None, now: datetime) -> Sequence[DoomedTopic]:
        """Push the next try of others away."""
        return await self._alone(lambda connection: _claim(connection, topics, now))

    async def still_doomed(self, topics: Sequence[str]) -> Sequence[str]:
        """By their keys."""
        return [row[0] for row in await self._database.rows(_STILL, {"topics": list(topics)})] if topics else []

    async def deleted(self, topic: str) -> None:
        """Delete its row, if it is still meant to go."""
        gone = delete(bus_topics).where(bus_topics.c.topic == topic, bus_topics.c.state == "deleting")
        await self._alone(lambda connection: connection.execute(gone))

    async def not_deleted(self, topic: str, again_at: datetime) -> None:
        """Count, and set the next try."""
        noted = (
            update(bus_topics)
            .where(bus_topics.c.topic == topic, bus_topics.c.state == "deleting")
            .values(attempts=bus_topics.c.attempts + 1, next_attempt_at=again_at)
        )
        await self._alone(lambda connection: connection.execute(noted))

    async def pending(self) -> int:
        """Count."""
        return int((await self._database.rows(_PENDING))[0][0])

    async def version(self) -> int:
        """The one row; none before the first flow."""
        found = await self._database.rows(_VERSION)
        return int(found[0][0]) if found else 0

    async def holding(self) -> Sequence[StoredFlow]:
        """Along the partial index."""
        return [_flow(row) for row in await self._database.rows(_HOLDING, within=LEAD_FLOWS)]

    async def counts(self) -> dict[str, int]:
        """Group."""
        return {row[0]: row[1] for row in await self._database.rows(_COUNTS, within=LEAD_FLOWS)}

    async def heard(self, host: Host) -> None:
        """Insert, or write over."""
        row = msgspec.structs.asdict(host)

        def work(connection: Connection) -> None:
            statement = _dialect(connection).insert(flow_hosts)
            new = {name: statement.excluded[name] for name in row if name != "host_id"}
            connection.execute(statement.on_conflict_do_update(index_elements=["host_id"], set_=new), row)

        await self._database.transact(work)

    async def left(self, host_id: str) -> None:
        """Delete."""
        gone = delete(flow_hosts).where(flow_hosts.c.host_id == host_id)
        await self._database.transact(lambda connection: connection.execute(gone))

    async def hosts(self, since: datetime) -> Sequence[Host]:
        """Those seen since then."""
        return [_host(row) for row in await self._database.rows(_HOSTS, {"since": since})]

    async def host(self, host_id: str) -> Host | None:
        """By its key."""
        found = await self._database.rows(_HOST, {"of_host": host_id})
        return _host(found[0]) if found else None

    async def forget(self, before: datetime, limit: int) -> int:
        """Delete what was over by then, and hosts that were not seen since."""

        def work(connection: Connection) -> int:
            key = tuple_(flows.c.workspace_id, flows.c.flow_id, flows.c.generation)
            old = (
                select(flows.c.workspace_id, flows.c.flow_id, flows.c.generation)
                .where(flows.c.state.in_(OVER), flows.c.stopped_at < before)
                .limit(limit)
            )
            found = [tuple(row) for row in connection.execute(old)]
            if found:
                connection.execute(delete(flows).where(key.in_(found)))
            connection.execute(delete(flow_hosts).where(flow_hosts.c.seen_at < before))
            return len(found)

        return await self._database.transact(work, LEAD_FLOWS)


def _begin(connection: Connection, flow: StoredFlow, limit: int) -> StoredFlow:
    held = [_flow(row) for row in connection.execute(_HOLDING)]
    _require_free(flow, held, limit)
    _require_topics(connection, flow)
    for other in held:
        _require_same_services(flow, other)
    newest = select(func.max(flows.c.generation)).where(
        flows.c.workspace_id == flow.workspace_id, flows.c.flow_id == flow.flow_id
    )
    generation = (connection.execute(newest).scalar() or 0) + 1
    begun = msgspec.structs.replace(flow, generation=generation)
    connection.execute(insert(flows), _row(begun))
    _count(connection)
    place = dict(zip(("workspace_id", "flow_id", "generation"), begun.key, strict=True))
    names = [(topic, True) for topic in flow.snapshot.owned] + [(topic, False) for topic in flow.snapshot.literal]
    if names:
        connection.execute(insert(flow_topics), [{**place, "topic": topic, "owned": owned} for topic, owned in names])
    _add_topics(connection, begun)
    return begun


def _row(flow: StoredFlow) -> dict[str, Any]:
    return {**row_of(flow), "snapshot": msgspec.to_builtins(flow.snapshot), "error": None, "cleanup": None}


def _require_free(flow: StoredFlow, held: Sequence[StoredFlow], limit: int) -> None:
    ours = [other for other in held if other.workspace_id == flow.workspace_id]
    for other in ours:
        if other.flow_id == flow.flow_id:
            if other.state == "stopping":
                raise ConflictError("The flow of that id is being stopped", code="flow_stopping")
            raise ConflictError("There is a flow of that id", code="flow_exists")
    if sum(other.state in LIVE for other in ours) >= limit:
        raise ConflictError(f"A workspace has at most {limit} flows", code="flow_limit", extra={"limit": limit})


def _require_topics(connection: Connection, flow: StoredFlow) -> None:
    """None of its topics is being deleted, and none is owned here and a literal there."""
    owned, literal = flow.snapshot.owned, flow.snapshot.literal
    going = select(bus_topics.c.topic).where(
        bus_topics.c.topic.in_([*owned, *literal]), bus_topics.c.state == "deleting"
    )
    if busy := sorted(connection.execute(going).scalars()):
        raise UnavailableError("A topic of that name is still being deleted", code="topic_busy", extra={"topics": busy})
    crossed = select(flow_topics.c.topic).where(
        or_(
            and_(flow_topics.c.topic.in_(owned), flow_topics.c.owned.is_(False)),
            and_(flow_topics.c.topic.in_(literal), flow_topics.c.owned.is_(True)),
        )
    )
    if taken := sorted(set(connection.execute(crossed).scalars())):
        raise ConflictError(
            "A topic of the flow is one that belongs to somebody else",
            code="topic_conflict",
            extra={"topics": taken},
        )


def _require_same_services(flow: StoredFlow, other: StoredFlow) -> None:
    theirs = {service.key: service for service in other.snapshot.services}
    for service in flow.snapshot.services:
        found = theirs.get(service.key)
        if found is not None and (differing := _difference(service, found)):
            raise ConflictError(
                f"The shared service {service.service} runs with other values of {', '.join(differing)}",
                code="shared_service_conflict",
                extra={"service": service.service, "parameters": differing},
            )


def _difference(one: ResolvedService, other: ResolvedService) -> list[str]:
    """The names of parameters and topics in which they are not the same."""
    found = {
        name
        for name in {*one.parameters, *other.parameters}
        if comparable(one.parameters.get(name)) != comparable(other.parameters.get(name))
    }
    return sorted(
        found | {name for name in {*one.topics, *other.topics} if one.topics.get(name) != other.topics.get(name)}
    )


def _add_topics(connection: Connection, flow: StoredFlow) -> None:
    """Note the topics that it owns, and the queues that its services may make for them."""
    for topic in flow.snapshot.owned:
        mine = flow.snapshot.subscriptions_of(topic)
        known = connection.execute(select(bus_topics.c.subscriptions).where(bus_topics.c.topic == topic)).scalar()
        if known is None:
            row = {"topic": topic, "state": "live", "subscriptions": mine, "attempts": 0, "next_attempt_at": None}
            connection.execute(insert(bus_topics), row)
        elif not set(mine) <= set(known):
            both = sorted({*known, *mine})
            connection.execute(update(bus_topics).where(bus_topics.c.topic == topic).values(subscriptions=both))


def _let_go(connection: Connection, flow: StoredFlow, now: datetime) -> Cleanup:
    """Drop its references, and mark the topics that nobody else refers to."""
    owned = set(flow.snapshot.owned)
    connection.execute(delete(flow_topics).where(_REFERENCES), _place(flow.key))
    others = select(flow_topics.c.topic).where(flow_topics.c.topic.in_(owned), flow_topics.c.owned.is_(True))
    kept = set(connection.execute(others).scalars())
    doomed = sorted(owned - kept)
    marked = update(bus_topics).where(bus_topics.c.topic.in_(doomed))
    connection.execute(marked.values(state="deleting", attempts=0, next_attempt_at=now))
    return Cleanup(kept=sorted(kept), pending=doomed, global_topics=flow.snapshot.literal)


def _claim(connection: Connection, topics: Iterable[str] | None, now: datetime) -> list[DoomedTopic]:
    conditions = [bus_topics.c.state == "deleting", bus_topics.c.next_attempt_at <= now]
    if topics is not None:
        conditions.append(bus_topics.c.topic.in_(list(topics)))
    wanted = select(bus_topics.c.topic, bus_topics.c.subscriptions, bus_topics.c.attempts).where(*conditions)
    found = connection.execute(wanted.order_by(bus_topics.c.topic).limit(CLAIMED_AT_ONCE)).all()
    names = [row[0] for row in found]
    until = now + timedelta(seconds=CLAIM_SECONDS)
    connection.execute(update(bus_topics).where(bus_topics.c.topic.in_(names)).values(next_attempt_at=until))
    return [DoomedTopic(topic=row[0], subscriptions=row[1], attempts=row[2]) for row in found]


def _change(connection: Connection, key: Key, states: Sequence[str], now: datetime, **values: Any) -> StoredFlow | None:
    """Change a run that is in one of these states; None where it is not."""
    statement = update(flows).where(_RUN, flows.c.state.in_(states)).values(updated_at=now, **values)
    if not connection.execute(statement, _place(key)).rowcount:
        return None
    _count(connection)
    return _find(connection, key)


def _count(connection: Connection) -> None:
    """Make the version a higher one; what changes flows happens one after another."""
    first = _dialect(connection).insert(flow_versions).values(ledger=1, version=1)
    again = {"version": flow_versions.c.version + 1}
    connection.execute(first.on_conflict_do_update(index_elements=["ledger"], set_=again))


def _dialect(connection: Connection) -> Any:
    return postgresql if connection.dialect.name == "postgresql" else sqlite


def _host(row: Sequence[Any]) -> Host:
    return msgspec.convert(dict(zip(_HOST_FIELDS, row, strict=True)), Host)


def _find(connection: Connection, key: Key) -> StoredFlow | None:
    row = connection.execute(select(flows).where(_RUN), _place(key)).first()
    return None if row is None else _flow(row)


def _flow(row: Sequence[Any]) -> StoredFlow:
    return msgspec.convert(flow_of(row), StoredFlow)


def _place(key: Key) -> dict[str, Any]:
    return dict(zip(("of_ws", "of_flow", "of_generation"), key, strict=True))


def _note(connection: Connection, workspace_id: str, entry: NewAuditEntry, now: datetime, cause: Cause) -> None:
    row = {"actor_kind": entry.actor.kind, "actor_id": entry.actor.id, "act": entry.act, "subject": entry.subject}
    place = {"workspace_id": workspace_id, "id": new_id(), "at": now, "correlation_id": cause[0]}
    connection.execute(insert(audit), {**place, **row, "detail": entry.detail})
