"""What delivery needs to have stored."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

import msgspec

from workbench.domain.assistant_services.model import AssistantAddress
from workbench.domain.delivery.model import Backlog, DeadLetter, Delivery, DeliveryState, DeliveryStatus
from workbench.domain.events.ports import EventLog
from workbench.domain.paging import MAX_PAGE, Cursor


class LetterFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters: an assistant's or everybody's, and where in the list the page begins."""

    assistant_id: UUID | None = None
    limit: int = MAX_PAGE
    behind: Cursor | None = None


class Deliveries(Protocol):
    """The deliveries of one workspace: who is told of what, and how far they are."""

    async def find(self, assistant_id: UUID, conversation_id: UUID) -> Delivery | None:
        """How far the assistant is in the conversation, if it is told of it at all."""
        ...

    def begin(self, assistant_id: UUID, conversation_id: UUID, position: int) -> None:
        """Hold events behind the position for an assistant that is about to join."""
        ...

    def introduce(self, assistant_id: UUID, conversation_id: UUID, not_before: datetime) -> None:
        """Hold all events for an assistant that is still to be told of the conversation; delivery does so from then on."""
        ...

    def connect(self, assistant_id: UUID, conversation_id: UUID) -> None:
        """Let the held events flow, unless the assistant has left meanwhile."""
        ...

    def cancel(self, assistant_id: UUID, conversation_id: UUID) -> None:
        """Forget the delivery without telling the assistant."""
        ...

    def end(self, assistant_id: UUID, conversation_id: UUID) -> None:
        """Stop bringing events; the assistant is to be told that it left."""
        ...

    def end_all(self, conversation_id: UUID) -> None:
        """`end` for every assistant of the conversation."""
        ...

    def advance(self, delivery: Delivery, position: int) -> None:
        """Everything up to the position is done."""
        ...

    def fail(self, delivery: Delivery, retry_at: datetime, error: str) -> None:
        """A try failed; the next is not before that time."""
        ...

    def hold(self, delivery: Delivery, retry_at: datetime, reason: str) -> None:
        """Nothing was tried, and nothing will be before that time."""
        ...

    def rejoin(self, delivery: Delivery) -> None:
        """The service does not know the conversation any more: tell it before the next event."""
        ...

    def finish(self, delivery: Delivery) -> None:
        """Forget a delivery that has said its farewell, unless the assistant joined again meanwhile."""
        ...

    def set_aside(self, letter: DeadLetter) -> None:
        """Keep an event that could not be brought."""
        ...

    async def statuses(self, assistant_id: UUID | None, limit: int) -> Sequence[DeliveryStatus]:
        """How far the assistant is in its conversations, or all assistants are; those furthest behind first."""
        ...

    async def letters(self, wanted: LetterFilter) -> Sequence[DeadLetter]:
        """The dead letters that the filter wants, newest first."""
        ...

    async def letter(self, letter_id: UUID) -> DeadLetter | None:
        """One dead letter."""
        ...

    async def count_letters(self, assistant_id: UUID) -> int:
        """How many dead letters the assistant has."""
        ...

    def drop(self, letter_id: UUID) -> None:
        """Forget a dead letter."""
        ...


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an event is brought to, with what is needed to introduce them anew, and how their delivery stands."""

    address: AssistantAddress
    assistant_name: str
    template_id: str
    conversation_title: str
    state: DeliveryState | None = None


class Recipients(Protocol):
    """The assistants of one workspace, as delivery sees them."""

    async def recipient(self, assistant_id: UUID, conversation_id: UUID) -> Recipient | None:
        """How the assistant is reached; None where it, or its service's address, is not known."""
        ...


class DeliveryTx(Protocol):
    """The slice of a transaction that delivery may touch."""

    @property
    def deliveries(self) -> Deliveries: ...
    @property
    def recipients(self) -> Recipients: ...
    @property
    def events(self) -> EventLog: ...


DeliveryOutcome = Literal["delivered", "failed", "set_aside"]


class DeliveryMeter(Protocol):
    """Where calls are counted."""

    def attempted(self, outcome: DeliveryOutcome) -> None:
        """Count a call that was to bring an event."""
        ...


class DeliveryQueue(Protocol):
    """What waits to be delivered, across workspaces."""

    async def backlog(self) -> Backlog:
        """How much waits."""
        ...

    async def waiting(self, conversation_ids: Collection[UUID] | None, limit: int) -> Sequence[Delivery]:
        """Deliveries with something to do, of these conversations or of all; those that waited longest first."""
        ...
