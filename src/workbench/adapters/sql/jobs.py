"""Jobs in SQL: set down and finished in blocks, taken up by workers of any replica.

A row is one kind and key. Who runs it has its claim; a newer job of the same key takes the row over under an id of
its own, while the claim stays until the one that runs is done, so that two never run at once.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy import Connection, Executable, and_, bindparam, delete, func, or_, select, update

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import CLAIM_JOBS
from workbench.adapters.sql.leases import span
from workbench.adapters.sql.repository import Repository, cause, columns_of, here
from workbench.adapters.sql.schema import Id, Moment
from workbench.adapters.sql.tables import jobs
from workbench.domain.errors import InvalidError
from workbench.domain.ids import new_id
from workbench.domain.jobs.model import CLAIM_SECONDS, Job, NewJob
from workbench.domain.jobs.ports import JobQueue, Jobs

MAX_ERROR_LENGTH = 2000

_FIELDS = ("workspace_id", "id", "kind", "key", "payload", "run_at", "correlation_id", "trace_parent", "attempts")
_ROW = and_(here(jobs), jobs.c.kind == bindparam("of_kind"), jobs.c.key == bindparam("of_key"))
_CLAIMED = and_(_ROW, jobs.c.claim == bindparam("by_claim"))
_THE_SAME = and_(_ROW, jobs.c.id == bindparam("of_id", type_=Id))
_FREE = {"claim": None, "claimed_until": None}
_RELEASE = update(jobs).where(_CLAIMED).values(**_FREE)
_FORGET = delete(jobs).where(_THE_SAME)
_PUT_OFF = update(jobs).where(_THE_SAME).values(run_at=bindparam("at", type_=Moment), last_error=bindparam("error"))
_UNCOUNT = update(jobs).where(_THE_SAME).values(attempts=jobs.c.attempts - 1)
# No claim lasts that long, so one that does was made by a clock that was wrong, and has been set back since.
AHEAD = timedelta(seconds=2 * CLAIM_SECONDS)
_DUE = (
    select(*columns_of(jobs, *_FIELDS))
    .where(
        jobs.c.kind.in_(bindparam("kinds", expanding=True)),
        jobs.c.run_at <= bindparam("due", type_=Moment),
        or_(
            jobs.c.claimed_until.is_(None),
            jobs.c.claimed_until <= bindparam("now", type_=Moment),
            jobs.c.claimed_until > bindparam("too_far", type_=Moment),
        ),
    )
    .order_by(jobs.c.run_at)
    .limit(bindparam("limit"))
)
# Skips what another replica is taking up at this moment; SQLite, with its one writer, needs no such words.
_TAKE = _DUE.with_for_update(skip_locked=True)
_OLDEST = (
    select(jobs.c.kind, func.min(jobs.c.run_at))
    .where(jobs.c.run_at <= bindparam("due", type_=Moment))
    .group_by(jobs.c.kind)
)
_CLAIM = (
    update(jobs)
    .where(_ROW)
    .values(
        claim=bindparam("by_claim"), claimed_until=bindparam("until", type_=Moment), attempts=bindparam("to_attempts")
    )
)


class SqlJobs(Repository, Jobs):
    """The jobs of one workspace."""

    def enqueue(self, new: NewJob) -> None:
        """Insert, or take the row of the key over; a claim on it stays. Raises InvalidError where nobody's it would be."""
        if not self._writes.workspace_id:
            raise InvalidError("A job belongs to a workspace", code="workspace_required")
        row = {**msgspec.structs.asdict(new), "id": new_id(), "attempts": 0, "last_error": None}
        self._writes.upsert(jobs, {**row, **cause(), "created_datetime": self._context.clock.now()})

    def finish(self, job: Job) -> None:
        """Give the claim up, then delete, unless the row is a newer job's by now."""
        self._writes.change(_RELEASE, _place(job), must_hit=True)
        self._writes.change(_FORGET, _place(job))


class SqlJobQueue(JobQueue):
    """The jobs of all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, kinds: Collection[str], now: datetime, limit: int) -> Sequence[Job]:
        """Look first, which takes no lock: mostly there is nothing."""
        wanted = {"kinds": sorted(kinds), "due": now, "limit": limit}
        if not await self._database.rows(_DUE, {**wanted, "now": now, "too_far": now + AHEAD}, CLAIM_JOBS):
            return []
        return await self._database.transact(lambda connection: _claim(connection, wanted), CLAIM_JOBS)

    async def put_off(self, job: Job, run_at: datetime, error: str) -> None:
        """Update and release."""
        await self._change(job, _PUT_OFF, at=run_at, error=error[:MAX_ERROR_LENGTH])

    async def give_back(self, job: Job) -> None:
        """Release, uncounted."""
        await self._change(job, _UNCOUNT)

    async def drop(self, job: Job) -> None:
        """Delete, or release what took its place."""
        await self._change(job, _FORGET)

    async def oldest(self, now: datetime) -> Mapping[str, datetime]:
        """Along the index on time."""
        found = await self._database.rows(_OLDEST, {"due": now}, CLAIM_JOBS)
        return msgspec.convert({row[0]: row[1] for row in found}, dict[str, datetime])

    async def _change(self, job: Job, statement: Executable, **values: Any) -> None:
        place = {"ws": job.workspace_id, **_place(job)}

        def work(connection: Connection) -> None:
            if connection.execute(_RELEASE, place).rowcount:
                connection.execute(statement, {**place, **values})

        await self._database.transact(work, job.workspace_id)


def _claim(connection: Connection, wanted: dict[str, Any]) -> list[Job]:
    clock = span(connection, CLAIM_SECONDS)
    claim = uuid4().hex
    now = clock["now"]
    found = connection.execute(_TAKE, {**wanted, "now": now, "too_far": now + AHEAD}).all()
    taken = [{**dict(zip(_FIELDS, row, strict=True)), "claim": claim, "attempts": row[-1] + 1} for row in found]
    claimed = msgspec.convert(taken, list[Job])
    for job in claimed:
        values = {"ws": job.workspace_id, "until": clock["until"], "to_attempts": job.attempts}
        connection.execute(_CLAIM, {**_place(job), **values})
    return claimed


def _place(job: Job) -> dict[str, Any]:
    return {"of_kind": job.kind, "of_key": job.key, "of_id": job.id, "by_claim": job.claim}
