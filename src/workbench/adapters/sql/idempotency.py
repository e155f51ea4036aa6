"""Keys of requests in SQL: one row for each caller, route and key."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    select,
    tuple_,
    update,
)

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import FORGET_KEYS
from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Json, Moment, metadata, workspace_column
from workbench.domain.idempotency.model import Answer, Attempt, Entry
from workbench.domain.idempotency.ports import ExpiredKeys, IdempotencyKeys
from workbench.domain.identity.model import Principal

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    workspace_column(),
    Column("caller_role", String(16), nullable=False),
    Column("caller_id", String(255), nullable=False),
    Column("method", String(8), nullable=False),
    Column("route", String(255), nullable=False),
    Column("key", String(128), nullable=False),
    Column("request_hash", String(64), nullable=False),
    Column("claim", String(32), nullable=False),
    Column("claimed_until", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    # Null while the request is under way.
    Column("status", Integer),
    Column("headers", Json, nullable=False),
    Column("body", Text),
    PrimaryKeyConstraint("workspace_id", "caller_role", "caller_id", "method", "route", "key"),
    Index("ix_idempotency_keys_expires_at", "expires_at"),
    sqlite_with_rowid=False,
)

_FIELDS = Entry.__struct_fields__
_PLACE = and_(
    here(idempotency_keys),
    *(
        idempotency_keys.c[name] == bindparam(f"of_{name}")
        for name in ("caller_role", "caller_id", "method", "route", "key")
    ),
)
_ONE = Query(Entry, select(*columns_of(idempotency_keys, *_FIELDS)).where(_PLACE))
_CLAIMED = and_(_PLACE, idempotency_keys.c.claim == bindparam("by_claim"))
_TAKE_OVER = (
    update(idempotency_keys)
    .where(_CLAIMED)
    .values({name: bindparam(f"to_{name}", type_=idempotency_keys.c[name].type) for name in _FIELDS})
)
_KEEP = (
    update(idempotency_keys)
    .where(_CLAIMED)
    .values(
        status=bindparam("to_status"),
        headers=bindparam("to_headers", type_=Json),
        body=bindparam("to_body"),
    )
)
_FREE = delete(idempotency_keys).where(_CLAIMED, idempotency_keys.c.status.is_(None))
_KEY = list(idempotency_keys.primary_key)
_EXPIRED = (
    select(*_KEY)
    .where(idempotency_keys.c.expires_at <= bindparam("now", type_=Moment))
    .order_by(idempotency_keys.c.expires_at)
    .limit(bindparam("limit"))
)
_REMOVE_EXPIRED = delete(idempotency_keys).where(tuple_(*_KEY).in_(_EXPIRED))


class SqlIdempotencyKeys(Repository, IdempotencyKeys):
    """The keys of one workspace's callers."""

    async def find(self, principal: Principal, attempt: Attempt) -> Entry | None:
        """By the primary key."""
        return await self._maybe(_ONE, _place(principal, attempt))

    def take(self, principal: Principal, attempt: Attempt, entry: Entry, before: Entry | None) -> None:
        """Insert, or write over the claim that was read."""
        row = {name: getattr(entry, name) for name in _FIELDS}
        place = _place(principal, attempt)
        if before is None:
            self._writes.insert(idempotency_keys, {**{name[3:]: value for name, value in place.items()}, **row})
            return
        new = {f"to_{name}": value for name, value in row.items()}
        self._writes.change(_TAKE_OVER, {**place, **new, "by_claim": before.claim}, must_hit=True)

    def keep(self, principal: Principal, attempt: Attempt, claim: str, answer: Answer) -> None:
        """Update, where the claim is still held."""
        values: dict[str, Any] = {"to_status": answer.status, "to_headers": answer.headers}
        values["to_body"] = answer.kept_body
        self._writes.change(_KEEP, {**_place(principal, attempt), **values, "by_claim": claim}, must_hit=True)

    def free(self, principal: Principal, attempt: Attempt, claim: str) -> None:
        """Delete, where the claim is still held."""
        self._writes.change(_FREE, {**_place(principal, attempt), "by_claim": claim})


class SqlExpiredKeys(ExpiredKeys):
    """The keys of all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remove(self, now: datetime, limit: int) -> int:
        """Along the index on time."""
        place = {"now": now, "limit": limit}
        return await self._database.transact(
            lambda connection: connection.execute(_REMOVE_EXPIRED, place).rowcount, FORGET_KEYS
        )


def _place(principal: Principal, attempt: Attempt) -> dict[str, Any]:
    return {
        "of_caller_role": principal.role,
        "of_caller_id": principal.id,
        "of_method": attempt.method,
        "of_route": attempt.route,
        "of_key": attempt.key,
    }
