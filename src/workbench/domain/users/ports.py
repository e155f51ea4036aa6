"""What users need to have stored."""

from collections.abc import Sequence
from typing import Protocol

from workbench.domain.identity.model import Principal
from workbench.domain.users.model import StoredUser, User


class Users(Protocol):
    """The people of one workspace."""

    async def find(self, user_id: str) -> StoredUser | None:
        """The user, if known."""
        ...

    async def visible_to(self, principal: Principal, user_ids: Sequence[str]) -> list[User]:
        """Those of the ids that share a conversation with the caller, in which both are active, or are the caller."""
        ...

    async def has_team(self, team_id: str) -> bool:
        """Whether anybody who was here belonged to the team."""
        ...

    def put(self, user: StoredUser) -> None:
        """Store the user, new or changed, and know of their teams from here on."""
        ...


class Nameplates(Protocol):
    """The copies of names and images that participants carry."""

    def rename(self, participant_id: str, name: str, image: str | None) -> None:
        """Write the name and image on every seat of that participant."""
        ...


class UserTx(Protocol):
    """The slice of a transaction that users may touch."""

    @property
    def users(self) -> Users: ...
    @property
    def nameplates(self) -> Nameplates: ...
