"""Shares in SQL."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import and_, bindparam, delete, select

from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id
from workbench.adapters.sql.tables import conversations, redemptions, shares, users
from workbench.domain.errors import NotFoundError
from workbench.domain.shares.model import NewRedemption, Redemption, ShareFilter, StoredShare
from workbench.domain.shares.ports import Shares

_SHARE = (
    *("id", "conversation_id", "label", "conversation_permission", "is_redeemable", "created_datetime", "metadata"),
    *("token_hash", "expires_datetime"),
)
_REDEMPTION = ("id", "conversation_permission", "new_participant", "created_datetime")
_USER = ("id", "name", "image", "service_user", "created_datetime")


def _share(row: Sequence[Any]) -> dict[str, Any]:
    share = dict(zip(_SHARE, row, strict=False))
    owner = dict(zip(_USER, row[len(_SHARE) + 1 :], strict=True))
    share["is_redeemable"], owner["service_user"] = bool(share["is_redeemable"]), bool(owner["service_user"])
    return {**share, "conversation_title": row[len(_SHARE)], "owner": owner}


def _redemption(row: Sequence[Any]) -> dict[str, Any]:
    redemption = dict(zip(_REDEMPTION, row, strict=False))
    user = dict(zip(_USER, row[len(_REDEMPTION) + 2 :], strict=True))
    redemption["new_participant"], user["service_user"] = (
        bool(redemption["new_participant"]),
        bool(user["service_user"]),
    )
    share_id, conversation_id = row[len(_REDEMPTION) : len(_REDEMPTION) + 2]
    place = {"conversation_share_id": share_id, "conversation_id": conversation_id}
    return {**redemption, **place, "redeemed_by_user": user}


_SHARES = (
    select(*columns_of(shares, *_SHARE), conversations.c.title, *columns_of(users, *_USER))
    .join_from(shares, conversations, conversations.c.id == shares.c.conversation_id)
    .join(users, and_(users.c.workspace_id == shares.c.workspace_id, users.c.id == shares.c.owner_id))
    .where(here(shares))
)
_REDEMPTIONS = (
    select(*columns_of(redemptions, *_REDEMPTION), shares.c.id, shares.c.conversation_id, *columns_of(users, *_USER))
    .join_from(redemptions, shares, shares.c.id == redemptions.c.share_id)
    .join(
        users, and_(users.c.workspace_id == redemptions.c.workspace_id, users.c.id == redemptions.c.redeemed_by_user_id)
    )
    .where(here(redemptions))
    .order_by(redemptions.c.created_datetime, redemptions.c.id)
)
_ONE = Query(StoredShare, _SHARES.where(shares.c.id == bindparam("id", type_=Id)), _share)
_OF_SHARE = Query(Redemption, _REDEMPTIONS.where(redemptions.c.share_id == bindparam("id", type_=Id)), _redemption)
_BY_USER = Query(Redemption, _REDEMPTIONS.where(redemptions.c.redeemed_by_user_id == bindparam("id")), _redemption)
_TITLE = select(conversations.c.title, conversations.c.owner_id).where(
    here(conversations), conversations.c.id == bindparam("id", type_=Id)
)
_REMOVE = delete(shares).where(here(shares), shares.c.id == bindparam("of_id", type_=Id))


@lru_cache(4)
def _owned(*, include_unredeemable: bool, of_conversation: bool) -> Query[StoredShare]:
    conditions = [shares.c.owner_id == bindparam("owner_id")]
    if not include_unredeemable:
        conditions.append(shares.c.is_redeemable.is_(True))
    if of_conversation:
        conditions.append(shares.c.conversation_id == bindparam("conversation_id", type_=Id))
    return Query(StoredShare, _SHARES.where(*conditions).order_by(shares.c.created_datetime, shares.c.id), _share)


class SqlShares(Repository, Shares):
    """The shares of one workspace."""

    async def find(self, share_id: UUID) -> StoredShare | None:
        """By its primary key."""
        return await self._maybe(_ONE, {"id": share_id})

    async def owned_by(self, user_id: str, wanted: ShareFilter) -> Sequence[StoredShare]:
        """By owner."""
        query = _owned(
            include_unredeemable=wanted.include_unredeemable, of_conversation=wanted.conversation_id is not None
        )
        parameters: dict[str, Any] = {"owner_id": user_id}
        if wanted.conversation_id is not None:
            parameters["conversation_id"] = wanted.conversation_id
        return await self._all(query, parameters)

    async def title_and_owner_of(self, conversation_id: UUID) -> tuple[str, str]:
        """By its primary key."""
        rows = await self._rows(_TITLE, {"id": conversation_id})
        if not rows:
            raise NotFoundError
        return rows[0][0], rows[0][1]

    async def redemptions_of(self, share_id: UUID) -> Sequence[Redemption]:
        """By share."""
        return await self._all(_OF_SHARE, {"id": share_id})

    async def redeemed_by(self, user_id: str) -> Sequence[Redemption]:
        """By user."""
        return await self._all(_BY_USER, {"id": user_id})

    def add(self, share: StoredShare) -> None:
        """Insert."""
        row = msgspec.structs.asdict(share)
        owner = row.pop("owner")
        row.pop("conversation_title")
        self._writes.insert(shares, {**row, "owner_id": owner.id})

    def redeem(self, redemption: NewRedemption) -> None:
        """Insert; the foreign key tells where the share is gone."""
        row = msgspec.structs.asdict(redemption)
        self._writes.insert(redemptions, {**row, "share_id": row.pop("conversation_share_id")})

    def remove(self, share: StoredShare) -> None:
        """Delete; its redemptions go with it."""
        self._writes.change(_REMOVE, {"of_id": share.id}, must_hit=True)
