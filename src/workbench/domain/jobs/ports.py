"""Where leases and jobs are kept, and who does a job."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from workbench.domain.jobs.model import Job, NewJob


class Leases(Protocol):
    """Named leases that span workspaces and replicas; at any time each has at most one holder."""

    async def acquire(self, names: Collection[str], holder: str, seconds: float) -> set[str]:
        """Take those of the leases that are free, run out, or the holder's already; says which it now holds.

        Whoever is cancelled meanwhile holds none of them.
        """
        ...

    async def renew(self, holder: str, seconds: float) -> set[str]:
        """Prolong every lease that the holder still has; says which those are."""
        ...

    async def release(self, names: Collection[str], holder: str) -> None:
        """Give leases back, so that another may take them at once."""
        ...


class Jobs(Protocol):
    """The jobs of one workspace, set down and finished in the same commit as what belongs to them."""

    def enqueue(self, new: NewJob) -> None:
        """Set a job down. One of the same kind and key that waits is replaced; one that runs is followed by it."""
        ...

    def finish(self, job: Job) -> None:
        """Forget the job; stale where the claim on it was lost, so that nobody else's work is done twice."""
        ...


class DutyMeter(Protocol):
    """Counts what goes wrong in what each process does beside requests."""

    def interrupted(self, duty: str) -> None:
        """Count a duty that failed, and is begun again."""
        ...


class JobQueue(Protocol):
    """The jobs of all workspaces, as workers take them up. Two jobs of one kind and key never run at once."""

    async def claim(self, kinds: Collection[str], now: datetime, limit: int) -> Sequence[Job]:
        """Take up jobs whose time has come and that nobody has, for CLAIM_SECONDS; the one due longest comes first."""
        ...

    async def put_off(self, job: Job, run_at: datetime, error: str) -> None:
        """Give a job back that failed, to be tried again; nothing happens where the claim was lost."""
        ...

    async def give_back(self, job: Job) -> None:
        """Give a job back that was not done, as if it had not been taken up."""
        ...

    async def drop(self, job: Job) -> None:
        """Forget a job that is given up; nothing happens where the claim was lost."""
        ...

    async def oldest(self, now: datetime) -> Mapping[str, datetime]:
        """Since when the job has been due that is due longest, by kind; kinds of which none is due are left out."""
        ...


class JobHandler(Protocol):
    """Does the jobs of one kind."""

    async def carry_out(self, job: Job) -> None:
        """Do the job and finish it, within JOB_SECONDS. Whatever is raised means that it is to be tried again."""
        ...


class JobHandlers(msgspec.Struct, frozen=True):
    """Who does the jobs of which kind in this process; jobs of other kinds are left to others.

    Where they `are_urgent`, each commit of this process is a reason to look for them at once.
    """

    by_kind: Mapping[str, JobHandler]
    are_urgent: bool = True
