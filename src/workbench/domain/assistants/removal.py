"""Deleting assistants, one or all of a service: they leave everywhere, and their seats stay for what they said."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from workbench.domain.assistant_services.model import AssistantAddress, ServiceAddress
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.assistants.ports import AssistantTx
from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.clock import Clock
from workbench.domain.errors import NotFoundError, UpstreamError
from workbench.domain.identity.model import Principal
from workbench.domain.identity.ports import ApiKeyStore
from workbench.domain.participants.events import participant_updated
from workbench.domain.participants.model import ParticipantChange
from workbench.domain.transactions import Transactions, retrying

CALLS_AT_ONCE = 8
LEAVING = ParticipantChange(active_participant=False)


class Farewell(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a service is to forget, and where they were."""

    service: ServiceAddress | None
    assistant_ids: Sequence[UUID]
    seats: Sequence[tuple[UUID, UUID]]


class RemovalService:
    """Acts that delete assistants."""

    def __init__(
        self,
        transactions: Transactions[AssistantTx],
        client: AssistantClient,
        keys: ApiKeyStore,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._client = client
        self._keys = keys
        self._clock = clock

    async def delete_assistant(self, principal: Principal, assistant_id: UUID) -> None:
        """Delete the caller's assistant. What its service answers to that changes nothing. Raises NotFoundError."""
        farewell = await retrying(lambda: self._delete_assistant(principal, assistant_id))
        await self._say(farewell)

    async def _delete_assistant(self, principal: Principal, assistant_id: UUID) -> Farewell:
        async with self._transactions.write(principal.workspace_id) as tx:
            stored = await tx.assistants.find(assistant_id)
            if stored is None or stored.owner_id != principal.id:
                raise NotFoundError
            seats = await _unseat(tx, [assistant_id], self._clock.now())
            service = await _reachable(tx, stored.assistant.assistant_service_id)
        return Farewell(service=service, assistant_ids=[assistant_id], seats=seats)

    async def delete_registration(
        self, principal: Principal, assistant_service_id: str, actor: Actor | None = None
    ) -> None:
        """Delete a registration of the caller's own, with all its assistants; `actor` is who has it done for them.

        Raises NotFoundError.
        """
        keys = await self._keys.find(assistant_service_id)
        who = actor or Actor.of(principal)
        farewell = await retrying(lambda: self._delete_registration(principal, assistant_service_id, who))
        if farewell.service is not None and keys is not None:
            key = keys.for_calls(self._clock.now(), current_was_seen=farewell.service.knows_its_key)
            farewell = msgspec.structs.replace(
                farewell, service=msgspec.structs.replace(farewell.service, last_key=key)
            )
        await self._say(farewell)
        await self._keys.remove(assistant_service_id)

    async def _delete_registration(self, principal: Principal, assistant_service_id: str, actor: Actor) -> Farewell:
        async with self._transactions.write(principal.workspace_id) as tx:
            registration = await tx.registrations.find(assistant_service_id)
            if registration is None or registration.created_by_user_id != principal.id:
                raise NotFoundError
            assistant_ids = await tx.assistants.of_service(assistant_service_id)
            service = await _reachable(tx, assistant_service_id)
            seats = await _unseat(tx, assistant_ids, self._clock.now())
            tx.registrations.remove(assistant_service_id)
            detail = {"assistants": len(assistant_ids)}
            tx.audit.record(
                NewAuditEntry(actor=actor, act="registration.removed", subject=assistant_service_id, detail=detail)
            )
        return Farewell(service=service, assistant_ids=assistant_ids, seats=seats)

    async def _say(self, farewell: Farewell) -> None:
        """Tell the service; it may be away, and the assistants are gone all the same."""
        service = farewell.service
        if service is None:
            return
        calls = asyncio.Semaphore(CALLS_AT_ONCE)

        async def one(assistant_id: UUID) -> None:
            address = AssistantAddress(assistant_id=assistant_id, service=service)
            async with calls:
                try:
                    for seated, conversation_id in farewell.seats:
                        if seated == assistant_id:
                            await self._client.delete_conversation(address, conversation_id)
                    await self._client.delete_assistant(address)
                except UpstreamError:
                    # It is gone here, which is what counts; the service finds out when it calls.
                    return

        await asyncio.gather(*map(one, farewell.assistant_ids))


async def _unseat(tx: AssistantTx, assistant_ids: Sequence[UUID], now: datetime) -> list[tuple[UUID, UUID]]:
    """Let the assistants leave every conversation, tell of it, and forget them; says where they were."""
    theirs = {str(assistant_id) for assistant_id in assistant_ids}
    seats: list[tuple[UUID, UUID]] = []
    active_in = await tx.participants.conversations_with(assistant_ids, active=True)
    for conversation_id, everyone in (await tx.participants.all_of_each(active_in)).items():
        for participant in everyone:
            if participant.id not in theirs or not participant.active_participant:
                continue
            left = msgspec.structs.replace(participant.changed(LEAVING, now), online=False)
            tx.participants.change(left)
            tx.events.record(participant_updated(left, everyone))
            seats.append((UUID(participant.id), conversation_id))
    for assistant_id in assistant_ids:
        tx.assistants.remove(assistant_id)
    return seats


async def _reachable(tx: AssistantTx, assistant_service_id: str) -> ServiceAddress | None:
    """Where the service is; None where it is not to be expected to answer."""
    registration = await tx.registrations.find(assistant_service_id)
    if registration is None or not registration.assistant_service_online:
        return None
    return await tx.registrations.address(assistant_service_id)
