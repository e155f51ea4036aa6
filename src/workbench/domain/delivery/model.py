"""How far an assistant has been told of a conversation, and what to do when telling fails."""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from workbench.domain.errors import UpstreamError
from workbench.domain.events.model import ASSISTANT_TYPES, Event

DeliveryState = Literal["joining", "live", "rejoining", "leaving"]
"""`joining`: a request is connecting it. `live`: events flow. `rejoining`: its service forgot the conversation and
is told of it anew. `leaving`: it is still to be told that it is out."""

WORTH_REPEATING = frozenset({404, 408, 409, 425, 429})
"""The 4xx that say nothing against the event itself; after a 404 the assistant is first joined anew."""


class DeliveryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how often to try; seconds, but for the age."""

    first_retry_seconds: float = 1.0
    max_retry_seconds: float = 300.0
    give_up_after_hours: float = 24.0
    timeout_seconds: float = 15.0

    def pause(self, attempts: int, luck: float) -> float:
        """Seconds until the next try after so many failed ones; `luck` in [0, 1) spreads them over the upper half."""
        whole = min(self.max_retry_seconds, self.first_retry_seconds * 2 ** min(attempts - 1, 30))
        return whole * (0.5 + luck / 2)

    def gives_up(self, event_time: datetime, now: datetime) -> bool:
        """Whether the event has waited too long."""
        return now - event_time > timedelta(hours=self.give_up_after_hours)


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One assistant's place in one conversation: everything up to `position` has been brought or set aside."""

    workspace_id: str
    assistant_id: UUID
    conversation_id: UUID
    state: DeliveryState
    position: int
    attempts: int
    retry_at: datetime | None

    @property
    def key(self) -> tuple[UUID, UUID]:
        """What tells this delivery from others."""
        return self.assistant_id, self.conversation_id


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An event that could not be brought, with the envelope as it would have been sent."""

    id: UUID
    assistant_id: UUID
    conversation_id: UUID
    position: int
    event_id: str
    event_type: str
    envelope: str
    reason: str
    failed_datetime: datetime


class DeliveryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far an assistant is in one conversation: what is behind it waits, for so many events and seconds."""

    assistant_id: UUID
    conversation_id: UUID
    state: DeliveryState
    position: int
    head: int
    oldest_waiting: datetime | None
    attempts: int
    retry_at: datetime | None
    last_error: str | None

    @property
    def lag_events(self) -> int:
        """How many events have not been brought yet, those included that are not for assistants."""
        return max(self.head - self.position, 0)

    def lag_seconds(self, now: datetime) -> float:
        """How long the oldest of them has waited; 0 where none waits."""
        if not self.lag_events or self.oldest_waiting is None:
            return 0.0
        return max((now - self.oldest_waiting).total_seconds(), 0.0)


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for all assistants together, and since when; and what was set aside."""

    lag_events: int
    oldest_waiting: datetime | None
    dead_letters: int


def is_for_assistants(event: Event) -> bool:
    """Whether assistants are told of the event at all."""
    return event.audience == "everyone" and event.type in ASSISTANT_TYPES


def is_refusal(error: UpstreamError) -> bool:
    """Whether the service answered that it does not want this event, now or later."""
    status = error.status
    return status is not None and 400 <= status < 500 and status not in WORTH_REPEATING  # noqa: PLR2004


def envelope(event: Event) -> bytes:
    """The contract's envelope (section 4.2): the event's own JSON set into its head."""
    head = msgspec.json.encode(
        {
            "id": event.id,
            "correlation_id": event.correlation_id,
            "conversation_id": event.conversation_id,
            "event": event.type,
            "timestamp": event.timestamp,
        }
    )
    return head[:-1] + b',"data":' + event.data.encode("ascii") + b"}"
