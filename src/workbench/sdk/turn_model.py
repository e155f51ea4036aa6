"""Turns as they travel between the workbench and its callers; as in `model`, absent means default."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from workbench.sdk.model import Json

ENDINGS = frozenset({"turn.finalized", "turn.aborted", "turn.failed"})


class TurnInput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked: exactly one of `content`, `parts` and `message_id`, the last being a message that is there.

    Each of `images` has a `media_type` and `data` in base64.
    """

    content: str | None = None
    parts: list[Json] | None = None
    message_id: UUID | None = None
    images: list[Json] = []
    mentioned_documents: list[Json] = []
    filenames: list[str] = []
    metadata: Json = {}


class TurnOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a turn is run; `cancel_active` cancels the one under way, where it is the caller's."""

    on_busy: str = "reject"
    model: str | None = None
    max_output_tokens: int | None = None


class TurnError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a turn failed, in words that are safe to show."""

    code: str
    message: str
    retryable: bool = False


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One question and one answer. `status` is opened, streaming, finalized, aborted or failed."""

    turn_id: str
    conversation_id: UUID
    assistant_id: UUID
    status: str
    output_message_id: UUID
    created_at: datetime
    epoch: int = 0
    last_seq: int = 0
    input_message_id: UUID | None = None
    parent_turn_id: str | None = None
    finish_reason: str | None = None
    cancel_requested: bool = False
    error: TurnError | None = None
    usage_state: str = "none"
    usage: Json | None = None
    parts: list[Json] | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class LeaseGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A turn is the caller's to make; `parts` are what an earlier producer made, for one who goes on from there."""

    epoch: int
    next_batch: int
    parts: list[Json] = []


class OpenedTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that is open, or, `replayed`, was already. `warnings` name what was left out of the question."""

    turn: Turn
    replayed: bool
    lease: LeaseGrant | None = None
    warnings: list[Json] = []


class ModelCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one call of a model took. An id tells it from others of its turn; without one it gets one.

    `prompt_tokens` count cached ones too, `completion_tokens` those of reasoning. `cost_usd` is what the provider
    charged; without it the workbench goes by its price table.
    """

    model: str
    call_id: str = ""
    provider: str | None = None
    display_name: str | None = None
    call_kind: str = "chat"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int | None = None
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: Decimal | None = None
    finish_reason: str | None = None
    max_output_tokens: int | None = None
    latency_ms: int | None = None


class TurnEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in a turn; `id` is its place there, `data` all that is told of it."""

    id: str
    event: str
    data: Json

    @property
    def text(self) -> str:
        """What this adds to the text of the answer; empty for all but a `text.delta`."""
        return self.data["delta"] if self.event == "text.delta" else ""

    @property
    def is_ending(self) -> bool:
        """Whether nothing comes behind it; then `data` has the `finish_reason`, the `parts` and the `error`."""
        return self.event in ENDINGS
