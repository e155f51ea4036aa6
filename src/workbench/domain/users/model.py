"""A person, or the service itself, as the service knows them."""

from datetime import datetime
from typing import Annotated

import msgspec

MAX_NAME_LENGTH = 1024
MAX_IMAGE_LENGTH = 256 * 1024

SERVICE_USER_ID = "semantic-workbench"
"""The built-in user that stands as the creator of services that registered themselves."""
SERVICE_USER_NAME = "Semantic Workbench Service"


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person with a row of their own in one workspace."""

    id: str
    name: str
    image: str | None
    service_user: bool
    created_datetime: datetime


class StoredUser(User, frozen=True, kw_only=True):
    """What is kept beside the public part.

    `name_is_chosen` says that the name was chosen here, so that a token no longer sets it. The rest is what the last token
    said that came: so it is known of those who are away as well.
    """

    name_is_chosen: bool = False
    works_on_sessions: bool = True
    team_ids: tuple[str, ...] = ()

    def public(self) -> User:
        """The part that others may see."""
        return User(
            id=self.id,
            name=self.name,
            image=self.image,
            service_user=self.service_user,
            created_datetime=self.created_datetime,
        )


class UserChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a user says of themselves. Absent: unchanged; a null name: unchanged; a null image: removed."""

    name: Annotated[str, msgspec.Meta(max_length=MAX_NAME_LENGTH)] | msgspec.UnsetType | None = msgspec.UNSET
    image: Annotated[str, msgspec.Meta(max_length=MAX_IMAGE_LENGTH)] | msgspec.UnsetType | None = msgspec.UNSET


class UserList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list."""

    users: list[User]
