"""Users: met through their tokens, and what they say of themselves."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from workbench.domain.clock import Clock
from workbench.domain.identity.model import Principal
from workbench.domain.transactions import Transactions
from workbench.domain.users.model import StoredUser, User, UserChange
from workbench.domain.users.ports import UserTx


async def meet(tx: UserTx, principal: Principal, now: datetime) -> StoredUser:
    """Know the caller from here on: add a row, or take from the token what it says; the name unless one was chosen here."""
    before = await tx.users.find(principal.id)
    user = _told(principal, before, now)
    if user != before:
        tx.users.put(user)
    if before is not None and user.name != before.name:
        tx.nameplates.rename(user.id, user.name, user.image)
    return user


def _told(principal: Principal, before: StoredUser | None, now: datetime) -> StoredUser:
    rights: dict[str, Any] = {
        "works_on_sessions": principal.works_on_sessions,
        "team_ids": tuple(sorted(principal.team_ids)),
    }
    if before is None:
        return StoredUser(
            id=principal.id, name=principal.name, image=None, service_user=False, created_datetime=now, **rights
        )
    name = before.name if before.name_is_chosen or not principal.name else principal.name
    return msgspec.structs.replace(before, name=name, **rights)


class UserService:
    """Acts about users."""

    def __init__(self, transactions: Transactions[UserTx], clock: Clock) -> None:
        self._transactions = transactions
        self._clock = clock

    async def me(self, principal: Principal) -> User:
        """The caller's own record, made on the first call."""
        async with self._transactions.write(principal.workspace_id) as tx:
            user = await meet(tx, principal, self._clock.now())
        return user.public()

    async def change_me(self, principal: Principal, change: UserChange) -> User:
        """Set the caller's name or image, on every seat they hold as well."""
        async with self._transactions.write(principal.workspace_id) as tx:
            user = await meet(tx, principal, self._clock.now())
            if change.name is not UNSET and change.name is not None:
                user = msgspec.structs.replace(user, name=change.name, name_is_chosen=True)
            if change.image is not UNSET:
                user = msgspec.structs.replace(user, image=change.image)
            tx.users.put(user)
            tx.nameplates.rename(user.id, user.name, user.image)
        return user.public()

    async def find_all(self, principal: Principal, user_ids: Sequence[str]) -> list[User]:
        """Those of the users that the caller may know of; the others are left out in silence."""
        if principal.role == "service":
            return []
        async with self._transactions.read(principal.workspace_id) as tx:
            return await tx.users.visible_to(principal, user_ids)
