"""Stopping a turn, and running one again whose producer was lost."""

from uuid import UUID

from workbench.domain.budgets.book import LimitBook
from workbench.domain.clock import Clock
from workbench.domain.identity.model import Principal
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.turns.access import read_turn, require_in_charge
from workbench.domain.turns.budgeting import budgeted
from workbench.domain.turns.cancelling import ask_for_end
from workbench.domain.turns.events import turn_status
from workbench.domain.turns.model import logged
from workbench.domain.turns.ports import TurnTx
from workbench.domain.turns.refusals import turn_active, turn_settled
from workbench.domain.turns.shapes import Cancelled, CancelRequest, TurnView


class ControlService:
    """Acts about turns that are under way, or were."""

    def __init__(self, transactions: Transactions[TurnTx], clock: Clock, book: LimitBook) -> None:
        self._transactions = transactions
        self._book = book
        self._clock = clock

    async def cancel(
        self, principal: Principal, conversation_id: UUID, turn_id: str, wanted: CancelRequest
    ) -> Cancelled:
        """Ask the producer to end a turn; where nobody has begun it, it is over at once.

        Raises NotFoundError, ForbiddenError.
        """
        return await retrying(lambda: self._cancel(principal, conversation_id, turn_id, wanted))

    async def _cancel(
        self, principal: Principal, conversation_id: UUID, turn_id: str, wanted: CancelRequest
    ) -> Cancelled:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            turn, seat = await read_turn(tx, principal, conversation_id, turn_id)
            require_in_charge(turn, seat, principal)
            if not turn.is_active:
                return Cancelled(cancelled=False, turn=TurnView.of(turn))
            asked = await ask_for_end(tx, turn, principal.id, wanted.reason, now)
        return Cancelled(cancelled=True, turn=TurnView.of(asked))

    async def retry(self, principal: Principal, conversation_id: UUID, turn_id: str) -> TurnView:
        """Open a turn once more whose producer was lost, under the same id.

        Raises NotFoundError, ForbiddenError, ConflictError (turn_settled, turn_active), BudgetExceededError.
        """
        return await retrying(lambda: self._retry(principal, conversation_id, turn_id))

    async def _retry(self, principal: Principal, conversation_id: UUID, turn_id: str) -> TurnView:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            turn, seat = await read_turn(tx, principal, conversation_id, turn_id)
            require_in_charge(turn, seat, principal)
            for active in await tx.turns.active(conversation_id, turn.assistant_id):
                raise turn_active(active)
            if not turn.can_be_retried:
                raise turn_settled(turn)
            budgeted_turn, _ = await budgeted(tx, self._book, principal, turn)
            tx.turns.supersede_ending(turn)
            reopened, events = logged(budgeted_turn.reopened(turn.read_at), [("turn.reset", {"reason": "retry"})], now)
            tx.turns.change(reopened)
            tx.turns.log(reopened, events)
            tx.events.record(turn_status(reopened))
        return TurnView.of(reopened)
