"""A lease: the right of one worker to do a duty, until a time. A job: work that is set down to be done later."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

LEASE_SECONDS = 30.0
RENEWAL_SECONDS = 8.0
JOB_SECONDS = 60.0
"""How long a job may run."""
CLAIM_SECONDS = 90.0
"""How long a job that was taken up is nobody else's; more than it may run."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A duty held by this process. `good_until` is on this process's monotonic clock, in seconds."""

    name: str
    good_until: float


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """Work to be done from `run_at` on. Of one kind and key there is one at most: a newer one replaces what waits."""

    kind: str
    key: str
    payload: dict[str, Any]
    run_at: datetime


class Job(NewJob, frozen=True, kw_only=True):
    """A job that was taken up: `attempts` counts from 1, `claim` is what proves the right to finish it.

    `correlation_id` and `trace_parent` are those of the request that set it down, if one did.
    """

    workspace_id: str
    id: UUID
    attempts: int
    claim: str
    correlation_id: str = ""
    trace_parent: str | None = None


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often a failing job is tried, and how long it rests in between."""

    attempts: int = 5
    first_seconds: float = 2.0
    factor: float = 4.0

    def next_run(self, job: Job, now: datetime) -> datetime | None:
        """When to try again after a failure; None where it is to be given up."""
        if job.attempts >= self.attempts:
            return None
        return now + timedelta(seconds=self.first_seconds * self.factor ** (job.attempts - 1))
