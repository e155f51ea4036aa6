"""Services' comings and goings: heard from their heartbeats, noticed when those stop, told to users once each."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from workbench.domain.assistant_services.model import Heartbeat, Registration, Sign, normal_url
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.assistant_services.service import RegistrationPolicy
from workbench.domain.assistants.ports import AssistantTx, GoneService, PresenceWatch
from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.clock import Clock
from workbench.domain.errors import ForbiddenError, InvalidError, NotFoundError, StaleError
from workbench.domain.identity.model import Principal
from workbench.domain.participants.events import participant_updated
from workbench.domain.transactions import Transactions, retrying

SWEEP_LIMIT = 100


class PresenceService:
    """Acts about whether services are there."""

    def __init__(
        self,
        transactions: Transactions[AssistantTx],
        watch: PresenceWatch,
        client: AssistantClient,
        clock: Clock,
        policy: RegistrationPolicy,
    ) -> None:
        self._transactions = transactions
        self._watch = watch
        self._client = client
        self._clock = clock
        self._policy = policy

    async def announce(self, principal: Principal, assistant_service_id: str, heartbeat: Heartbeat) -> Registration:
        """Hear from a service: where it is, and for how long it will be there.

        Raises ForbiddenError for another service's id, NotFoundError for an unknown one in secured mode.
        """
        if assistant_service_id != principal.service_id:
            raise ForbiddenError
        url = normal_url(heartbeat.url)
        if self._policy.secured and not url.startswith("https:"):
            raise InvalidError("url must be https", field="url")
        announced = await retrying(lambda: self._announce(principal, assistant_service_id, heartbeat, url))
        if announced.assistant_service_online:
            self._client.heard(assistant_service_id)
        return announced

    async def _announce(
        self, principal: Principal, assistant_service_id: str, heartbeat: Heartbeat, url: str
    ) -> Registration:
        now = self._clock.now()
        sign = Sign(
            assistant_service_id=assistant_service_id,
            url=url,
            at=now,
            expires=now + timedelta(seconds=heartbeat.online_expires_in_seconds),
            with_current_key=not principal.has_old_key,
        )
        async with self._transactions.write(principal.workspace_id) as tx:
            known = await tx.registrations.find(assistant_service_id)
            if known is None and self._policy.secured:
                raise NotFoundError
            if known is None:
                known = Registration.self_made(assistant_service_id, heartbeat, now)
                tx.registrations.add(known)
                tx.audit.record(
                    NewAuditEntry(actor=Actor.of(principal), act="registration.created", subject=assistant_service_id)
                )
            tx.registrations.heard(sign)
            if sign.expires > now and not await tx.registrations.told_online(assistant_service_id):
                await _tell(tx, assistant_service_id, online=True)
        if sign.with_current_key:
            known = msgspec.structs.replace(known, api_key_last_used_datetime=now)
        return msgspec.structs.replace(
            known,
            assistant_service_url=url,
            assistant_service_online=sign.expires > now,
            assistant_service_online_expiration_datetime=sign.expires,
        )

    async def sweep(self) -> int:
        """Tell users of the services that have gone silent, and say how many those were.

        Any number of replicas may do so at once: a change is told by the one whose commit notes it first.
        """
        told = 0
        while gone := await self._watch.gone(SWEEP_LIMIT):
            for service in gone:
                told += await self._tell_gone(service)
            if len(gone) < SWEEP_LIMIT:
                break
        return told

    async def _tell_gone(self, service: GoneService) -> bool:
        try:
            async with self._transactions.write(service.workspace_id) as tx:
                await _tell(tx, service.assistant_service_id, online=False)
        except StaleError:
            return False  # another replica told it, or the service is back
        return True


async def _tell(tx: AssistantTx, assistant_service_id: str, *, online: bool) -> None:
    """Tell users, and only them, of every seat of every assistant of the service."""
    assistant_ids = await tx.assistants.of_service(assistant_service_id)
    tx.registrations.tell(assistant_service_id, online=online)
    await tell_seats(tx, assistant_ids, online=online)


async def tell_seats(tx: AssistantTx, assistant_ids: Sequence[UUID], *, online: bool) -> None:
    """Record an event for users for every seat of these assistants."""
    theirs = {str(assistant_id) for assistant_id in assistant_ids}
    conversation_ids = await tx.participants.conversations_with(assistant_ids, active=False)
    for everyone in (await tx.participants.all_of_each(conversation_ids)).values():
        now_so = [msgspec.structs.replace(p, online=online) if p.id in theirs else p for p in everyone]
        for participant in now_so:
            if participant.id in theirs:
                event = participant_updated(participant, now_so)
                tx.events.record(msgspec.structs.replace(event, audience="users"))
