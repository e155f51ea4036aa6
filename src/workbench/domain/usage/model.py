"""A model call, as it is reported and as the ledger keeps it, and the bill that sums a turn's calls up.

Money is whole micro-USD: a million of them are a dollar. An unknown cost is null, which is not zero.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

MAX_TOKENS = 10**12
MAX_COST_USD = 10**6
MAX_COST_DECIMALS = 30
MAX_REPORTED_CALLS = 1000
MAX_NAME_LENGTH = 255
CHAT = "chat"
IMAGE_GENERATION = "image_generation"
TOTAL = "total"
UNKNOWN_MODEL = "unknown"
CUT_BY_LENGTH = "length"

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_TOKENS)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
ShortName = Annotated[str, msgspec.Meta(min_length=1, max_length=50)]

CostSource = Literal["provider", "computed", "unknown"]
UsageSource = Literal["server", "external", "legacy", "recovery"]
"""Who gave the figures: a producer of our own, one elsewhere, a plain message, or the ledger after a crash."""


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """What a producer says of tokens and cost. `cost_usd` is what the provider charged, exactly, where it says so.

    `prompt_tokens` count cached ones too, `completion_tokens` those of reasoning. Image models name them
    `input_tokens` and `output_tokens`. `max_output_tokens` is the most that the call was allowed to answer.
    """

    model: Name = UNKNOWN_MODEL
    model_ref: Name | None = None
    model_id: Name | None = None
    display_name: Name | None = None
    provider: Name | None = None
    call_kind: ShortName = CHAT
    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    total_tokens: Count | None = None
    cached_tokens: Count = 0
    cache_write_tokens: Count = 0
    reasoning_tokens: Count = 0
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cost_usd: Decimal | None = None
    finish_reason: ShortName | None = None
    max_output_tokens: Count | None = None
    latency_ms: Count | None = None

    def __post_init__(self) -> None:
        """Refuse a cost that is none: infinite, negative, or written with more digits than any price has."""
        if self.cost_usd is None:
            return
        exponent = self.cost_usd.as_tuple().exponent
        if not isinstance(exponent, int) or exponent < -MAX_COST_DECIMALS or not 0 <= self.cost_usd <= MAX_COST_USD:
            raise ValueError(
                f"cost_usd must be from 0 to {MAX_COST_USD}, with at most {MAX_COST_DECIMALS} decimal places"
            )

    @property
    def prompt(self) -> int:
        """What the model was given."""
        return self.input_tokens or 0 if self._counts_images else self.prompt_tokens

    @property
    def completion(self) -> int:
        """What it answered."""
        return self.output_tokens or 0 if self._counts_images else self.completion_tokens

    @property
    def _counts_images(self) -> bool:
        return self.call_kind == IMAGE_GENERATION and (self.input_tokens is not None or self.output_tokens is not None)


class ReportedCall(Reported, frozen=True, kw_only=True):
    """One call of a model; `call_id` tells it from others of its turn, however often it is reported."""

    call_id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class ReportedUsage(Reported, frozen=True, kw_only=True):
    """What a producer says at the end of a turn: each call, or, without `calls`, the totals alone."""

    calls: Annotated[list[ReportedCall], msgspec.Meta(max_length=MAX_REPORTED_CALLS)] | None = None

    @property
    def all_calls(self) -> Sequence[ReportedCall]:
        """The calls; totals alone count as one, called `total`."""
        if self.calls is not None:
            return self.calls
        totals = {name: getattr(self, name) for name in Reported.__struct_fields__}
        return [ReportedCall(call_id=TOTAL, **totals)]


class CallWarning(msgspec.Struct, frozen=True, kw_only=True):
    """A reported call that was left out, and why."""

    path: str
    detail: str
    code: Literal["call_skipped"] = "call_skipped"


class ModelCall(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the ledger. `late` says that it came when the turn's bill was written already."""

    turn_pk: UUID | None
    call_id: str
    epoch: int
    model: str
    model_ref: str | None
    model_id: str | None
    display_name: str | None
    provider: str | None
    call_kind: str
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_micros: int | None
    cost_source: CostSource
    finish_reason: str | None
    latency_ms: int | None
    created_datetime: datetime
    late: bool = False


class ModelShare(msgspec.Struct, frozen=True, kw_only=True):
    """One model's part of a bill."""

    model: str
    model_ref: str | None
    model_id: str | None
    display_name: str | None
    provider: str | None
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int
    cost_micros: int | None
    cost_complete: bool
    calls: int


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """For what, and to whom. `user_id` pays; where there is none, `metadata` names the conversation's owner.

    `provisional` figures give way to a producer's own. `generations` says how many of those that sessions are limited to
    it counts for.
    """

    source: UsageSource
    provisional: bool
    conversation_id: UUID | None
    user_id: str | None
    turn_pk: UUID | None = None
    message_id: UUID | None = None
    assistant_id: UUID | None = None
    assistant_service_id: str | None = None
    usage_type: ShortName = CHAT
    generations: int = 0
    metadata: dict[str, Any] = {}


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one turn, or another use of models, took. `cost_micros` is the sum of the costs that are known.

    `message_id` is null once the message is gone; the row stays.
    """

    id: UUID
    workspace_id: str
    usage_type: str
    turn_pk: UUID | None
    message_id: UUID | None
    conversation_id: UUID | None
    user_id: str | None
    assistant_id: UUID | None
    assistant_service_id: str | None
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cost_micros: int | None
    cost_complete: bool
    truncated: bool
    call_count: int
    model_breakdown: dict[str, ModelShare]
    provisional: bool
    source: UsageSource
    usage_day: date
    created_datetime: datetime
    generations: int
    metadata: dict[str, Any]


SettleOutcome = Literal["inserted", "upgraded", "kept_existing", "none"]


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """How a bill was settled: the row that holds, and the one that was refused for it. `none`: no call was made."""

    outcome: SettleOutcome
    row: UsageRow | None = None
    refused: UsageRow | None = None


class UsageSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader of a turn is told of its usage; the cost only where they may see it."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    truncated: bool
    calls: int
    cost_micros: int | msgspec.UnsetType | None = msgspec.UNSET
    cost_complete: bool | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(cls, row: UsageRow, *, with_cost: bool) -> "UsageSummary":
        """Shorten a row."""
        return cls(
            prompt_tokens=row.prompt_tokens,
            completion_tokens=row.completion_tokens,
            total_tokens=row.total_tokens,
            cached_tokens=row.cached_tokens,
            reasoning_tokens=row.reasoning_tokens,
            truncated=row.truncated,
            calls=row.call_count,
            cost_micros=row.cost_micros if with_cost else msgspec.UNSET,
            cost_complete=row.cost_complete if with_cost else msgspec.UNSET,
        )
