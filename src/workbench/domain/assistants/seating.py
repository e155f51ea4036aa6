"""Who may change which seat, and an assistant's joining and leaving, in which its service has a part."""

from datetime import datetime
from uuid import UUID

import msgspec

from workbench.domain.assistant_services.model import AssistantAddress
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.assistants.model import StoredAssistant, seat_of
from workbench.domain.assistants.ports import AssistantTx
from workbench.domain.clock import Clock
from workbench.domain.errors import ConflictError, ForbiddenError, NotFoundError, UpstreamError
from workbench.domain.identity.model import Principal
from workbench.domain.participants.events import participant_created, participant_updated
from workbench.domain.participants.model import Participant, ParticipantChange
from workbench.domain.participants.service import ParticipantService
from workbench.domain.sizes import SizeLimits
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.users.service import meet


class Seating(msgspec.Struct, frozen=True, kw_only=True):
    """A seat that is stored, and whether the assistant's service must still be told before others are."""

    before: Participant | None
    after: Participant
    title: str
    address: AssistantAddress | None
    connecting: bool


class SeatingService:
    """Acts that change a seat."""

    def __init__(
        self,
        transactions: Transactions[AssistantTx],
        participants: ParticipantService,
        client: AssistantClient,
        clock: Clock,
        limits: SizeLimits,
    ) -> None:
        self._transactions = transactions
        self._participants = participants
        self._client = client
        self._clock = clock
        self._limits = limits

    async def change(
        self, principal: Principal, conversation_id: UUID, participant_id: str, change: ParticipantChange
    ) -> Participant:
        """Change the caller's own seat, or add, change or remove an assistant that the caller owns.

        Raises ForbiddenError for another's seat, NotFoundError, and UpstreamError where an assistant could not join.
        """
        if participant_id in ("me", principal.id):
            return await self._participants.change_self(principal, conversation_id, change)
        assistant_id = _uuid(participant_id)
        if not principal.is_user or assistant_id is None:
            raise ForbiddenError
        return await self._seat(principal, conversation_id, assistant_id, change)

    async def leave(self, principal: Principal, conversation_id: UUID) -> None:
        """End an assistant's own part in the conversation. Raises NotFoundError."""
        await self._participants.change_self(principal, conversation_id, ParticipantChange(active_participant=False))

    async def _seat(
        self, principal: Principal, conversation_id: UUID, assistant_id: UUID, change: ParticipantChange
    ) -> Participant:
        seating = await retrying(lambda: self._store(principal, conversation_id, assistant_id, change))
        if not seating.connecting:
            return seating.after
        try:
            # The seat is committed first, since the service may call back before it answers.
            await self._connect(seating)
        except UpstreamError:
            await retrying(lambda: self._restore(principal, seating))
            raise
        return await retrying(lambda: self._tell(principal, seating))

    async def _store(
        self, principal: Principal, conversation_id: UUID, assistant_id: UUID, change: ParticipantChange
    ) -> Seating:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            await meet(tx, principal, now)
            (await tx.participants.seat(conversation_id, principal)).require_administer()
            stored = await tx.assistants.find(assistant_id)
            if stored is None or stored.owner_id != principal.id:
                raise NotFoundError
            everyone = await tx.participants.all_of(conversation_id)
            before = next((p for p in everyone if p.id == str(assistant_id)), None)
            after = _changed(before, stored, conversation_id, change, now)
            self._limits.check_json("metadata", after.metadata)
            if before is None:
                tx.participants.add(after)
            elif change.tells_something(before):
                tx.participants.change(after)
            seating = await _plan(tx, stored, before, after)
            if seating.connecting:
                tx.deliveries.begin(assistant_id, conversation_id, await tx.events.conversation_head(conversation_id))
                return seating
            if not after.active_participant:
                tx.deliveries.end(assistant_id, conversation_id)
            if before is None:
                tx.events.record(participant_created(after, everyone))
            elif change.tells_something(before):
                tx.events.record(participant_updated(after, everyone))
        return seating

    async def _connect(self, seating: Seating) -> None:
        if seating.address is None or not seating.after.online:
            raise UpstreamError(f"Failed to connect to assistant {seating.after.id}; its service is offline")
        await self._client.put_conversation(seating.address, seating.after.conversation_id, seating.title)

    async def _restore(self, principal: Principal, seating: Seating) -> None:
        """Put the seat back as it was, as if the assistant had never been asked."""
        assistant_id, conversation_id = UUID(seating.after.id), seating.after.conversation_id
        async with self._transactions.write(principal.workspace_id) as tx:
            if not any(p.id == seating.after.id for p in await tx.participants.all_of(conversation_id)):
                return  # gone with the conversation
            delivery = await tx.deliveries.find(assistant_id, conversation_id)
            if delivery is not None and delivery.state == "live":
                return  # joined by another request meanwhile
            if seating.before is None:
                tx.participants.remove(seating.after)
                tx.deliveries.cancel(assistant_id, conversation_id)
            else:
                tx.participants.change(msgspec.structs.replace(seating.before, active_participant=False))
                # Its last farewell may not have been heard yet.
                tx.deliveries.end(assistant_id, conversation_id)

    async def _tell(self, principal: Principal, seating: Seating) -> Participant:
        """Now that the assistant knows the conversation, tell everybody, and let its events flow."""
        conversation_id = seating.after.conversation_id
        async with self._transactions.write(principal.workspace_id) as tx:
            everyone = await tx.participants.all_of(conversation_id)
            seated = next((p for p in everyone if p.id == seating.after.id), None)
            if seated is None and everyone:
                raise ConflictError("the assistant was taken out while it joined")
            seated = seated or seating.after
            told = participant_created if seating.before is None else participant_updated
            tx.deliveries.connect(UUID(seating.after.id), conversation_id)
            tx.events.record(told(seated, everyone))
        return seated


async def _plan(tx: AssistantTx, stored: StoredAssistant, before: Participant | None, after: Participant) -> Seating:
    """Decide whether the service must be told: on becoming active, or where an earlier joining was cut off."""
    conversation = await tx.conversations.require(after.conversation_id)
    service = await tx.registrations.address(stored.assistant.assistant_service_id)
    delivery = await tx.deliveries.find(stored.assistant.id, after.conversation_id)
    connected = delivery is not None and delivery.state in ("live", "rejoining")
    was_active = before is not None and before.active_participant
    return Seating(
        before=before,
        after=after,
        title=conversation.title,
        address=AssistantAddress(assistant_id=stored.assistant.id, service=service) if service else None,
        connecting=after.active_participant and not (was_active and connected),
    )


def _changed(
    before: Participant | None,
    stored: StoredAssistant,
    conversation_id: UUID,
    change: ParticipantChange,
    now: datetime,
) -> Participant:
    if before is not None:
        return before.changed(change, now)
    return seat_of(stored.assistant, conversation_id, now).changed(change, now)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
