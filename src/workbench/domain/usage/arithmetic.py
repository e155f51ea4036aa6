"""From reported calls to lines of the ledger, and from lines to a bill; all of it exact, and without any store."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.usage.model import (
    CUT_BY_LENGTH,
    Bill,
    CallWarning,
    CostSource,
    ModelCall,
    ModelShare,
    ReportedCall,
    UsageRow,
)
from workbench.domain.usage.prices import PricedModel, PriceTable

MICROS = 1_000_000
_SUMMED = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens")
_NAMES = ("model_ref", "model_id", "display_name", "provider")


def readable(calls: Sequence[Any]) -> tuple[list[ReportedCall], list[CallWarning]]:
    """Read calls of a producer in this process; one that makes no sense is left out, with a warning."""
    read: list[ReportedCall] = []
    warnings: list[CallWarning] = []
    for place, call in enumerate(calls):
        try:
            read.append(msgspec.convert(call, ReportedCall))
        except msgspec.ValidationError as error:
            warnings.append(CallWarning(path=f"usage.calls[{place}]", detail=str(error)))
    return read, warnings


def total_of(call: ReportedCall) -> int:
    """The given total, unless it is less than its parts."""
    parts = call.prompt + call.completion
    return parts if call.total_tokens is None else max(call.total_tokens, parts)


def micros(cost_usd: Decimal) -> int:
    """Whole micro-USD, rounded half to even."""
    return round(Fraction(cost_usd) * MICROS)


def finish_reason_of(call: ReportedCall, cap: int | None) -> str | None:
    """The reason given; without one, an answer as long as it was allowed to be was cut."""
    was_cut = call.finish_reason is None and cap is not None and call.completion >= cap > 0
    return CUT_BY_LENGTH if was_cut else call.finish_reason


def entered(call: ReportedCall, turn_pk: UUID | None, epoch: int, prices: PriceTable, now: datetime) -> ModelCall:
    """Make the line of the ledger, with what the price table knows of the model and asks for it on that day."""
    known = prices.find(call.model)
    cost, source = _cost(call, known, now)
    names: dict[str, Any] = {name: getattr(call, name) or getattr(known, name, None) for name in _NAMES}
    cap = call.max_output_tokens if call.max_output_tokens is not None else known and known.max_output_tokens
    return ModelCall(
        turn_pk=turn_pk,
        call_id=call.call_id,
        epoch=epoch,
        model=call.model,
        **names,
        call_kind=call.call_kind,
        prompt_tokens=call.prompt,
        completion_tokens=call.completion,
        total_tokens=total_of(call),
        cached_tokens=call.cached_tokens,
        cache_write_tokens=call.cache_write_tokens,
        reasoning_tokens=call.reasoning_tokens,
        cost_micros=cost,
        cost_source=source,
        finish_reason=finish_reason_of(call, cap),
        latency_ms=call.latency_ms,
        created_datetime=now,
    )


def _cost(call: ReportedCall, known: PricedModel | None, now: datetime) -> tuple[int | None, CostSource]:
    if call.cost_usd is not None:
        return micros(call.cost_usd), "provider"
    price = known.price_on(now.astimezone(UTC).date()) if known else None
    if price is None:
        return None, "unknown"
    exact = price.micros(call.prompt, call.completion, call.cached_tokens, call.cache_write_tokens)
    return round(exact), "computed"


def summed(bill: Bill, calls: Sequence[ModelCall], row_id: UUID, workspace_id: str, now: datetime) -> UsageRow:
    """Sum all calls up."""
    return UsageRow(
        id=row_id,
        workspace_id=workspace_id,
        **msgspec.structs.asdict(bill),
        **_sums(calls),
        reasoning_tokens=sum(call.reasoning_tokens for call in calls),
        cost_micros=_known_cost(calls),
        cost_complete=_is_complete(calls),
        truncated=any(call.finish_reason == CUT_BY_LENGTH for call in calls),
        call_count=len(calls),
        model_breakdown={share.model: share for share in shares(calls)},
        usage_day=now.astimezone(UTC).date(),
        created_datetime=now,
    )


def shares(calls: Iterable[ModelCall]) -> list[ModelShare]:
    """Each model's part, under the name that it was reported by, in the order of their first calls."""
    by_model: dict[str, list[ModelCall]] = {}
    for call in calls:
        by_model.setdefault(call.model, []).append(call)
    return [_share(model, own) for model, own in by_model.items()]


def _share(model: str, calls: Sequence[ModelCall]) -> ModelShare:
    names: dict[str, Any] = {
        name: next((getattr(call, name) for call in calls if getattr(call, name)), None) for name in _NAMES
    }
    return ModelShare(
        model=model,
        **names,
        **_sums(calls),
        cost_micros=_known_cost(calls),
        cost_complete=_is_complete(calls),
        calls=len(calls),
    )


def _sums(calls: Sequence[ModelCall]) -> dict[str, Any]:
    return {name: sum(getattr(call, name) for call in calls) for name in _SUMMED}


def _known_cost(calls: Sequence[ModelCall]) -> int | None:
    known = [call.cost_micros for call in calls if call.cost_micros is not None]
    return sum(known) if known else None


def _is_complete(calls: Sequence[ModelCall]) -> bool:
    return all(call.cost_micros is not None for call in calls)
