"""A share of a conversation, and its redemptions."""

import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from workbench.domain.participants.model import Participant, Permission
from workbench.domain.users.model import User

MAX_LABEL_LENGTH = 4096
TOKEN_BYTES = 16


class NewShare(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. With `with_token` the id alone lets nobody in: the token goes with it."""

    conversation_id: UUID
    label: Annotated[str, msgspec.Meta(max_length=MAX_LABEL_LENGTH)]
    conversation_permission: Permission
    metadata: dict[str, Any] = {}
    with_token: bool = False
    expires_datetime: datetime | None = None


class StoredShare(msgspec.Struct, frozen=True, kw_only=True):
    """A share as it is stored, and what is shown with it; of its token only a hash is kept."""

    id: UUID
    owner: User
    conversation_id: UUID
    conversation_title: str
    label: str
    conversation_permission: Permission
    is_redeemable: bool
    created_datetime: datetime
    metadata: dict[str, Any]
    token_hash: str | None = None
    expires_datetime: datetime | None = None

    def may_be_redeemed(self, now: datetime) -> bool:
        """Whether it still lets people in."""
        return self.is_redeemable and (self.expires_datetime is None or now < self.expires_datetime)

    def opens_with(self, token: str | None) -> bool:
        """Whether this is its token, if it has one; compared in constant time."""
        if self.token_hash is None:
            return True
        return token is not None and hmac.compare_digest(self.token_hash, hash_of(token))

    def shown(self, token: str | None = None) -> "Share":
        """As the wire has it; the token is shown to its maker, once."""
        return Share(
            id=self.id,
            owner_id=self.owner.id,
            label=self.label,
            created_by_user=self.owner,
            conversation_id=self.conversation_id,
            conversation_title=self.conversation_title,
            conversation_permission=self.conversation_permission,
            is_redeemable=self.is_redeemable,
            created_datetime=self.created_datetime.strftime("%Y-%m-%dT%H:%M:%S.%f"),
            metadata=self.metadata,
            expires_datetime=UNSET if self.expires_datetime is None else self.expires_datetime,
            needs_token=UNSET if self.token_hash is None else True,
            token=UNSET if token is None else token,
        )


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A share. The contract's front end adds a zone to `created_datetime` itself, so this one has none; it is UTC.

    The last three members are there only where they say something.
    """

    id: UUID
    owner_id: str
    label: str
    created_by_user: User
    conversation_id: UUID
    conversation_title: str
    conversation_permission: Permission
    is_redeemable: bool
    created_datetime: str
    metadata: dict[str, Any]
    expires_datetime: datetime | UnsetType = UNSET
    needs_token: bool | UnsetType = UNSET
    token: str | UnsetType = UNSET


class ShareList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list."""

    conversation_shares: list[Share]


class ShareFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the caller's shares."""

    include_unredeemable: bool = False
    conversation_id: UUID | None = None


class NewRedemption(msgspec.Struct, frozen=True, kw_only=True):
    """A share that was taken up: with which permission it left its redeemer, and whether they were new."""

    id: UUID
    conversation_share_id: UUID
    redeemed_by_user_id: str
    conversation_permission: Permission
    new_participant: bool
    created_datetime: datetime


class Redemption(msgspec.Struct, frozen=True, kw_only=True):
    """The same, as the wire has it."""

    id: UUID
    conversation_share_id: UUID
    conversation_id: UUID
    redeemed_by_user: User
    conversation_permission: Permission
    new_participant: bool
    created_datetime: datetime


class RedemptionList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list."""

    conversation_share_redemptions: list[Redemption]


def admitted(before: Participant | None, user: User, share: StoredShare, now: datetime) -> Participant:
    """Seat somebody by a share.

    Who is there gains, but never loses by it; who was removed comes back with what the share gives.
    """
    if before is None:
        newcomer = Participant.of_user(share.conversation_id, user.id, user.name, user.image, now)
        return msgspec.structs.replace(newcomer, conversation_permission=share.conversation_permission)
    if not before.active_participant:
        return msgspec.structs.replace(
            before, active_participant=True, conversation_permission=share.conversation_permission
        )
    if share.conversation_permission == "read_write":
        return msgspec.structs.replace(before, conversation_permission="read_write")
    return before


def new_token() -> str:
    """128 random bits in URL-safe text."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_of(token: str) -> str:
    """What is kept of a token: it is random, so that a plain hash cannot be guessed back."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
