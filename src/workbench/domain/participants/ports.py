"""What participants need to have stored."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from workbench.domain.delivery.ports import Deliveries
from workbench.domain.events.ports import EventRecorder
from workbench.domain.identity.model import Principal
from workbench.domain.participants.model import Participant, Seat
from workbench.domain.users.ports import UserTx


class Participants(Protocol):
    """The participants of one workspace's conversations."""

    async def seat(self, conversation_id: UUID, principal: Principal) -> Seat:
        """The caller's seat. Raises NotFoundError where they have none, whether or not the conversation exists."""
        ...

    async def expect_writer(self, conversation_id: UUID, principal: Principal, *, anew: bool) -> None:
        """Have what this block stores be stored only if the caller may write in the conversation; it is stale if not.

        Who is seen not to gets NotFoundError at once. With `anew` that is looked up now, as it must be where a block may
        answer with anything but what it stores; without, what was seen before is believed until the commit.
        """
        ...

    async def all_of(self, conversation_id: UUID) -> list[Participant]:
        """Every participant, active or not: users first, then assistants, each in order of joining."""
        ...

    async def all_of_each(self, conversation_ids: Sequence[UUID]) -> dict[UUID, list[Participant]]:
        """`all_of` for many conversations in one statement."""
        ...

    async def conversations_with(self, assistant_ids: Sequence[UUID], *, active: bool) -> Sequence[UUID]:
        """The conversations in which any of the assistants has a seat; with `active` only where it is active."""
        ...

    def add(self, participant: Participant) -> None:
        """Seat somebody new."""
        ...

    def change(self, participant: Participant) -> None:
        """Store the participant as changed; stale where another did so since this block read it."""
        ...

    def remove(self, participant: Participant) -> None:
        """Take the seat away altogether, as if it had never been."""
        ...


class ParticipantTx(UserTx, Protocol):
    """The slice of a transaction that participants may touch."""

    @property
    def participants(self) -> Participants: ...
    @property
    def deliveries(self) -> Deliveries: ...
    @property
    def events(self) -> EventRecorder: ...
