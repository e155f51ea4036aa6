"""Model calls and bills, as tests make them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from tests.support.databases import Store

from workbench.domain.clock import Clock
from workbench.domain.transactions import retrying
from workbench.domain.usage.bookkeeping import Bookkeeping, settle
from workbench.domain.usage.model import Bill, ModelCall, Settled
from workbench.domain.usage.prices import PriceTable


class NoMeter:
    """Nothing is refused where one bill comes alone."""

    def usage_refused(self, source: str) -> None:
        raise AssertionError(source)


def no_books(clock: Clock) -> Bookkeeping:
    """Books that know no price."""
    return Bookkeeping(PriceTable([]), NoMeter(), clock)


def model_call(turn_pk: UUID | None, now: datetime, **fields: Any) -> ModelCall:
    """A call of 10 and 5 tokens for 7 micro-USD, but for what is given."""
    call = {
        **dict.fromkeys(("model_ref", "model_id", "display_name", "provider", "latency_ms")),
        "turn_pk": turn_pk,
        "call_id": "c1",
        "epoch": 1,
        "model": "m",
        "call_kind": "chat",
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "cached_tokens": 4,
        "cache_write_tokens": 0,
        "reasoning_tokens": 1,
        "cost_micros": 7,
        "cost_source": "provider",
        "finish_reason": "stop",
        "created_datetime": now,
        **fields,
    }
    return ModelCall(**call)


def bill(turn_pk: UUID | None, **fields: Any) -> Bill:
    """Ann's, authoritative, but for what is given."""
    given = {"source": "server", "provisional": False, "conversation_id": None, "user_id": "ann", **fields}
    return Bill(turn_pk=turn_pk, **given)


async def settled(store: Store, what: Bill, *calls: ModelCall, workspace: str = "default") -> Settled:
    """Write calls down, and settle in the same block, as a turn does at its end."""

    async def act() -> Settled:
        async with store.transactions.write(workspace) as tx:
            tx.usage.record_calls(calls)
            return await settle(tx, what, store.clock.now())

    return await retrying(act)
