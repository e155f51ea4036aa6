"""Asking for the end of a turn, whoever wants it."""

from datetime import datetime

from workbench.domain.parts.closing import Marker, closed
from workbench.domain.turns.model import Turn, logged
from workbench.domain.turns.ports import TurnTx
from workbench.domain.turns.settling import Close, folded, settle


async def ask_for_end(tx: TurnTx, turn: Turn, who: str, reason: str | None, now: datetime) -> Turn:
    """Ask the producer of a turn under way to end it; where nobody has begun it, it is over at once."""
    asked = turn.cancelled_by(who, turn.read_at)
    if turn.cancel_requested_at is None:
        asked, events = logged(asked, [("turn.cancel_requested", {"by": who, "reason": reason})], now)
        tx.turns.log(asked, events)
    if asked.epoch == 0:
        parts = closed((await folded(tx, asked)).snapshot(), Marker(code="cancelled"))
        close = Close(outcome="aborted", parts=parts, source="recovery", provisional=True)
        return (await settle(tx, asked, close, now)).turn
    tx.turns.change(asked)
    return asked
