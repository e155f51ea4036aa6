"""Duties about sessions: idle ones are given up, overdue escalations told of, deleted ones removed for good (11).

What is due is found in all workspaces at once, by nothing but where it is; each is then a job of its own workspace, which
looks again before it does anything.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from uuid import UUID

from workbench.domain.clock import Clock
from workbench.domain.contents.model import sweep
from workbench.domain.jobs.model import Job, NewJob
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.duties import ALARM_JOB, IDLE_JOB, PURGE_JOB, UpkeepPolicy
from workbench.domain.troubleshooting.events import session_changed, tell_of_escalation
from workbench.domain.troubleshooting.ports import SessionTx
from workbench.domain.troubleshooting.queueing import alarmed, is_overdue
from workbench.domain.troubleshooting.transitions import IDLE_REASON, idled, is_idle
from workbench.domain.troubleshooting.watching import SessionWatch, Whereabouts

AT_ONCE = 500
"""Of each kind; what is left is found in the next round, once these are done."""


class SessionDispatcher:
    """Finds what is due, and sets a job down for each."""

    def __init__(
        self, watch: SessionWatch, transactions: Transactions[SessionTx], clock: Clock, policy: UpkeepPolicy
    ) -> None:
        self._watch = watch
        self._transactions = transactions
        self._clock = clock
        self._policy = policy

    async def dispatch(self) -> int:
        """Look once; says for how many sessions a job was set down."""
        now = self._clock.now()
        found = {
            IDLE_JOB: await self._watch.idle(now - self._policy.idle, AT_ONCE),
            ALARM_JOB: await self._watch.overdue(now, AT_ONCE),
            PURGE_JOB: await self._watch.deleted(now - self._policy.purge, AT_ONCE),
        }
        for kind, due in found.items():
            for workspace_id, those in _by_workspace(due):
                async with self._transactions.write(workspace_id) as tx:
                    for each in those:
                        job = NewJob(kind=kind, key=str(each.session_id), payload={}, run_at=now)
                        tx.jobs.enqueue(job)
        return sum(map(len, found.values()))


class IdleSessions:
    """Gives sessions up in which nothing happens. One that waits for a colleague never is one of them."""

    def __init__(self, transactions: Transactions[SessionTx], clock: Clock, policy: UpkeepPolicy) -> None:
        self._transactions = transactions
        self._clock = clock
        self._policy = policy

    async def carry_out(self, job: Job) -> None:
        """Give it up, unless something has happened in it since it was found."""
        await retrying(lambda: self._carry_out(job))

    async def _carry_out(self, job: Job) -> None:
        now = self._clock.now()
        async with self._transactions.write(job.workspace_id) as tx:
            tx.jobs.finish(job)
            session = await tx.sessions.find(UUID(job.key))
            if session is None or not is_idle(session, now, self._policy.idle):
                return
            ended = idled(session, now)
            tx.sessions.change(ended)
            tx.events.record(session_changed("session.abandoned", ended, reason=IDLE_REASON))


class OverdueEscalations:
    """Tells of escalations that nobody takes, each once."""

    def __init__(self, transactions: Transactions[SessionTx], clock: Clock) -> None:
        self._transactions = transactions
        self._clock = clock

    async def carry_out(self, job: Job) -> None:
        """Tell of it, unless somebody has taken it since it was found."""
        await retrying(lambda: self._carry_out(job))

    async def _carry_out(self, job: Job) -> None:
        now = self._clock.now()
        session_id = UUID(job.key)
        async with self._transactions.write(job.workspace_id) as tx:
            tx.jobs.finish(job)
            session = await tx.sessions.find(session_id)
            waiting = [each for each in await tx.escalations.of(session_id) if is_overdue(each, now)]
            if session is None or not waiting or waiting[-1].alarmed_at is not None:
                return
            told = alarmed(waiting[-1], now)
            tx.escalations.alarm(session_id, told)
            tell_of_escalation(tx.events, "overdue", session, told)


class DeletedSessions:
    """Removes what was deleted long enough ago: the session, its conversation and all that hangs on them, but no usage."""

    def __init__(self, transactions: Transactions[SessionTx], clock: Clock, policy: UpkeepPolicy) -> None:
        self._transactions = transactions
        self._clock = clock
        self._policy = policy

    async def carry_out(self, job: Job) -> None:
        """Remove it. Whoever was in it has been told when it was deleted."""
        now = self._clock.now()
        async with self._transactions.write(job.workspace_id) as tx:
            tx.jobs.finish(job)
            session = await tx.sessions.find_deleted(UUID(job.key))
            if session is None or session.deleted_at is None or session.deleted_at > now - self._policy.purge:
                return
            tx.conversations.remove(session.conversation_id)
            tx.jobs.enqueue(sweep(now))


def _by_workspace(found: Sequence[Whereabouts]) -> Iterable[tuple[str, list[Whereabouts]]]:
    in_order = sorted(found, key=lambda each: each.workspace_id)
    return ((place, list(those)) for place, those in groupby(in_order, key=lambda each: each.workspace_id))
