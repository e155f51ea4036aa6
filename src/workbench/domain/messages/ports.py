"""What messages need to have stored."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from workbench.domain.events.ports import EventRecorder
from workbench.domain.jobs.ports import Jobs
from workbench.domain.messages.model import Message, MessageQuery, MessageType, PendingAnswer, StoredMessage
from workbench.domain.participants.ports import Participants
from workbench.domain.parts.model import Parts, Slot


class Messages(Protocol):
    """The messages of one workspace."""

    async def find(self, message_id: UUID) -> StoredMessage | None:
        """The message, whatever its conversation."""
        ...

    async def page(self, conversation_id: UUID, query: MessageQuery) -> list[Message]:
        """The messages asked for, in the order in which they were committed."""
        ...

    async def containing(self, conversation_id: UUID, words: Sequence[str], limit: int) -> list[Message]:
        """Those of the newest `SEARCHED` that contain each of the words, whatever their case, the newest first."""
        ...

    async def latest_of_each(
        self, conversation_ids: Sequence[UUID], message_types: Sequence[MessageType]
    ) -> dict[UUID, Message]:
        """The newest message of those types in each conversation that has one, in one statement."""
        ...

    def add(self, stored: StoredMessage) -> None:
        """Append to the conversation; its place there is given at commit."""
        ...

    def remove(self, message_id: UUID) -> None:
        """Forget the message and its debug data; stale where it is gone already."""
        ...


class UntitledConversations(Protocol):
    """The conversations of one workspace, as far as a message may lead to a title."""

    async def may_be_titled(self, conversation_id: UUID) -> bool:
        """Whether a model may choose the conversation's title. Raises NotFoundError."""
        ...


class TurnSlots(Protocol):
    """Which messages are the question and the answer of a turn."""

    async def slot(self, conversation_id: UUID, turn_id: str, slot: Slot) -> UUID | None:
        """The message that has a slot of a turn, published or not; None while nobody has it."""
        ...

    async def pending(self, conversation_id: UUID, message_id: UUID) -> PendingAnswer | None:
        """Whose answer a message is to be, while it is made; None for any other message."""
        ...

    async def parts_of(self, message_ids: Sequence[UUID]) -> dict[UUID, Parts]:
        """The parts of those messages that have any."""
        ...

    def reserve(self, conversation_id: UUID, turn_id: str, slot: Slot, message_id: UUID) -> None:
        """Give a slot to a message; stale where it is taken."""
        ...


class Overheard(Protocol):
    """Where what people say is found again, if it is said in the course of something that is searched."""

    async def said(self, stored: StoredMessage) -> None:
        """Note a message that this block adds."""
        ...

    async def taken_back(self, stored: StoredMessage) -> None:
        """Forget one that it removes."""
        ...


class MessageTx(Protocol):
    """The slice of a transaction that messages may touch."""

    @property
    def participants(self) -> Participants: ...
    @property
    def messages(self) -> Messages: ...
    @property
    def turn_slots(self) -> TurnSlots: ...
    @property
    def overheard(self) -> Overheard: ...
    @property
    def untitled(self) -> UntitledConversations: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def events(self) -> EventRecorder: ...
