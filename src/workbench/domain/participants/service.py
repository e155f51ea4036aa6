"""Participants: seen by each other, and what they say of themselves."""

from uuid import UUID

from workbench.domain.clock import Clock
from workbench.domain.errors import NotFoundError
from workbench.domain.identity.model import Principal
from workbench.domain.participants.events import participant_updated
from workbench.domain.participants.model import Participant, ParticipantChange
from workbench.domain.participants.ports import ParticipantTx
from workbench.domain.sizes import SizeLimits
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.users.service import meet


def find(everyone: list[Participant], participant_id: str) -> Participant:
    """The participant of that id. Raises NotFoundError."""
    found = next((p for p in everyone if p.id == participant_id), None)
    if found is None:
        raise NotFoundError
    return found


class ParticipantService:
    """Acts about participants that need no assistant service."""

    def __init__(self, transactions: Transactions[ParticipantTx], clock: Clock, limits: SizeLimits) -> None:
        self._transactions = transactions
        self._clock = clock
        self._limits = limits

    async def all_in(self, principal: Principal, conversation_id: UUID, *, include_inactive: bool) -> list[Participant]:
        """Who takes part, and with `include_inactive` who did. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            seat = await tx.participants.seat(conversation_id, principal)
            seat.require_see()
            everyone = await tx.participants.all_of(conversation_id)
        return [p for p in everyone if include_inactive or p.active_participant]

    async def get(self, principal: Principal, conversation_id: UUID, participant_id: str) -> Participant:
        """One participant, active or not; `me` is the caller. Raises NotFoundError."""
        everyone = await self.all_in(principal, conversation_id, include_inactive=True)
        return find(everyone, principal.id if participant_id == "me" else participant_id)

    async def change_self(self, principal: Principal, conversation_id: UUID, change: ParticipantChange) -> Participant:
        """Change the caller's own status, metadata or presence; an owner may so rejoin. Raises NotFoundError."""
        return await retrying(lambda: self._change_self(principal, conversation_id, change))

    async def _change_self(self, principal: Principal, conversation_id: UUID, change: ParticipantChange) -> Participant:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            if principal.is_user:
                await meet(tx, principal, now)
            seat = await tx.participants.seat(conversation_id, principal)
            seat.require_see()
            everyone = await tx.participants.all_of(conversation_id)
            before = find(everyone, principal.id)
            after = before.changed(change, now)
            self._limits.check_json("metadata", after.metadata)
            if change.tells_something(before):
                tx.participants.change(after)
                tx.events.record(participant_updated(after, everyone))
            if principal.role == "assistant" and not after.active_participant:
                tx.deliveries.end(UUID(principal.id), conversation_id)
        return after
