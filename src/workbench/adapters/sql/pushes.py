"""Notes to be pushed to tickets, in SQL: set down in blocks, taken up by workers of any replica.

Whoever takes one up has its claim until a time. After that another may take it up, and looks first whether it arrived.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import Connection, and_, bindparam, func, or_, select, true, update

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import CLAIM_PUSHES
from workbench.adapters.sql.leases import span
from workbench.adapters.sql.repository import IDS, Query, Repository, cause, columns_of, here
from workbench.adapters.sql.schema import Id, Moment
from workbench.adapters.sql.ticket_tables import psa_connections, psa_push_bodies, psa_pushes
from workbench.domain.tickets.model import ClaimedPush, Push, PushStatus
from workbench.domain.tickets.ports import Pushes, PushQueue

LEASE_SECONDS = 120.0

_FIELDS = [name for name in Push.__struct_fields__ if name != "body"]
_WITH_BODY = [*_FIELDS, "body"]
_ID = psa_pushes.c.id == bindparam("of_id", type_=Id)
_BODIES = and_(
    psa_push_bodies.c.workspace_id == psa_pushes.c.workspace_id, psa_push_bodies.c.push_id == psa_pushes.c.id
)
_WHOLE = (
    select(*columns_of(psa_pushes, *_FIELDS), psa_push_bodies.c.body)
    .outerjoin(psa_push_bodies, _BODIES)
    .where(here(psa_pushes))
)
_OF_SESSION = Query(
    Push,
    _WHOLE.where(psa_pushes.c.session_id == bindparam("session_id", type_=Id))
    .order_by(psa_pushes.c.created_at.desc(), psa_pushes.c.id.desc())
    .limit(bindparam("limit")),
)
_TURNS = (
    select(
        psa_pushes.c.session_id,
        psa_pushes.c.status,
        func.row_number()
        .over(partition_by=psa_pushes.c.session_id, order_by=(psa_pushes.c.created_at.desc(), psa_pushes.c.id.desc()))
        .label("turn"),
    )
    .where(here(psa_pushes), psa_pushes.c.session_id.in_(IDS))
    .subquery("turns_of_each")
)
_NEWEST_OF_EACH = select(_TURNS.c.session_id, _TURNS.c.status).where(_TURNS.c.turn == 1)
_WITH_KEY = Query(Push, _WHOLE.where(psa_pushes.c.dedupe_key == bindparam("dedupe_key")))
_WAITING = psa_pushes.c.status.in_(("pending", "pending_retry"))
_SETTLED = (
    "status",
    "attempt_count",
    "may_be_there",
    "next_attempt_at",
    "external_note_id",
    "http_status",
    "error_code",
    "posted_at",
)
_SETTLE = (
    update(psa_pushes)
    .where(here(psa_pushes), _ID, psa_pushes.c.claim == bindparam("by_claim"))
    .values(
        claim=None,
        lease_until=None,
        **{name: bindparam(f"new_{name}", type_=psa_pushes.c[name].type) for name in _SETTLED},
    )
)
_CANCEL = update(psa_pushes).where(here(psa_pushes), _WAITING).values(status="cancelled", next_attempt_at=None)
_CANCEL_OF = _CANCEL.where(psa_pushes.c.session_id == bindparam("of_id", type_=Id))
_CANCEL_TO = _CANCEL.where(psa_pushes.c.connection_id == bindparam("of_id", type_=Id))
_HURRY = update(psa_pushes).where(here(psa_pushes), _WAITING).values(next_attempt_at=bindparam("at", type_=Moment))


class SqlPushes(Repository, Pushes):
    """The pushes of one workspace."""

    async def of_session(self, session_id: UUID, limit: int) -> Sequence[Push]:
        """Along the index on sessions."""
        return await self._all(_OF_SESSION, {"session_id": session_id, "limit": limit})

    async def newest_of_each(self, session_ids: Sequence[UUID]) -> dict[UUID, PushStatus]:
        """Along the index on sessions, without the bodies."""
        return await self._by_id(_NEWEST_OF_EACH, session_ids, dict[UUID, PushStatus])

    async def with_key(self, dedupe_key: str) -> Push | None:
        """By the unique key."""
        return await self._maybe(_WITH_KEY, {"dedupe_key": dedupe_key})

    def add(self, push: Push, people: Sequence[str]) -> None:
        """Insert, with the body beside."""
        free = {"claim": None, "lease_until": None}
        self._writes.insert(psa_pushes, {**{name: getattr(push, name) for name in _FIELDS}, **free, **cause()})
        body = {"push_id": push.id, "session_id": push.session_id, "body": push.body or "", "people": list(people)}
        self._writes.insert(psa_push_bodies, body)

    def settle(self, claimed: ClaimedPush, after: Push) -> None:
        """Update where the claim still holds, and give it up."""
        new = {f"new_{name}": getattr(after, name) for name in _SETTLED}
        self._writes.change(_SETTLE, {"of_id": after.id, "by_claim": claimed.claim, **new}, must_hit=True)

    def cancel_of(self, session_id: UUID) -> None:
        """Update what waits; what is on its way is for its worker to settle."""
        self._writes.change(_CANCEL_OF, {"of_id": session_id})

    def cancel_to(self, connection_id: UUID) -> None:
        """Update what waits."""
        self._writes.change(_CANCEL_TO, {"of_id": connection_id})

    def hurry(self, at: datetime) -> None:
        """Update what waits."""
        self._writes.change(_HURRY, {"at": at})


_CONNECTED = and_(
    psa_connections.c.workspace_id == psa_pushes.c.workspace_id,
    psa_connections.c.id == psa_pushes.c.connection_id,
    psa_connections.c.enabled.is_(True),
    psa_connections.c.health != "auth_failed",
)
_COLUMNS = ["workspace_id", "correlation_id", "trace_parent", *_FIELDS]


def _due(*, in_workspace: bool, locking: bool) -> Any:
    """What is due, and what a worker had who is not heard of any more."""
    is_due = and_(_WAITING, psa_pushes.c.next_attempt_at <= bindparam("due", type_=Moment))
    is_left = and_(psa_pushes.c.status == "sending", psa_pushes.c.lease_until <= bindparam("now", type_=Moment))
    statement = (
        select(*columns_of(psa_pushes, *_COLUMNS))
        .join(psa_connections, _CONNECTED)
        .where(or_(is_due, is_left), here(psa_pushes) if in_workspace else true())
        .order_by(psa_pushes.c.next_attempt_at, psa_pushes.c.id)
        .limit(bindparam("limit"))
    )
    # Skips what another replica is taking up at this moment; SQLite, with its one writer, needs no such words.
    return statement.with_for_update(of=psa_pushes, skip_locked=True) if locking else statement


_LOOK = {each: _due(in_workspace=each, locking=False) for each in (False, True)}
_LOCK = {each: _due(in_workspace=each, locking=True) for each in (False, True)}
_CLAIM: dict[str, Any] = {
    "status": "sending",
    "claim": bindparam("by_claim"),
    "lease_until": bindparam("until", type_=Moment),
}
_TAKE_UP = (
    update(psa_pushes)
    .where(here(psa_pushes), _ID)
    .values(
        **_CLAIM,
        attempt_count=psa_pushes.c.attempt_count + 1,
        # Whoever had it may have sent it.
        may_be_there=or_(psa_pushes.c.may_be_there, psa_pushes.c.status == "sending"),
    )
)
_TO_TAKE = (
    select(*columns_of(psa_pushes, *_COLUMNS))
    .where(here(psa_pushes), _ID, psa_pushes.c.status.in_(("failed", "pending_retry")))
    .with_for_update()
)
_TAKE = (
    update(psa_pushes).where(here(psa_pushes), _ID).values(**_CLAIM, manual_attempts=psa_pushes.c.manual_attempts + 1)
)
_BODY = select(psa_push_bodies.c.body).where(
    here(psa_push_bodies), psa_push_bodies.c.push_id == bindparam("of_id", type_=Id)
)
_OLDEST = select(func.min(psa_pushes.c.created_at)).where(
    psa_pushes.c.status.in_(("pending", "pending_retry", "sending"))
)


class SqlPushQueue(PushQueue):
    """The pushes of all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, now: datetime, limit: int, workspace_id: str | None = None) -> Sequence[ClaimedPush]:
        """Look first, which takes no lock: mostly there is nothing."""
        is_one = workspace_id is not None
        within = workspace_id or CLAIM_PUSHES
        wanted = {"due": now, "limit": limit, **({"ws": workspace_id} if is_one else {})}
        if not await self._database.rows(_LOOK[is_one], {**wanted, "now": now}, within):
            return []
        return await self._database.transact(lambda connection: _claim(connection, wanted, is_one=is_one), within)

    async def take(self, workspace_id: str, push_id: UUID) -> ClaimedPush | None:
        """Take it up under a lock."""
        place = {"ws": workspace_id, "of_id": push_id}
        return await self._database.transact(lambda connection: _take(connection, place), workspace_id)

    async def oldest(self) -> datetime | None:
        """Along the index on what is due."""
        found = (await self._database.rows(_OLDEST, within=CLAIM_PUSHES))[0][0]
        return None if found is None else msgspec.convert(found, datetime)


def _claim(connection: Connection, wanted: dict[str, Any], *, is_one: bool) -> list[ClaimedPush]:
    clock = span(connection, LEASE_SECONDS)
    found = connection.execute(_LOCK[is_one], {**wanted, "now": clock["now"]}).all()
    return [_taken(connection, row, clock["until"], is_manual=False) for row in found]


def _take(connection: Connection, place: dict[str, Any]) -> ClaimedPush | None:
    row = connection.execute(_TO_TAKE, place).first()
    return None if row is None else _taken(connection, row, span(connection, LEASE_SECONDS)["until"], is_manual=True)


def _taken(connection: Connection, row: Sequence[Any], until: datetime, *, is_manual: bool) -> ClaimedPush:
    workspace_id, correlation, parent, *values = row
    found = dict(zip(_FIELDS, values, strict=True))
    place, claim = {"ws": workspace_id, "of_id": UUID(str(found["id"]))}, uuid4().hex
    connection.execute(_TAKE if is_manual else _TAKE_UP, {**place, "by_claim": claim, "until": until})
    counted = "manual_attempts" if is_manual else "attempt_count"
    may_be_there = found["may_be_there"] or (not is_manual and found["status"] == "sending")
    body = connection.execute(_BODY, place).scalar()
    now = {counted: found[counted] + 1, "may_be_there": may_be_there, "status": "sending", "body": body}
    return ClaimedPush(
        workspace_id=workspace_id,
        claim=claim,
        push=msgspec.convert({**found, **now}, Push),
        before=found["status"],
        correlation_id=correlation,
        trace_parent=parent,
        is_manual=is_manual,
    )
