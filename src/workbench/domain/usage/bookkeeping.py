"""Keeping the books: calls are priced as they come, and a turn is billed once, by whoever may say what it took."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.ids import new_id
from workbench.domain.usage.arithmetic import entered, summed
from workbench.domain.usage.model import Bill, ModelCall, ReportedCall, Settled
from workbench.domain.usage.ports import UsageMeter, UsageTx
from workbench.domain.usage.prices import PriceTable

logger = logging.getLogger(__name__)


async def settle(tx: UsageTx, bill: Bill, now: datetime, calls: Sequence[ModelCall] | None = None) -> Settled:
    """Bill a turn by all calls of its ledger, those of this block included, or, without a turn, by `calls`.

    The first authoritative bill holds for ever. A provisional one gives way to it, and replaces nothing. Stale at the
    commit where another bill, or another call, came between: repeat the block.
    """
    if calls is None:
        calls = await tx.usage.calls_of_turn(bill.turn_pk) if bill.turn_pk else ()
    if not calls:
        return Settled(outcome="none")
    row = summed(bill, calls, new_id(), tx.usage.workspace_id, now)
    there = await tx.usage.billed(bill.turn_pk, bill.message_id)
    if not there:
        tx.usage.add(row, calls)
        return Settled(outcome="inserted", row=row)
    old = there[0]
    if bill.provisional or not old.provisional:
        return Settled(outcome="kept_existing", row=old, refused=row)
    same: dict[str, Any] = {"id": old.id, "created_datetime": old.created_datetime, "usage_day": old.usage_day}
    if len(there) > 1:
        same["message_id"] = old.message_id  # the message has a row of its own, and can have but one
    row = msgspec.structs.replace(row, **same)
    tx.usage.upgrade(row, calls)
    return Settled(outcome="upgraded", row=row)


class Bookkeeping:
    """Prices calls, and tells of bills that were refused."""

    def __init__(self, prices: PriceTable, meter: UsageMeter, clock: Clock) -> None:
        self._prices = prices
        self._meter = meter
        self._clock = clock

    def entered(self, calls: Sequence[ReportedCall], turn_pk: UUID | None = None, epoch: int = 0) -> list[ModelCall]:
        """Make the lines of the ledger, at today's prices."""
        now = self._clock.now()
        return [entered(call, turn_pk, epoch, self._prices, now) for call in calls]

    def tell(self, settled: Settled) -> None:
        """Count and log what was refused, with both figures; call it once the block is stored."""
        held, refused = settled.row, settled.refused
        if held is None or refused is None:
            return
        self._meter.usage_refused(refused.source)
        logger.warning(
            "usage of %s kept as the %s gave it: %d tokens, %s micro-USD; refused from the %s: %d tokens, %s micro-USD",
            held.turn_pk or held.message_id,
            *(held.source, held.total_tokens, held.cost_micros),
            *(refused.source, refused.total_tokens, refused.cost_micros),
        )
