"""Where acts are written down."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from workbench.domain.audit.model import AuditEntry, NewAuditEntry
from workbench.domain.paging import MAX_PAGE


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries: from a time on, of one act, by one actor; `limit` of the newest."""

    since: datetime | None = None
    act: str | None = None
    actor_id: str | None = None
    limit: int = MAX_PAGE


class AuditLog(Protocol):
    """The acts of one workspace."""

    def record(self, entry: NewAuditEntry) -> None:
        """Write an act down in the same commit as what it does."""
        ...

    async def entries(self, wanted: AuditFilter) -> Sequence[AuditEntry]:
        """The newest entries that the filter wants, newest first."""
        ...


class AuditTx(Protocol):
    """The slice of a transaction that reading the record touches."""

    @property
    def audit(self) -> AuditLog: ...
