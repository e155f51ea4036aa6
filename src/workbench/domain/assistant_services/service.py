"""Registrations of assistant services, and their keys."""

import secrets
from datetime import datetime, timedelta
from typing import Any

import msgspec

from workbench.domain.assistant_services.model import (
    KEY_BYTES,
    KeyReset,
    NewRegistration,
    Registration,
    RegistrationChange,
    RegistrationFilter,
    masked,
)
from workbench.domain.assistant_services.ports import RegistrationTx, Residents
from workbench.domain.audit.model import Act, Actor, NewAuditEntry
from workbench.domain.clock import Clock
from workbench.domain.errors import ConflictError, NotFoundError, StaleError, WorkbenchError
from workbench.domain.identity.model import RESIDENT_SERVICE_IDS, Principal, ServiceKeys
from workbench.domain.identity.ports import ApiKeyStore
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.users.service import meet

TAKEN = "assistant service with this assistant_service_id already exists"


class RegistrationPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Whether services must show a key that they were given (secured), or may walk in (local mode).

    `key_overlap_seconds` is how long a key stays valid after a reset that does not say so itself.
    """

    secured: bool
    key_overlap_seconds: float = 86_400.0


class RegistrationService:
    """Acts about registrations."""

    def __init__(
        self,
        transactions: Transactions[RegistrationTx],
        keys: ApiKeyStore,
        clock: Clock,
        policy: RegistrationPolicy,
        residents: Residents,
    ) -> None:
        self._transactions = transactions
        self._keys = keys
        self._clock = clock
        self._policy = policy
        self._residents = residents

    async def register(self, principal: Principal, new: NewRegistration) -> Registration:
        """Register a service; in secured mode the answer holds its key, for the only time.

        Raises ConflictError where the id is taken.
        """
        try:
            made = await retrying(lambda: self._register(principal, new))
        except StaleError as error:
            # Not seen, yet taken: ids are unique over all workspaces.
            raise ConflictError(TAKEN) from error
        if not self._policy.secured:
            return msgspec.structs.replace(made, api_key="")
        keys = ServiceKeys(current=_new_key(), expires=made.api_key_expiration_datetime)
        try:
            await self._keys.put(made.assistant_service_id, keys)
        except WorkbenchError:
            async with self._transactions.write(principal.workspace_id) as tx:
                tx.registrations.remove(made.assistant_service_id)
                tx.audit.record(_act(principal, "registration.removed", made.assistant_service_id))
            raise
        return msgspec.structs.replace(made, api_key=keys.current)

    async def _register(self, principal: Principal, new: NewRegistration) -> Registration:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            user = await meet(tx, principal, now)
            made = Registration.created(new, user.id, user.name, now)
            if await tx.registrations.find(made.assistant_service_id):
                raise ConflictError(TAKEN)
            if self._policy.secured:
                expires = _after(now, new.api_key_expires_in_seconds)
                made = msgspec.structs.replace(
                    made, api_key_name=made.assistant_service_id, api_key_expiration_datetime=expires
                )
            tx.registrations.add(made)
            tx.audit.record(_act(principal, "registration.created", made.assistant_service_id))
        return made

    async def all(self, principal: Principal, wanted: RegistrationFilter) -> list[Registration]:
        """The registrations asked for, oldest first; services of this process where they have something to offer."""
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await tx.registrations.all_of(_for(principal, wanted))
        if not any(each.assistant_service_id in RESIDENT_SERVICE_IDS for each in found):
            return list(found)
        silent = RESIDENT_SERVICE_IDS - await self._residents.offering(principal.workspace_id)
        return [each for each in found if each.assistant_service_id not in silent]

    async def get(self, principal: Principal, assistant_service_id: str) -> Registration:
        """One registration, its key masked. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await tx.registrations.find(assistant_service_id)
        if found is None:
            raise NotFoundError
        keys = await self._keys.find(assistant_service_id)
        return msgspec.structs.replace(found, api_key=masked(keys.current if keys else ""))

    async def change(self, principal: Principal, assistant_service_id: str, change: RegistrationChange) -> Registration:
        """Change name, description or listing. Raises NotFoundError, InvalidError for a null."""
        values = change.values()
        async with self._transactions.write(principal.workspace_id) as tx:
            found = self._own(principal, await tx.registrations.find(assistant_service_id))
            if values:
                tx.registrations.change(assistant_service_id, values)
                tx.audit.record(_act(principal, "registration.changed", assistant_service_id, fields=sorted(values)))
        return msgspec.structs.replace(found, **values)

    async def reset_key(self, principal: Principal, assistant_service_id: str, reset: KeyReset) -> Registration:
        """Replace the key; the answer holds the new one, for the only time. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            found = self._own(principal, await tx.registrations.find(assistant_service_id))
        if not self._policy.secured:
            return msgspec.structs.replace(found, api_key="")
        now = self._clock.now()
        overlap = self._policy.key_overlap_seconds if reset.overlap_seconds is None else reset.overlap_seconds
        before = await self._keys.find(assistant_service_id)
        expires, key = _after(now, reset.expires_in_seconds), _new_key()
        keys = (before or ServiceKeys(current=key)).replaced(key, expires, _after(now, overlap) if overlap else None)
        await self._keys.put(assistant_service_id, keys)
        async with self._transactions.write(principal.workspace_id) as tx:
            tx.registrations.key_replaced(assistant_service_id, expires)
            tx.audit.record(_act(principal, "key.reset", assistant_service_id, overlap_seconds=overlap))
        return msgspec.structs.replace(
            found, api_key=key, api_key_last_used_datetime=None, api_key_expiration_datetime=expires
        )

    def _own(self, principal: Principal, registration: Registration | None) -> Registration:
        """Let its creator pass; in local mode, which knows no keys, anybody. Raises NotFoundError."""
        if registration is None or registration.assistant_service_id in RESIDENT_SERVICE_IDS:
            raise NotFoundError
        if self._policy.secured and registration.created_by_user_id != principal.id:
            raise NotFoundError
        return registration


def _for(principal: Principal, wanted: RegistrationFilter) -> RegistrationFilter:
    """Read `me` as the caller."""
    if not principal.is_user:
        return wanted
    created_by = tuple(principal.id if user_id == "me" else user_id for user_id in wanted.created_by)
    return msgspec.structs.replace(wanted, created_by=created_by)


def _act(principal: Principal, act: Act, assistant_service_id: str, **detail: Any) -> NewAuditEntry:
    return NewAuditEntry(actor=Actor.of(principal), act=act, subject=assistant_service_id, detail=detail)


def _new_key() -> str:
    return secrets.token_urlsafe(KEY_BYTES)


def _after(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)
