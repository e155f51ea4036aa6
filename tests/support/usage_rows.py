"""The part of the wall between workspaces that usage adds: a turn with a provisional bill, and every method on it."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from tests.support.usage import bill, model_call

from workbench.adapters.sql.transactions import SqlTransaction
from workbench.domain.ids import new_id
from workbench.domain.usage.arithmetic import summed
from workbench.domain.usage.model import UsageRow
from workbench.domain.usage.totals import Totals, UsageFilter

NOTHING = Totals(
    **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "turns", "calls"), 0),
    cost_micros=None,
    cost_complete=True,
)


def add_usage(tx: SqlTransaction, workspace: str, conversation_id: UUID, message_id: UUID, now: datetime) -> UsageRow:
    """Put one of each into the workspace."""
    turn_pk = new_id()
    call = model_call(turn_pk, now)
    what = bill(turn_pk, provisional=True, conversation_id=conversation_id, message_id=message_id, user_id="cay")
    row = summed(what, [call], new_id(), workspace, now)
    tx.usage.record_calls([call])
    tx.usage.add(row, [call])
    return row


def of(w: Any) -> UsageFilter:
    """All of the world's conversation."""
    return UsageFilter(conversation_id=w.conversation.id)


READS: dict[str, tuple[Any, object]] = {
    "usage.calls_of_turn": (lambda tx, w: tx.usage.calls_of_turn(w.usage.turn_pk), []),
    "usage.billed": (lambda tx, w: tx.usage.billed(w.usage.turn_pk, w.usage.message_id), []),
    "usage.rows": (lambda tx, w: tx.usage.rows(of(w), None, 10), []),
    "usage.total": (lambda tx, w: tx.usage.total(of(w)), NOTHING),
    "usage.groups": (lambda tx, w: tx.usage.groups(of(w), ["model", "user"], None, 10), []),
    "usage.models_of": (lambda tx, w: tx.usage.models_of(w.conversation.id), []),
}

WRITES: dict[str, Any] = {
    "usage.record_calls": lambda tx, w: tx.usage.record_calls(
        [model_call(w.usage.turn_pk, w.usage.created_datetime, call_id="c9")]
    ),
    "usage.upgrade": lambda tx, w: tx.usage.upgrade(msgspec.structs.replace(w.usage, provisional=False), ()),
}

# The first adds a row of the block's own workspace, the second names that.
WITHOUT_AN_ID = {"usage.add", "usage.workspace_id"}
