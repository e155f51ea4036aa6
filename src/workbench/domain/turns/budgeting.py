"""What a turn is expected to take of budgets, and the refusal of one for which there is no room."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from workbench.domain.budgets.book import LimitBook
from workbench.domain.budgets.model import Spend, Standing
from workbench.domain.budgets.reserving import check, reserve
from workbench.domain.identity.model import Principal
from workbench.domain.turns.model import DEADLINE, Turn
from workbench.domain.turns.ports import TurnTx
from workbench.domain.turns.shapes import NewTurn, TurnOptions

KEEP = DEADLINE + timedelta(minutes=1)
"""As long as a turn may go on: it is ended, and so its reservation released, long before where its producer is lost."""


async def budgeted(tx: TurnTx, book: LimitBook, principal: Principal, turn: Turn) -> tuple[Turn, Sequence[Standing]]:
    """Reserve in this block for a turn that is about to be stored; answer with it, and with what is left.

    What it took is settled in place of the reservation. Admins are never refused. Raises BudgetExceededError.
    """
    options = msgspec.convert(turn.options, TurnOptions)
    spend = Spend(
        key=str(turn.pk),
        user_id=turn.user_id,
        assistant_id=turn.assistant_id,
        tokens=options.max_output_tokens or 1,
        is_exempt=principal.is_admin,
        keep=KEEP,
    )
    standings = await reserve(tx, book, spend)
    return msgspec.structs.replace(turn, is_budgeted=bool(standings)), standings


async def check_budgets(tx: TurnTx, book: LimitBook, principal: Principal, new: NewTurn) -> None:
    """Raise BudgetExceededError where a turn would find no room now; for what is stored before its block."""
    spend = Spend(
        key="",
        user_id=principal.id if principal.is_user else None,
        assistant_id=new.assistant_id,
        tokens=(new.options and new.options.max_output_tokens) or 1,
        is_exempt=principal.is_admin,
    )
    await check(tx, book, spend)
