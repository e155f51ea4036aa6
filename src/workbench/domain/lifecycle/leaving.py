"""What an erased person leaves behind: conversations, assistants, services, seats."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from workbench.domain.assistant_services.model import Registration, RegistrationFilter
from workbench.domain.assistants.removal import RemovalService
from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.clock import Clock
from workbench.domain.contents.model import sweep
from workbench.domain.conversations.events import conversation_deleted, conversation_updated
from workbench.domain.conversations.model import DEFAULT_TITLE, Conversation, ConversationDetails
from workbench.domain.errors import NotFoundError, StaleError
from workbench.domain.identity.model import Principal
from workbench.domain.lifecycle.person import ERASED_NAME, Erased, Erasure
from workbench.domain.lifecycle.ports import ErasureTx
from workbench.domain.participants.events import participant_updated
from workbench.domain.participants.model import Participant, ParticipantChange
from workbench.domain.transactions import Transactions

LEAVING = ParticipantChange(active_participant=False)


class Leaving:
    """Stages of an erasure; each step stores how far it is together with what it did."""

    def __init__(self, transactions: Transactions[ErasureTx], removal: RemovalService, clock: Clock) -> None:
        self._transactions = transactions
        self._removal = removal
        self._clock = clock

    async def leave(self, workspace_id: str, erasure: Erasure, person: Erased) -> Erasure:
        """Leave the next conversation; one with nobody else in it is deleted, others get another owner.

        The event of the leaving still names the person, since it is what ends their streams.
        """
        async with self._transactions.write(workspace_id) as tx:
            found = await tx.estate.active_in(person.user_id, 1) or await tx.estate.owned(person.user_id, None, 1)
            after = await _leave(tx, found[0], erasure, self._clock.now()) if found else erasure.at("assistants")
            tx.erasures.save(after)
        return after

    async def remove_assistants(self, workspace_id: str, erasure: Erasure, person: Erased) -> Erasure:
        """Delete the next assistant of theirs, as they would, so that its service is told."""
        async with self._transactions.read(workspace_id) as tx:
            found = await tx.assistants.owned_by(person.user_id)
        if not found:
            return await self._save(workspace_id, erasure.at("services"))
        try:
            await self._removal.delete_assistant(_as_caller(workspace_id, person), found[0].id)
        except NotFoundError:
            return erasure  # somebody else was faster
        return await self._save(workspace_id, erasure.counted("assistants", "removed"))

    async def settle_services(self, workspace_id: str, erasure: Erasure, person: Erased) -> Erasure:
        """Delete the next service that they registered, or hand it over to who has the oldest assistant there."""
        async with self._transactions.read(workspace_id) as tx:
            found = await tx.registrations.all_of(RegistrationFilter(created_by=(person.user_id,)))
            heir_id = await tx.estate.heir_of_service(found[0].assistant_service_id, person.user_id) if found else None
        if not found:
            return await self._save(workspace_id, erasure.at("messages"))
        service_id, actor = found[0].assistant_service_id, Actor(kind="operator", id=f"erasure {erasure.id}")
        if heir_id is not None:
            return await self._hand_service_over(workspace_id, found[0], heir_id, erasure)
        try:
            await self._removal.delete_registration(_as_caller(workspace_id, person), service_id, actor)
        except NotFoundError:
            return erasure  # somebody else was faster
        return await self._save(workspace_id, erasure.counted("assistant_services", "removed"))

    async def _hand_service_over(
        self, workspace_id: str, registration: Registration, heir_id: str, erasure: Erasure
    ) -> Erasure:
        service_id = registration.assistant_service_id
        after = erasure.counted("assistant_services", "handed_over")
        async with self._transactions.write(workspace_id) as tx:
            heir = await tx.users.find(heir_id)
            new = {"created_by_user_id": heir_id, "created_by_user_name": heir.name if heir else ""}
            tx.registrations.change(service_id, new)
            tx.audit.record(
                NewAuditEntry(
                    actor=Actor(kind="operator", id=f"erasure {erasure.id}"),
                    act="registration.handed_over",
                    subject=service_id,
                    detail={"to": heir_id},
                )
            )
            tx.erasures.save(after)
        return after

    async def vacate_seats(self, workspace_id: str, erasure: Erasure, person: Erased) -> Erasure:
        """Give up the next seat; unless content is removed, a nameless one stands for whoever spoke."""
        async with self._transactions.write(workspace_id) as tx:
            found = await tx.estate.seated_in(person.user_id, 1)
            after = await _vacate(tx, found[0], erasure, person) if found else erasure.at("traces")
            tx.erasures.save(after)
        return after

    async def _save(self, workspace_id: str, erasure: Erasure) -> Erasure:
        async with self._transactions.write(workspace_id) as tx:
            tx.erasures.save(erasure)
        return erasure


def heir_among(everyone: Sequence[Participant], user_id: str) -> Participant | None:
    """Who owns a conversation next: an active user who may write, else one who may read; the first to have joined."""
    others = [p for p in everyone if p.role == "user" and p.active_participant and p.id != user_id]
    return next((p for p in others if p.conversation_permission != "read"), others[0] if others else None)


async def _leave(tx: ErasureTx, conversation_id: UUID, erasure: Erasure, now: datetime) -> Erasure:
    person = erasure.person
    conversation = await tx.conversations.require(conversation_id)
    everyone = await tx.participants.all_of(conversation_id)
    if conversation.owner_id == person.user_id:
        heir = heir_among(everyone, person.user_id)
        if heir is None:
            _delete(tx, conversation, everyone, person)
            tx.jobs.enqueue(sweep(now))
            return erasure.counted("conversations", "removed")
        _hand_over(tx, conversation, everyone, heir)
        erasure = erasure.counted("conversations", "handed_over")
    for seat in everyone:
        if _is(seat, person) and seat.active_participant:
            left = seat.changed(LEAVING, now)
            tx.participants.change(left)
            event = participant_updated(left, everyone)
            tx.events.record(msgspec.structs.replace(event, farewell=()))
    return erasure


def _delete(tx: ErasureTx, conversation: Conversation, everyone: Sequence[Participant], person: Erased) -> None:
    """Delete it as its owner would, but tell of it without what it was about and whose it was."""
    nameless = msgspec.structs.replace(conversation, title=DEFAULT_TITLE, metadata={}, owner_id=person.tombstone_id)
    shown = [_tombstone(p, person) if _is(p, person) else p for p in everyone]
    tx.deliveries.end_all(conversation.id)
    tx.events.record(conversation_deleted(ConversationDetails.of(nameless, "read_write", shown)))
    tx.conversations.remove(conversation.id)


def _hand_over(tx: ErasureTx, conversation: Conversation, everyone: Sequence[Participant], heir: Participant) -> None:
    tx.estate.hand_over(conversation.id, conversation.owner_id, heir.id)
    raised = msgspec.structs.replace(heir, conversation_permission="read_write")
    if raised != heir:
        tx.participants.change(raised)
    owned = msgspec.structs.replace(conversation, owner_id=heir.id)
    shown = [raised if p == heir else p for p in everyone]
    tx.events.record(conversation_updated(ConversationDetails.of(owned, "read_write", shown)))


async def _vacate(tx: ErasureTx, conversation_id: UUID, erasure: Erasure, person: Erased) -> Erasure:
    everyone = await tx.participants.all_of(conversation_id)
    seat = next((p for p in everyone if _is(p, person)), None)
    if seat is None:
        raise StaleError
    nameless = _tombstone(seat, person)
    tx.participants.remove(seat)
    if person.policy != "remove":
        tx.participants.add(nameless)
    event = participant_updated(nameless, [p for p in everyone if p is not seat])
    tx.events.record(msgspec.structs.replace(event, farewell=()))
    return erasure.counted("participants", "removed" if person.policy == "remove" else "anonymised")


def _tombstone(seat: Participant, person: Erased) -> Participant:
    return msgspec.structs.replace(
        seat,
        id=person.tombstone_id,
        name=ERASED_NAME,
        image=None,
        status=None,
        active_participant=False,
        metadata={},
    )


def _is(participant: Participant, person: Erased) -> bool:
    return participant.role == "user" and participant.id == person.user_id


def _as_caller(workspace_id: str, person: Erased) -> Principal:
    return Principal(workspace_id=workspace_id, role="user", id=person.user_id)
