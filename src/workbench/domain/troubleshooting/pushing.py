"""Bringing notes to tickets: at least once, and told apart by a marker or an id, so that each is there once (9)."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.errors import ConflictError, NotFoundError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import RANDOM
from workbench.domain.tickets.model import SUMMARIES, ClaimedPush, Connection, Push, TicketSystemError
from workbench.domain.tickets.ports import PushMeter, PushQueue, PushResult, TicketSystem, TicketSystems
from workbench.domain.tickets.schedule import PushPolicy, arrived, cancelled, failed
from workbench.domain.transactions import Transactions
from workbench.domain.troubleshooting.access import session_not_found
from workbench.domain.troubleshooting.events import push_changed
from workbench.domain.troubleshooting.known import Known, seen
from workbench.domain.troubleshooting.outcomes import PushList, PushRetried, PushView
from workbench.domain.troubleshooting.ports import SessionTx

MAX_SHOWN = 100
ROUND = 8
PUSH_SECONDS = 90.0
"""How long a try may take in all: less than what is taken up is nobody else's."""


class PushMeans(msgspec.Struct, frozen=True):
    """What it takes to push: who has what, where to, how often, and where it is counted."""

    queue: PushQueue
    systems: TicketSystems
    policy: PushPolicy
    meter: PushMeter


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """How many notes were tried, and what came of them."""

    sent: int = 0
    waiting: int = 0
    failed: int = 0


class PushingService:
    """Brings notes to tickets, and tells how far they are."""

    def __init__(self, transactions: Transactions[SessionTx], means: PushMeans, clock: Clock) -> None:
        self._transactions = transactions
        self._queue = means.queue
        self._systems = means.systems
        self._policy = means.policy
        self._meter = means.meter
        self._clock = clock

    async def of_session(self, principal: Principal, session_id: UUID) -> PushList:
        """The notes to the ticket of a session: for its owner and its handler. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            _require_concerned(await seen(tx, principal, session_id))
            found = await tx.pushes.of_session(session_id, MAX_SHOWN)
        return PushList(items=[_view(push) for push in found])

    async def retry(self, principal: Principal, session_id: UUID) -> PushRetried:
        """Try the newest note once more that failed, or waits to be tried again.

        Raises NotFoundError, also `no_failed_push`, ConflictError `push_in_flight` or `connection_disabled`.
        """
        async with self._transactions.read(principal.workspace_id) as tx:
            _require_concerned(await seen(tx, principal, session_id))
            push = _to_retry(await tx.pushes.of_session(session_id, MAX_SHOWN))
            connection = await tx.ticket_systems.find(push.connection_id)
        if connection is None or not connection.enabled:
            raise ConflictError("The connection is switched off", code="connection_disabled")
        claimed = await self._queue.take(principal.workspace_id, push.id)
        if claimed is None:
            raise _in_flight()
        after = await self.bring(claimed)
        return PushRetried(
            push_id=after.id,
            psa_push_status=after.status,
            psa_push_error=SUMMARIES[after.error_code] if after.error_code else None,
            next_attempt_at=after.next_attempt_at,
        )

    async def push_now(self, workspace_id: str) -> Pushed:
        """Try everything of a workspace that waits, whenever it is due."""
        now = self._clock.now()
        async with self._transactions.write(workspace_id) as tx:
            tx.pushes.hurry(now)
        ended: list[Push] = []
        while claimed := await self._queue.claim(now, ROUND, workspace_id):
            ended += await asyncio.gather(*map(self.bring, claimed))
        statuses = [push.status for push in ended]
        return Pushed(
            sent=statuses.count("sent"), waiting=statuses.count("pending_retry"), failed=statuses.count("failed")
        )

    async def bring(self, claimed: ClaimedPush) -> Push:
        """Bring one that was taken up, and store what came of it. Raises StaleError where somebody else has it by now."""
        push = claimed.push
        async with self._transactions.read(claimed.workspace_id) as tx:
            session = await tx.sessions.find(push.session_id)
            connection = await tx.ticket_systems.find(push.connection_id)
            sealed = await tx.ticket_systems.sealed(push.connection_id)
        if session is None or connection is None or push.body is None:
            return await self._settle(claimed, cancelled(claimed), "cancelled")
        try:
            async with asyncio.timeout(PUSH_SECONDS):
                note_id, result = await self._send(claimed, connection, sealed or "")
        except TicketSystemError as error:
            return await self._settle_failed(claimed, error)
        except TimeoutError:
            return await self._settle_failed(claimed, TicketSystemError("timeout", is_ambiguous=True))
        return await self._settle(claimed, arrived(claimed, note_id, self._clock.now()), result)

    async def _send(self, claimed: ClaimedPush, connection: Connection, sealed: str) -> tuple[str | None, PushResult]:
        """Look for the note first where it may be there, then post it."""
        push = claimed.push
        system = self._systems.open(claimed.workspace_id, connection, sealed)
        if push.may_be_there:
            note_id = await _found(system, push)
            if note_id is not None:
                return note_id, "found"
            if self._policy.is_worn_out(claimed):
                raise TicketSystemError("timeout")
        return await system.post_note(push.note(claimed.workspace_id)), "sent"

    async def _settle_failed(self, claimed: ClaimedPush, error: TicketSystemError) -> Push:
        now = self._clock.now()
        after = failed(claimed, error, self._policy, now, RANDOM.random())
        if error.failure in {"auth_failed", "gone"}:
            async with self._transactions.write(claimed.workspace_id) as tx:
                if error.failure == "auth_failed":
                    tx.ticket_systems.note_health(after.connection_id, "auth_failed", now)
                else:
                    tx.ticket_systems.switch_off(after.connection_id, now)
        return await self._settle(claimed, after, "failed" if after.status == "failed" else "retry")

    async def _settle(self, claimed: ClaimedPush, after: Push, result: PushResult) -> Push:
        try:
            await self._store(claimed, after, tells=True)
        except NotFoundError:
            # The session went with its conversation meanwhile, so that there is nowhere to tell of it.
            await self._store(claimed, after, tells=False)
        self._meter.pushed(after.kind, result)
        return after

    async def _store(self, claimed: ClaimedPush, after: Push, *, tells: bool) -> None:
        async with self._transactions.write(claimed.workspace_id) as tx:
            session = await tx.sessions.find(after.session_id)
            tx.pushes.settle(claimed, after)
            if session is not None and tells and after.status in {"sent", "failed"}:
                tx.events.record(push_changed(f"session.psa_push.{after.status}", session, after))


async def _found(system: TicketSystem, push: Push) -> str | None:
    """Look for the note. While nobody can say whether it is there, it may be."""
    try:
        return await system.find_note(push.psa_ticket_id, push.marker)
    except TicketSystemError as error:
        error.is_ambiguous = True
        raise


def _require_concerned(found: Known) -> None:
    if not (found.standing.is_owner or found.standing.is_handler):
        raise session_not_found()


def _to_retry(pushes: Sequence[Push]) -> Push:
    push = next((each for each in pushes if each.status in {"failed", "pending_retry"}), None)
    if push is not None:
        return push
    if any(each.status == "sending" for each in pushes):
        raise _in_flight()
    raise NotFoundError("No note to the ticket failed, and none waits to be tried again", code="no_failed_push")


def _in_flight() -> ConflictError:
    return ConflictError("The note is on its way", code="push_in_flight")


def _view(push: Push) -> PushView:
    shown: dict[str, Any] = {name: getattr(push, name) for name in PushView.__struct_fields__ if hasattr(push, name)}
    shown["error_summary"] = SUMMARIES[push.error_code] if push.error_code else None
    return PushView(**shown)
