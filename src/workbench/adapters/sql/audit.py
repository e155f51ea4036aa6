"""The record of administrative acts in SQL."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, select

from workbench.adapters.sql.lifecycle_tables import audit
from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Moment
from workbench.domain.audit.model import AuditEntry, NewAuditEntry
from workbench.domain.audit.ports import AuditFilter, AuditLog
from workbench.domain.ids import correlation_id, new_id

_FIELDS = ("id", "at", "actor_kind", "actor_id", "act", "subject", "detail", "correlation_id")


@lru_cache(8)
def _listing(filters: frozenset[str]) -> Query[AuditEntry]:
    """Build the list statement of one form: which filters there are."""
    conditions = {
        "since": audit.c.at >= bindparam("since", type_=Moment),
        "act": audit.c.act == bindparam("act"),
        "actor_id": audit.c.actor_id == bindparam("actor_id"),
    }
    statement = (
        select(*columns_of(audit, *_FIELDS))
        .where(here(audit), *(conditions[name] for name in sorted(filters)))
        .order_by(audit.c.at.desc(), audit.c.id.desc())
        .limit(bindparam("limit"))
    )
    return Query(AuditEntry, statement)


class SqlAuditLog(Repository, AuditLog):
    """The acts of one workspace."""

    def record(self, entry: NewAuditEntry) -> None:
        """Insert."""
        row: dict[str, Any] = {"actor_kind": entry.actor.kind, "actor_id": entry.actor.id}
        row |= {"act": entry.act, "subject": entry.subject, "detail": entry.detail}
        now, cause = self._context.clock.now(), correlation_id.get()
        self._writes.insert(audit, {"id": new_id(), "at": now, "correlation_id": cause, **row})

    async def entries(self, wanted: AuditFilter) -> Sequence[AuditEntry]:
        """Along the index on time."""
        given = {"since": wanted.since, "act": wanted.act, "actor_id": wanted.actor_id}
        parameters = {name: value for name, value in given.items() if value is not None}
        return await self._all(_listing(frozenset(parameters)), {**parameters, "limit": wanted.limit})
