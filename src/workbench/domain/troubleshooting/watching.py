"""The sessions of all workspaces, as duties and figures need them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec


class Whereabouts(msgspec.Struct, frozen=True, kw_only=True):
    """Where a session is. Duties that look into all workspaces are told no more of it."""

    workspace_id: str
    session_id: UUID


class SessionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How many there are in all workspaces: unfinished sessions by status, open escalations, and those that wait too long."""

    by_status: Mapping[str, int]
    waiting: int
    overdue: int


class SessionWatch(Protocol):
    """The sessions of all workspaces, for duties: what is due is found here, and done in its workspace."""

    async def idle(self, before: datetime, limit: int) -> Sequence[Whereabouts]:
        """Those in somebody's hands in which nothing has happened since; the longest idle first."""
        ...

    async def overdue(self, now: datetime, limit: int) -> Sequence[Whereabouts]:
        """Those that nobody takes over in spite of their urgency, and of which nobody was told yet."""
        ...

    async def deleted(self, before: datetime, limit: int) -> Sequence[Whereabouts]:
        """Those that were deleted before that time."""
        ...

    async def figures(self, now: datetime) -> SessionFigures:
        """Count."""
        ...
