"""A turn as it is kept, and every change that its rules allow (specification of turns, 2).

A change makes a new value; storing it is refused where somebody else stored another change since this one was read. So
each rule is decided on what is true, and is written once.
"""

from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec

from workbench.domain.parts.model import Slot

TurnStatus = Literal["opened", "streaming", "finalized", "aborted", "failed"]
Outcome = Literal["completed", "aborted", "failed"]
ProducerKind = Literal["builtin", "external", "legacy_external"]
FinishReason = Literal[
    "stop",
    "length",
    "content_filter",
    "tool_calls",
    "awaiting_input",
    "cancelled",
    "error",
    "producer_lost",
    "deadline",
    "shutdown",
    "legacy",
]
UsageState = Literal["none", "pending", "provisional", "recorded"]

ACTIVE: frozenset[TurnStatus] = frozenset({"opened", "streaming"})
RECOVERABLE: frozenset[FinishReason] = frozenset({"producer_lost", "shutdown"})
ENDED_AS: dict[Outcome, TurnStatus] = {"completed": "finalized", "aborted": "aborted", "failed": "failed"}
USUAL_REASON: dict[Outcome, FinishReason] = {"completed": "stop", "aborted": "cancelled", "failed": "error"}

DEADLINE = timedelta(seconds=1800)
"""However it is made, a turn is over after so long."""
CANCEL_GRACE = timedelta(seconds=10)
"""How long a producer may take to end a turn that was cancelled, before it is ended without it."""
LEASE_GRACE = timedelta(seconds=15)
CLAIM_TIMEOUT = timedelta(seconds=120)
"""How long an assistant service may take to claim a turn that was opened for it."""
UNWATCHED = timedelta(seconds=30)
"""How long after its last watcher has left a turn goes on that is to end then."""
UNSTARTED = timedelta(seconds=15)
"""After so long a turn of our own that nobody runs is run by whoever sees it."""
LONG_LOG_EVENTS, LONG_LOG_BYTES = 20_000, 8 << 20
"""A log above either is shortened: what happened first is folded into one (4.1)."""
FULL_LOG_EVENTS, FULL_LOG_BYTES = 2 * LONG_LOG_EVENTS, 2 * LONG_LOG_BYTES
"""Above either a producer has to wait until that is done."""
MAX_TOLD_BYTES = 64 << 20
"""More than that is taken for no turn, however it is folded."""
FIRST_RETRY_MS, LAST_RETRY_MS = 200, 1500


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Who makes the answer now. `epoch` counts the producers; what an earlier one sends is refused."""

    producer_id: str
    epoch: int
    expires_at: datetime


class TurnError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a turn failed, in words that are safe to show."""

    code: str
    message: str
    retryable: bool = False


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn. `version` counts the changes that were stored.

    `read_at` is when it was read, by the clock that all processes share. By this clock alone is decided, and stored, until
    when something holds: the clocks of processes need not agree.
    """

    pk: UUID
    conversation_id: UUID
    turn_id: str
    assistant_id: UUID
    initiator_role: str
    initiator_id: str
    user_id: str | None
    assistant_service_id: str | None
    parent_turn_id: str | None
    producer_kind: ProducerKind
    input_message_id: UUID | None
    output_message_id: UUID
    input_hash: str
    options: dict[str, Any]
    deadline_at: datetime
    created_at: datetime
    read_at: datetime
    status: TurnStatus = "opened"
    finish_reason: FinishReason | None = None
    error_code: str | None = None
    error_message: str | None = None
    error_detail: str | None = None
    epoch: int = 0
    producer_id: str | None = None
    lease_expires_at: datetime | None = None
    lease_seconds: int = 0
    last_seq: int = 0
    last_batch: int = 0
    log_floor: int = 0
    """What happened up to here is no longer told event by event."""
    log_bytes: int = 0
    """How much was told of it in all."""
    folded_bytes: int = 0
    """How much of that lies below the floor."""
    is_published: bool = False
    """Whether the output has its place in the conversation."""
    revision: int = 0
    """The revision that the producer gave the content, where it gave one."""
    cancel_requested_at: datetime | None = None
    cancel_requested_by: str | None = None
    cancel_count: int = 0
    usage_state: UsageState = "none"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    watched_until: datetime | None = None
    """Of a turn that is to end when nobody watches it: when that will be, unless a watcher is noted before."""
    is_budgeted: bool = False
    """Whether something was reserved for it, which is released when its usage is settled."""
    version: int = 0

    @property
    def is_active(self) -> bool:
        """Whether it is not over yet."""
        return self.status in ACTIVE

    @property
    def can_be_healed(self) -> bool:
        """Whether its producer, coming back late, may still say how it ended."""
        return self.status == "failed" and self.finish_reason in RECOVERABLE

    @property
    def can_be_retried(self) -> bool:
        """Whether it may be run once more: a bill that is settled is not opened again."""
        return self.can_be_healed and self.usage_state != "recorded"

    @property
    def ends_unwatched(self) -> bool:
        """Whether its end is asked for when nobody watches it any more (T6)."""
        return self.options.get("on_disconnect") == "cancel"

    @property
    def is_log_long(self) -> bool:
        """Whether its log is to be shortened."""
        return self._is_log_above(LONG_LOG_EVENTS, LONG_LOG_BYTES)

    @property
    def is_log_full(self) -> bool:
        """Whether its log takes nothing until it is shortened."""
        return self._is_log_above(FULL_LOG_EVENTS, FULL_LOG_BYTES)

    @property
    def has_told_too_much(self) -> bool:
        """Whether it takes nothing any more."""
        return self.log_bytes > MAX_TOLD_BYTES

    def _is_log_above(self, events: int, size: int) -> bool:
        return self.last_seq - self.log_floor > events or self.log_bytes - self.folded_bytes > size

    @property
    def lease(self) -> Lease | None:
        """Who holds it, if it was claimed."""
        if self.producer_id is None or self.lease_expires_at is None:
            return None
        return Lease(producer_id=self.producer_id, epoch=self.epoch, expires_at=self.lease_expires_at)

    @property
    def error(self) -> TurnError | None:
        """What participants may know of its failure."""
        if self.error_code is None:
            return None
        return TurnError(
            code=self.error_code, message=self.error_message or "", retryable=self.finish_reason in RECOVERABLE
        )

    @property
    def retry_after_ms(self) -> int | None:
        """When it is worth asking again; known only while the turn is being cancelled (6)."""
        if not self.is_active or not self.cancel_count:
            return None
        return min(LAST_RETRY_MS, FIRST_RETRY_MS << min(self.cancel_count - 1, 8))

    def told_in(self, slot: Slot) -> dict[str, Any]:
        """What the metadata of its messages say of it (3.3)."""
        return {
            "turn_id": self.turn_id,
            "slot": slot,
            "status": self.status,
            "finish_reason": self.finish_reason,
        }

    def is_held(self, now: datetime) -> bool:
        """Whether a producer has it, and is heard of."""
        return self.is_active and self.lease_expires_at is not None and self.lease_expires_at > now

    def awaits(self, epoch: int, batch: int) -> bool:
        """Whether this batch of its producer's is the next one."""
        return self.is_active and (epoch, batch) == (self.epoch, self.last_batch + 1)

    def claimed(self, producer_id: str, ttl: timedelta, now: datetime) -> "Turn":
        """Give it to a producer, the next epoch. What an earlier one had of it is fenced off from here on."""
        return msgspec.structs.replace(
            self,
            status="streaming",
            epoch=self.epoch + 1,
            producer_id=producer_id,
            lease_expires_at=now + ttl,
            lease_seconds=int(ttl.total_seconds()),
            last_batch=0,
            started_at=self.started_at or now,
        )

    def renewed(self, now: datetime, ttl: timedelta | None = None) -> "Turn":
        """Prolong the lease, by as much as it was given for, or from now on by another time."""
        seconds = self.lease_seconds if ttl is None else int(ttl.total_seconds())
        return msgspec.structs.replace(self, lease_expires_at=now + timedelta(seconds=seconds), lease_seconds=seconds)

    def cancelled_by(self, who: str, now: datetime) -> "Turn":
        """Ask for its end; a turn that nobody has begun is over at once by the caller's hand (2)."""
        return msgspec.structs.replace(
            self,
            cancel_requested_at=self.cancel_requested_at or now,
            cancel_requested_by=self.cancel_requested_by or who,
            cancel_count=self.cancel_count + 1,
        )

    def ended(
        self, outcome: Outcome, reason: FinishReason | None, now: datetime, error: TurnError | None = None
    ) -> "Turn":
        """End it. Raises ValueError for a turn that may not end so any more."""
        if not (self.is_active or self.can_be_healed):
            raise ValueError(self.status)
        return msgspec.structs.replace(
            self,
            status=ENDED_AS[outcome],
            finish_reason=reason or USUAL_REASON[outcome],
            error_code=error.code if error else None,
            error_message=error.message if error else None,
            lease_expires_at=None,
            finished_at=now,
        )

    def reopened(self, now: datetime) -> "Turn":
        """Open it once more under the same id; the next claim is the next epoch."""
        return msgspec.structs.replace(
            self,
            status="opened",
            finish_reason=None,
            error_code=None,
            error_message=None,
            error_detail=None,
            producer_id=None,
            lease_expires_at=None,
            cancel_requested_at=None,
            cancel_requested_by=None,
            finished_at=None,
            deadline_at=now + DEADLINE,
        )

    def is_abandoned(self, now: datetime) -> bool:
        """Whether its watchers have left it for so long that its end is to be asked for."""
        left = self.watched_until is not None and self.watched_until < now
        return left and self.is_active and self.cancel_requested_at is None

    def overdue(self, now: datetime) -> tuple[Outcome, FinishReason] | None:
        """How it is to be ended without its producer, if it is (2.2)."""
        if not self.is_active:
            return None
        if self.cancel_requested_at is not None and now > self.cancel_requested_at + CANCEL_GRACE:
            return "aborted", "cancelled"
        if now > self.deadline_at:
            return "failed", "deadline"
        lost = self.lease_expires_at is not None and now > self.lease_expires_at + LEASE_GRACE
        unclaimed = self.producer_kind == "external" and not self.epoch and now > self.created_at + CLAIM_TIMEOUT
        return ("failed", "producer_lost") if lost or unclaimed else None


class TurnEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in a turn. `seq` counts from 1 without gaps; `data` is its whole payload, encoded once."""

    seq: int
    epoch: int
    type: str
    at: datetime
    data: str
    is_superseded: bool = False
    """Whether a later ending replaced this one: replays leave it out (T9)."""


class LogSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What everything up to a place in the log comes to: the payload of a `turn.snapshot`."""

    up_to_seq: int
    state: dict[str, Any]


class GoneTurn(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a turn whose conversation was deleted while it was made: enough to tell its producer, and to bill."""

    workspace_id: str
    pk: UUID
    conversation_id: UUID
    turn_id: str
    assistant_id: UUID
    assistant_service_id: str | None
    user_id: str | None


TERMINAL = {"finalized": "turn.finalized", "aborted": "turn.aborted", "failed": "turn.failed"}
TERMINAL_TYPES = frozenset(TERMINAL.values())


def logged(turn: Turn, happened: list[tuple[str, dict[str, Any]]], now: datetime) -> tuple[Turn, list[TurnEvent]]:
    """Number what happened, and count it in the turn."""
    events: list[TurnEvent] = []
    size = 0
    for seq, (kind, payload) in enumerate(happened, turn.last_seq + 1):
        common = {"turn_id": turn.turn_id, "seq": seq, "epoch": turn.epoch, "at": now}
        data = msgspec.json.encode({**common, **payload})
        size += len(data)
        events.append(TurnEvent(seq=seq, epoch=turn.epoch, type=kind, at=now, data=data.decode()))
    changed = msgspec.structs.replace(turn, last_seq=turn.last_seq + len(events), log_bytes=turn.log_bytes + size)
    return changed, events
