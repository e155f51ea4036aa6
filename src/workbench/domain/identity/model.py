"""Who is acting."""

from typing import Literal

import msgspec

from workbench.domain.errors import UnauthenticatedError

Role = Literal["user", "assistant", "service"]

DEFAULT_WORKSPACE = "default"


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated caller, bound to one workspace.

    `id` is the user id, the assistant's UUID as text, or the assistant service id, as `role` says.
    `service_id` is the service that an assistant or a service speaks through; users have none.
    """

    workspace_id: str
    role: Role
    id: str
    name: str = ""
    service_id: str | None = None

    @property
    def is_user(self) -> bool:
        """Whether a person is acting."""
        return self.role == "user"


def require_role(principal: Principal, *roles: Role) -> None:
    """Let only callers of these kinds pass. Raises UnauthenticatedError, since other credentials would do."""
    if principal.role not in roles:
        raise UnauthenticatedError("Unauthorized", code="wrong_kind_of_caller")


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says of its sender, unproven."""

    bearer_token: str | None = None
    service_id: str | None = None
    api_key: str = ""
    assistant_id: str | None = None
