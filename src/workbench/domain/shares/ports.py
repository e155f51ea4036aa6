"""What shares need to have stored."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from workbench.domain.participants.ports import ParticipantTx
from workbench.domain.shares.model import NewRedemption, Redemption, ShareFilter, StoredShare


class Shares(Protocol):
    """The shares of one workspace and their redemptions."""

    async def find(self, share_id: UUID) -> StoredShare | None:
        """The share."""
        ...

    async def owned_by(self, user_id: str, wanted: ShareFilter) -> Sequence[StoredShare]:
        """The user's shares, the oldest first."""
        ...

    async def title_and_owner_of(self, conversation_id: UUID) -> tuple[str, str]:
        """A conversation's title and its owner's id. Raises NotFoundError."""
        ...

    async def redemptions_of(self, share_id: UUID) -> Sequence[Redemption]:
        """Who took the share up, the first first."""
        ...

    async def redeemed_by(self, user_id: str) -> Sequence[Redemption]:
        """What the user took up, the first first."""
        ...

    def add(self, share: StoredShare) -> None:
        """Store a new share; the name and image of its owner are not stored with it."""
        ...

    def redeem(self, redemption: NewRedemption) -> None:
        """Note that a share was taken up; stale where it is gone."""
        ...

    def remove(self, share: StoredShare) -> None:
        """Forget the share and its redemptions; stale where it is gone already."""
        ...


class ShareTx(ParticipantTx, Protocol):
    """The slice of a transaction that shares may touch."""

    @property
    def shares(self) -> Shares: ...
