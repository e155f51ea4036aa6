"""Turns that are to end when nobody watches them any more (specification of turns, T6).

Each process notes again and again which of them have watchers there, and once more when the last one leaves; the note
holds for half a minute. So it is known when all have left, wherever they were, and also where a process was killed.
"""

from workbench.domain.clock import Clock
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.turns.cancelling import ask_for_end
from workbench.domain.turns.hub import TurnHub
from workbench.domain.turns.model import UNWATCHED
from workbench.domain.turns.ports import DueTurn, TurnTx, TurnWatch

PAGE = 100
REASON = "disconnected"


class AttendanceService:
    """Notes watchers of this process, and has turns ended that were left by those of all."""

    def __init__(self, transactions: Transactions[TurnTx], watch: TurnWatch, hub: TurnHub, clock: Clock) -> None:
        self._transactions = transactions
        self._watch = watch
        self._hub = hub
        self._clock = clock

    async def changed(self) -> None:
        """Wait until a turn got its first watcher here, or lost its last one."""
        await self._hub.attendance_changed.wait()

    async def round(self) -> int:
        """Note who watches, then ask for the end of what nobody does; says of how many."""
        if attended := self._hub.take_attended():
            await self._watch.watched(attended, await self._watch.now() + UNWATCHED)
        left = await self._watch.abandoned(await self._watch.now(), PAGE)
        return sum([await retrying(lambda turn=turn: self._end(turn)) for turn in left])

    async def _end(self, left: DueTurn) -> bool:
        """Ask for the end of one, unless somebody came back meanwhile, or it is over."""
        async with self._transactions.write(left.workspace_id) as tx:
            turn = await tx.turns.find(left.conversation_id, left.turn_id)
            if turn is None or not turn.is_abandoned(turn.read_at):
                return False
            await ask_for_end(tx, turn, turn.initiator_id, REASON, self._clock.now())
        return True
