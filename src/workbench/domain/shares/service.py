"""Sharing conversations, and taking shares up."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.errors import InvalidError, NotFoundError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.participants.events import participant_created, participant_updated
from workbench.domain.rates.model import Rate
from workbench.domain.rates.ports import RateLimiter
from workbench.domain.shares.model import (
    NewRedemption,
    NewShare,
    Redemption,
    RedemptionList,
    Share,
    ShareFilter,
    ShareList,
    StoredShare,
    admitted,
    hash_of,
    new_token,
)
from workbench.domain.shares.ports import ShareTx
from workbench.domain.sizes import SizeLimits
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.users.model import User
from workbench.domain.users.service import meet


class SharePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often a user may try to redeem."""

    redemptions: Rate


class ShareService:
    """Acts about shares."""

    def __init__(
        self,
        transactions: Transactions[ShareTx],
        rates: RateLimiter,
        clock: Clock,
        sizes: SizeLimits,
        policy: SharePolicy,
    ) -> None:
        self._transactions = transactions
        self._rates = rates
        self._clock = clock
        self._sizes = sizes
        self._policy = policy

    async def create(self, principal: Principal, new: NewShare) -> Share:
        """Share a conversation that the caller administers. Raises InvalidError where they do not."""
        return await retrying(lambda: self._create(principal, new))

    async def _create(self, principal: Principal, new: NewShare) -> Share:
        now = self._check(new)
        async with self._transactions.write(principal.workspace_id) as tx:
            owner = (await meet(tx, principal, now)).public()
            title, _ = await _shareable(tx, principal, new.conversation_id)
            return _add(tx, new, owner, title, now)

    async def create_for(self, principal: Principal, owner_id: str, new: NewShare) -> Share:
        """Share, as an assistant in a conversation, in the name of the conversation's owner.

        Raises InvalidError where the assistant is not in it, or the owner does not own it.
        """
        return await retrying(lambda: self._create_for(principal, owner_id, new))

    async def _create_for(self, principal: Principal, owner_id: str, new: NewShare) -> Share:
        now = self._check(new)
        async with self._transactions.write(principal.workspace_id) as tx:
            title, owner = await _shareable(tx, principal, new.conversation_id)
            found = await tx.users.find(owner_id)
            if owner != owner_id or found is None:
                raise _no_such_conversation()
            return _add(tx, new, found.public(), title, now)

    def _check(self, new: NewShare) -> datetime:
        self._sizes.check_json("metadata", new.metadata)
        now = self._clock.now()
        if new.expires_datetime is not None:
            if new.expires_datetime.tzinfo is None:
                raise InvalidError("expires_datetime needs a time zone", field="expires_datetime")
            if new.expires_datetime <= now:
                raise InvalidError("expires_datetime is past", field="expires_datetime")
            try:
                new.expires_datetime.astimezone(UTC)
            except OverflowError:
                raise InvalidError("expires_datetime is too late", field="expires_datetime") from None
        return now

    async def list(self, principal: Principal, wanted: ShareFilter) -> ShareList:
        """The caller's own shares."""
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await tx.shares.owned_by(principal.id, wanted)
        return ShareList(conversation_shares=[share.shown() for share in found])

    async def get(self, principal: Principal, share_id: UUID, token: str | None = None) -> Share:
        """One share: the caller's own, or one that the caller might redeem. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            share = await tx.shares.find(share_id)
        if share is None or not (share.owner.id == principal.id or self._lets_in(share, token)):
            raise NotFoundError
        return share.shown()

    async def delete(self, principal: Principal, share_id: UUID) -> None:
        """Take a share back, and forget who redeemed it; they stay in the conversation. Raises NotFoundError."""
        async with self._transactions.write(principal.workspace_id) as tx:
            share = await tx.shares.find(share_id)
            if share is None or share.owner.id != principal.id or not share.is_redeemable:
                raise NotFoundError
            tx.shares.remove(share)

    async def redeem(self, principal: Principal, share_id: UUID, token: str | None = None) -> Redemption:
        """Join the share's conversation. Raises NotFoundError, ExhaustedError (tried too often)."""
        await self._rates.count(principal, self._policy.redemptions)
        return await retrying(lambda: self._redeem(principal, share_id, token))

    async def _redeem(self, principal: Principal, share_id: UUID, token: str | None) -> Redemption:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            user = (await meet(tx, principal, now)).public()
            share = await tx.shares.find(share_id)
            if share is None or not self._lets_in(share, token):
                raise NotFoundError
            everyone = await tx.participants.all_of(share.conversation_id)
            before = next((one for one in everyone if (one.role, one.id) == (principal.role, principal.id)), None)
            after = admitted(before, user, share, now)
            if before is None:
                tx.participants.add(after)
                tx.events.record(participant_created(after, everyone))
            elif after != before:
                tx.participants.change(after)
                tx.events.record(participant_updated(after, everyone))
            redemption = NewRedemption(
                id=new_id(),
                conversation_share_id=share.id,
                redeemed_by_user_id=principal.id,
                conversation_permission=after.conversation_permission,
                new_participant=before is None or not before.active_participant,
                created_datetime=now,
            )
            tx.shares.redeem(redemption)
        return Redemption(
            id=redemption.id,
            conversation_share_id=share.id,
            conversation_id=share.conversation_id,
            redeemed_by_user=user,
            conversation_permission=redemption.conversation_permission,
            new_participant=redemption.new_participant,
            created_datetime=now,
        )

    async def redemptions_of(self, principal: Principal, share_id: UUID) -> RedemptionList:
        """Who took up a share of the caller's; of anybody else's, and of none, an empty list."""
        async with self._transactions.read(principal.workspace_id) as tx:
            share = await tx.shares.find(share_id)
            if share is None or share.owner.id != principal.id:
                return RedemptionList(conversation_share_redemptions=[])
            return RedemptionList(conversation_share_redemptions=[*await tx.shares.redemptions_of(share_id)])

    async def redeemed(self, principal: Principal) -> RedemptionList:
        """What the caller took up."""
        async with self._transactions.read(principal.workspace_id) as tx:
            return RedemptionList(conversation_share_redemptions=[*await tx.shares.redeemed_by(principal.id)])

    def _lets_in(self, share: StoredShare, token: str | None) -> bool:
        return share.opens_with(token) and share.may_be_redeemed(self._clock.now())


async def _shareable(tx: ShareTx, principal: Principal, conversation_id: UUID) -> tuple[str, str]:
    """The title and the owner of a conversation that the caller may share."""
    try:
        (await tx.participants.seat(conversation_id, principal)).require_administer()
        return await tx.shares.title_and_owner_of(conversation_id)
    except NotFoundError:
        raise _no_such_conversation() from None


def _no_such_conversation() -> InvalidError:
    return InvalidError("Conversation not found", code="conversation_not_found", field="conversation_id")


def _add(tx: ShareTx, new: NewShare, owner: User, title: str, now: datetime) -> Share:
    token = new_token() if new.with_token else None
    share = StoredShare(
        id=new_id(),
        owner=owner,
        conversation_id=new.conversation_id,
        conversation_title=title,
        label=new.label,
        conversation_permission=new.conversation_permission,
        is_redeemable=True,
        created_datetime=now,
        metadata=new.metadata,
        token_hash=None if token is None else hash_of(token),
        expires_datetime=new.expires_datetime,
    )
    tx.shares.add(share)
    return share.shown(token)
