"""The sessions of all workspaces in SQL, as duties see them: where one is that something is due for, and how many there are.

Each statement goes along a partial index that holds only what is unfinished or deleted, and passes over what a job has been
set down for.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import BindParameter, ColumnElement, Executable, Text, and_, bindparam, case, cast, func, or_, select

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import WATCH_SESSIONS
from workbench.adapters.sql.schema import Moment
from workbench.adapters.sql.session_tables import (
    DELETED,
    MAY_IDLE,
    OPEN_ESCALATION,
    UNTOLD_ESCALATION,
    session_escalations,
    sessions,
)
from workbench.adapters.sql.tables import jobs
from workbench.domain.troubleshooting.duties import ALARM_JOB, IDLE_JOB, PURGE_JOB
from workbench.domain.troubleshooting.queueing import PATIENCE, RANK
from workbench.domain.troubleshooting.watching import SessionFigures, SessionWatch, Whereabouts

_BEFORE = bindparam("before", type_=Moment)
_LIMIT: BindParameter[int] = bindparam("limit")


def _set_down(kind: str, workspace_id: ColumnElement[str], session_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether there is a job for it already."""
    key = cast(session_id, Text)
    found = select(jobs.c.id).where(jobs.c.workspace_id == workspace_id, jobs.c.kind == kind, jobs.c.key == key)
    return found.exists()


_HERE = (sessions.c.workspace_id, sessions.c.id)
_IDLE = (
    select(*_HERE)
    .where(MAY_IDLE, sessions.c.last_activity_at <= _BEFORE, ~_set_down(IDLE_JOB, *_HERE))
    .order_by(sessions.c.last_activity_at)
    .limit(_LIMIT)
)
_DELETED = (
    select(*_HERE)
    .where(DELETED, sessions.c.deleted_at <= _BEFORE, ~_set_down(PURGE_JOB, *_HERE))
    .order_by(sessions.c.deleted_at)
    .limit(_LIMIT)
)
_ESCALATED = (session_escalations.c.workspace_id, session_escalations.c.session_id)
_IS_OVERDUE = or_(
    *(
        and_(
            session_escalations.c.rank == rank,
            session_escalations.c.requested_at <= bindparam(f"{urgency}_before", type_=Moment),
        )
        for urgency, rank in RANK.items()
    )
)
_OVERDUE = (
    select(*_ESCALATED)
    .where(UNTOLD_ESCALATION, _IS_OVERDUE, ~_set_down(ALARM_JOB, *_ESCALATED))
    .order_by(session_escalations.c.requested_at)
    .limit(_LIMIT)
)
_BY_STATUS = select(sessions.c.status, func.count()).where(MAY_IDLE).group_by(sessions.c.status)
_WAITING = (
    select(func.count(), func.count(case((_IS_OVERDUE, 1)))).select_from(session_escalations).where(OPEN_ESCALATION)
)


class SqlSessionWatch(SessionWatch):
    """The sessions of all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def idle(self, before: datetime, limit: int) -> Sequence[Whereabouts]:
        """Along the index on idleness."""
        return await self._found(_IDLE, {"before": before, "limit": limit})

    async def overdue(self, now: datetime, limit: int) -> Sequence[Whereabouts]:
        """Along the index of those that nobody was told of."""
        return await self._found(_OVERDUE, {**_patience(now), "limit": limit})

    async def deleted(self, before: datetime, limit: int) -> Sequence[Whereabouts]:
        """Along the index on deletions."""
        return await self._found(_DELETED, {"before": before, "limit": limit})

    async def figures(self, now: datetime) -> SessionFigures:
        """Counted over what is unfinished."""
        by_status = {
            str(status): int(count) for status, count in await self._database.rows(_BY_STATUS, within=WATCH_SESSIONS)
        }
        ((waiting, overdue),) = await self._database.rows(_WAITING, _patience(now), WATCH_SESSIONS)
        return SessionFigures(by_status=by_status, waiting=int(waiting), overdue=int(overdue))

    async def _found(self, statement: Executable, place: dict[str, Any]) -> Sequence[Whereabouts]:
        rows = await self._database.rows(statement, place, WATCH_SESSIONS)
        found = [{"workspace_id": workspace_id, "session_id": session_id} for workspace_id, session_id in rows]
        return msgspec.convert(found, list[Whereabouts])


def _patience(now: datetime) -> dict[str, Any]:
    return {f"{urgency}_before": now - patience for urgency, patience in PATIENCE.items()}
