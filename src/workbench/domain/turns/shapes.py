"""What callers send and are told of turns, as it stands on the wire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from workbench.domain.budgets.model import Standing
from workbench.domain.messages.model import MAX_FILENAMES, Message
from workbench.domain.parts.model import Parts, Warned
from workbench.domain.turns.model import (
    FinishReason,
    Outcome,
    Turn,
    TurnError,
    TurnStatus,
    UsageState,
)
from workbench.domain.usage.model import ReportedUsage, UsageSummary

ProducerId = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Seconds = Annotated[int, msgspec.Meta(ge=10, le=600)]
DEFAULT_LEASE_SECONDS = 60
MAX_BATCH_EVENTS = 256


class TurnInput(msgspec.Struct, frozen=True, kw_only=True):
    """What the turn answers: exactly one of `content`, `parts` and `message_id`."""

    content: str | None = None
    parts: Parts | None = None
    message_id: UUID | None = None
    images: list[dict[str, Any]] = []
    mentioned_documents: Any = None
    filenames: Annotated[list[str], msgspec.Meta(max_length=MAX_FILENAMES)] = []
    metadata: dict[str, Any] = {}


class TurnOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How it is run."""

    on_busy: Literal["reject", "cancel_active"] = "reject"
    on_disconnect: Literal["continue", "cancel"] = "continue"
    model: str | None = None
    max_output_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None


class NewProducer(msgspec.Struct, frozen=True, kw_only=True):
    """Who makes the answer, where that is the caller: it has the turn from the first moment."""

    producer_id: ProducerId
    lease_s: Seconds = DEFAULT_LEASE_SECONDS


class NewTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn to be opened; the id is the client's own, so that asking twice is safe."""

    turn_id: str
    assistant_id: UUID
    input: TurnInput
    options: TurnOptions | None = None
    parent_turn_id: str | None = None
    producer: NewProducer | None = None


class LeaseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A producer asks for a turn, or to keep it. `continue` goes on behind what an earlier one made."""

    producer_id: ProducerId
    ttl_s: Seconds = DEFAULT_LEASE_SECONDS
    mode: Literal["reset", "continue"] = "reset"


class LeaseGrant(msgspec.Struct, frozen=True, kw_only=True):
    """The producer has it until then; `parts` are what was made so far, if it goes on from there."""

    epoch: int
    lease_expires_at: datetime
    next_batch: int
    parts: Parts


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What a producer made; batches of an epoch are numbered from 1."""

    epoch: int
    batch: Annotated[int, msgspec.Meta(ge=1)]
    events: Annotated[list[dict[str, Any]], msgspec.Meta(max_length=MAX_BATCH_EVENTS)]


class BatchTaken(msgspec.Struct, frozen=True, kw_only=True):
    """How the turn stands after a batch."""

    accepted: int
    duplicate: bool
    last_seq: int
    next_batch: int
    cancel_requested: bool
    lease_expires_at: datetime | None


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a producer says that a turn ended; without `parts` it is what was streamed."""

    epoch: int
    outcome: Outcome
    finish_reason: FinishReason | None = None
    parts: Parts | None = None
    revision: Annotated[int, msgspec.Meta(ge=0)] | None = None
    content_type: Annotated[str, msgspec.Meta(max_length=255)] = "text/plain"
    usage: ReportedUsage | None = None
    error: TurnError | None = None
    metadata: dict[str, Any] = {}
    debug_data: dict[str, Any] = {}


class FinalizeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: whether the content was new, and what became of the usage."""

    content: Literal["written", "amended", "kept", "message_missing"]
    usage: Literal["inserted", "upgraded", "kept_existing", "none", "deferred"]
    first: bool
    warnings: list[Warned] = []


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """Where to go on."""

    stream: str


class TurnView(msgspec.Struct, frozen=True, kw_only=True):
    """A turn as participants see it."""

    turn_id: str
    conversation_id: UUID
    assistant_id: UUID
    status: TurnStatus
    finish_reason: FinishReason | None
    epoch: int
    last_seq: int
    input_message_id: UUID | None
    output_message_id: UUID
    parent_turn_id: str | None
    cancel_requested: bool
    error: TurnError | None
    usage_state: UsageState
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    links: Links
    parts: Parts | None = None
    usage: UsageSummary | None = None

    @classmethod
    def of(cls, turn: Turn, parts: Parts | None = None, usage: UsageSummary | None = None) -> "TurnView":
        """Show a turn, with its parts where they were asked for."""
        same = {name: getattr(turn, name) for name in cls.__struct_fields__ if name in Turn.__struct_fields__}
        stream = f"/conversations/{turn.conversation_id}/turns/{turn.turn_id}/stream"
        return cls(
            **same,
            cancel_requested=turn.cancel_requested_at is not None,
            error=turn.error,
            links=Links(stream=stream),
            parts=parts,
            usage=usage,
        )


class TurnUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn took; null where it is not settled, or there was nothing."""

    turn_id: str
    usage_state: UsageState
    usage: UsageSummary | None


class TurnList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list."""

    turns: list[TurnView]


class TurnMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a turn: published, or still to be."""

    id: UUID
    content: str
    parts: Parts
    message: Message | None = None


class OpenedTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that is open, or was already."""

    turn: TurnView
    input_message: TurnMessage | None
    output_message: TurnMessage
    lease: LeaseGrant | None
    warnings: list[Warned]
    replayed: bool
    budgets: Sequence[Standing] | msgspec.UnsetType = msgspec.UNSET
    """How the limits stand that hold for it, itself included; left out where there are none."""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What a producer is told when it has ended a turn."""

    turn: TurnView
    report: FinalizeReport


class CancelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Why a turn shall end."""

    reason: Annotated[str, msgspec.Meta(max_length=1024)] | None = None


class Cancelled(msgspec.Struct, frozen=True, kw_only=True):
    """Whether there was something to cancel."""

    cancelled: bool
    turn: TurnView
