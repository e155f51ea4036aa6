"""Assistant services: registered by users, or announcing themselves."""

import secrets
from datetime import timedelta

import msgspec

from workbench.domain.assistant_services.model import Heartbeat, NewRegistration, Registration, normal_url
from workbench.domain.assistant_services.ports import RegistrationTx
from workbench.domain.clock import Clock
from workbench.domain.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError, StaleError
from workbench.domain.identity.model import Principal
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.users.service import meet

KEY_BYTES = 32
TAKEN = "assistant service with this assistant_service_id already exists"


class RegistrationPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Whether services must show a key that they were given (secured), or may walk in (local mode)."""

    secured: bool


class RegistrationService:
    """Acts about registrations."""

    def __init__(self, transactions: Transactions[RegistrationTx], clock: Clock, policy: RegistrationPolicy) -> None:
        self._transactions = transactions
        self._clock = clock
        self._policy = policy

    async def register(self, principal: Principal, new: NewRegistration) -> Registration:
        """Register a service; in secured mode the answer holds its key, for the only time.

        Raises ConflictError where the id is taken.
        """
        try:
            return await retrying(lambda: self._register(principal, new))
        except StaleError as error:
            # Not seen, yet taken: ids are unique over all workspaces.
            raise ConflictError(TAKEN) from error

    async def _register(self, principal: Principal, new: NewRegistration) -> Registration:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            user = await meet(tx, principal, now)
            made = Registration.created(new, user.id, user.name, now)
            if await tx.registrations.find(made.assistant_service_id):
                raise ConflictError(TAKEN)
            if self._policy.secured:
                made = msgspec.structs.replace(
                    made, api_key=secrets.token_urlsafe(KEY_BYTES), api_key_name=made.assistant_service_id
                )
            else:
                made = msgspec.structs.replace(made, api_key="")
            tx.registrations.add(made)
        return made

    async def announce(self, principal: Principal, assistant_service_id: str, heartbeat: Heartbeat) -> Registration:
        """Hear from a service: where it is, and for how long it will be there.

        Raises ForbiddenError for another service's id, NotFoundError for an unknown one in secured mode.
        """
        if assistant_service_id != principal.service_id:
            raise ForbiddenError
        url = normal_url(heartbeat.url)
        if self._policy.secured and not url.startswith("https:"):
            raise InvalidError("url must be https", field="url")
        return await retrying(lambda: self._announce(principal, assistant_service_id, heartbeat, url))

    async def _announce(
        self, principal: Principal, assistant_service_id: str, heartbeat: Heartbeat, url: str
    ) -> Registration:
        now = self._clock.now()
        expires = now + timedelta(seconds=heartbeat.online_expires_in_seconds)
        async with self._transactions.write(principal.workspace_id) as tx:
            known = await tx.registrations.find(assistant_service_id)
            if known is None and self._policy.secured:
                raise NotFoundError
            if known is None:
                known = Registration.self_made(assistant_service_id, heartbeat, now)
                tx.registrations.add(known)
            tx.registrations.heard(assistant_service_id, url, expires)
        return msgspec.structs.replace(
            known,
            assistant_service_url=url,
            assistant_service_online=expires > now,
            assistant_service_online_expiration_datetime=expires,
        )
