"""Ending turns whose producer is gone, whose time is up, or whose end was asked for in vain."""

from datetime import datetime, timedelta

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.parts.closing import Marker, closed
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.turns.model import GoneTurn, TurnError, UsageState
from workbench.domain.turns.ports import DueTurn, TurnTx, TurnWatch
from workbench.domain.turns.settling import Close, bill, bill_gone, folded, settle

PAGE = 100
EVENTS_AT_ONCE, STEPS = 5000, 200
"""How much is forgotten in one transaction, and how often in one round."""
LOST: dict[str, TurnError] = {
    "producer_lost": TurnError(code="producer_lost", message="The assistant was lost while answering.", retryable=True),
    "deadline": TurnError(code="deadline", message="The assistant took too long to answer."),
}


class TurnPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How long it can be told event by event what happened in a turn that is over."""

    events_kept: timedelta = timedelta(hours=1)


DEFAULT = TurnPolicy()


class ReapingService:
    """Looks after turns that nobody else does; any process may, at any time, and as many as like."""

    def __init__(
        self, transactions: Transactions[TurnTx], watch: TurnWatch, clock: Clock, policy: TurnPolicy = DEFAULT
    ) -> None:
        self._policy = policy
        self._transactions = transactions
        self._watch = watch
        self._clock = clock

    async def round(self) -> int:
        """End all that are due, and forget what happened long ago; says how many were ended."""
        now = await self._watch.now()
        ended = await self._end_all(now)
        for turn in await self._watch.unbilled(PAGE):
            await retrying(lambda turn=turn: self._bill(turn))
        for gone in await self._watch.gone_unbilled(PAGE):
            await retrying(lambda gone=gone: self._bill_gone(gone))
        await self._watch.forget_gone(self._clock.now() - self._policy.events_kept)
        await self._forget(now - self._policy.events_kept)
        return ended

    async def _forget(self, before: datetime) -> None:
        """Forget logs in short steps, until nothing is left or it is time to look at something else."""
        for _ in range(STEPS):
            if not await self._watch.forget_events(before, EVENTS_AT_ONCE):
                return

    async def _end_all(self, now: datetime) -> int:
        """End page after page, for many may be lost at once; what could not be ended waits for the next round."""
        all_ended, is_more = 0, True
        while is_more:
            due = await self._watch.due(now, PAGE)
            ended = sum([await retrying(lambda turn=turn: self._end(turn)) for turn in due])
            all_ended += ended
            is_more = ended > 0 and len(due) == PAGE
        return all_ended

    async def _bill(self, unbilled: DueTurn) -> None:
        """Settle what a turn took, from the ledger (T3)."""
        now = self._clock.now()
        async with self._transactions.write(unbilled.workspace_id) as tx:
            turn = await tx.turns.find(unbilled.conversation_id, unbilled.turn_id)
            if turn is None or turn.usage_state != "pending":
                return
            billed = await bill(tx, turn, Close(outcome="completed", parts=[]), now)
            state: UsageState = "recorded" if billed.row is not None else "none"
            tx.turns.change(msgspec.structs.replace(turn, usage_state=state))

    async def _bill_gone(self, gone: GoneTurn) -> None:
        """Settle what a turn took that went with its conversation; its producer may still say more."""
        async with self._transactions.write(gone.workspace_id) as tx:
            await bill_gone(tx, gone, "recovery", self._clock.now(), provisional=True)

    async def _end(self, due: DueTurn) -> bool:
        """End one, if it is still to be ended: what another process did meanwhile is seen or makes this one stale."""
        now = self._clock.now()
        async with self._transactions.write(due.workspace_id) as tx:
            turn = await tx.turns.find(due.conversation_id, due.turn_id)
            ending = None if turn is None else turn.overdue(turn.read_at)
            if turn is None or ending is None:
                return False
            outcome, reason = ending
            marker = Marker(code="cancelled" if outcome == "aborted" else "interrupted", error_code=reason)
            parts = closed((await folded(tx, turn)).snapshot(), marker)
            error = LOST[reason] if outcome == "failed" else None
            close = Close(outcome=outcome, reason=reason, error=error, parts=parts, source="recovery", provisional=True)
            await settle(tx, turn, close, now)
        return True
