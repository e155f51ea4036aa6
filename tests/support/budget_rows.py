"""The part of the wall between workspaces that budgets add: a limit and a reservation, and every method on them.

Whom they name is called after the workspace, so that the next workspace's can be told from them.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from workbench.adapters.sql.transactions import SqlTransaction
from workbench.domain.budgets.model import Spend, Subjects, Terms
from workbench.domain.budgets.ports import Amounts, Counted, Part

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
NOTHING = Counted(used=Amounts(), before=Amounts(), reserved=Amounts())


def person(workspace: str) -> str:
    """Who is limited, and spends."""
    return f"{workspace}-spender"


def held(workspace: str) -> Spend:
    """What is under way."""
    return Spend(key=f"{workspace}-key", user_id=person(workspace))


def add_budgets(tx: SqlTransaction, workspace: str, now: datetime) -> None:
    """Put one of each into the workspace."""
    tx.budgets.replace_limits("user", person(workspace), [Terms(measure="turns", period="day", amount=3)])
    tx.budgets.reserve(held(workspace), (), now)


def spending(w: Any) -> Part:
    """All of the world's person."""
    return Part(scope="user", subject=person(w.workspace), since=LONG_AGO, until=LONG_AGO)


READS: dict[str, tuple[Any, object]] = {
    "budgets.limits_of": (
        lambda tx, w: tx.budgets.limits_of(Subjects(workspace=w.workspace, user=person(w.workspace))),
        [],
    ),
    "budgets.own_limits": (lambda tx, w: tx.budgets.own_limits("user", person(w.workspace)), []),
    "budgets.counted": (lambda tx, w: tx.budgets.counted([spending(w)], "", LONG_AGO), [NOTHING]),
}
WRITES: dict[str, Any] = {
    "budgets.replace_limits": lambda tx, w: tx.budgets.replace_limits("user", person(w.workspace), []),
    "budgets.reserve": lambda tx, w: tx.budgets.reserve(held(w.workspace), (), w.job.run_at + timedelta(hours=1)),
    "budgets.release": lambda tx, w: tx.budgets.release(held(w.workspace).key, w.job.run_at),
}

# These read what is the block's own workspace's.
WITHOUT_AN_ID = {"budgets.workspace_id", "budgets.are_limited", "budgets.limits"}
