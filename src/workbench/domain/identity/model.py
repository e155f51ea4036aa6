"""Who is acting."""

import hmac
from datetime import datetime
from typing import Literal

import msgspec

from workbench.domain.errors import UnauthenticatedError

Role = Literal["user", "assistant", "service", "host"]

DEFAULT_WORKSPACE = "default"
EVERYWHERE = "*"
"""Stands for the workspace of what belongs to all of them. No workspace of anybody's is called so."""

MODEL_SERVICE_ID = "workbench.model"
FLOW_SERVICE_ID = "workbench.flow"
HOST_ID = "workbench.flow-host"
RESIDENT_SERVICE_IDS = frozenset({MODEL_SERVICE_ID, FLOW_SERVICE_ID})
"""Assistant services that live inside this one: there is one for all workspaces, and no caller can speak as it."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated caller, bound to one workspace.

    `id` is the user id, the assistant's UUID as text, or the assistant service id, as `role` says. A host runs services
    of flows of all workspaces, and is in none of them.
    `service_id` is the service that an assistant or a service speaks through; users have none. `has_old_key` says
    that it still shows the key from before a reset. `is_admin` lets a user see what everybody in the workspace used,
    and set budgets. `works_on_sessions` lets a user work on troubleshooting sessions, `writes_playbooks` import and
    publish playbooks. `team_ids` are the teams that a user belongs to. `connects_ticket_systems` lets a user say where
    tickets are, and with which keys. All of it is what credentials said that run out at `expires` (in seconds since
    1970; None where they do not), which those have to heed who act for a principal long after.
    """

    workspace_id: str
    role: Role
    id: str
    name: str = ""
    service_id: str | None = None
    has_old_key: bool = False
    is_admin: bool = False
    works_on_sessions: bool = True
    writes_playbooks: bool = True
    team_ids: frozenset[str] = frozenset()
    connects_ticket_systems: bool = False
    expires: float | None = None

    @property
    def is_user(self) -> bool:
        """Whether a person is acting."""
        return self.role == "user"

    def is_over(self, at: datetime) -> bool:
        """Whether the credentials had run out by then."""
        return self.expires is not None and self.expires <= at.timestamp()


def require_role(principal: Principal, *roles: Role) -> None:
    """Let only callers of these kinds pass. Raises UnauthenticatedError, since other credentials would do."""
    if principal.role not in roles:
        raise UnauthenticatedError("Unauthorized", code="wrong_kind_of_caller")


class ServiceKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What a service may show as its key: the current one and, for a time after a reset, the one before."""

    current: str
    expires: datetime | None = None
    previous: str | None = None
    previous_expires: datetime | None = None

    def which(self, shown: str, now: datetime) -> Literal["current", "previous"] | None:
        """Say which of the two this is, if it is one of them and has not run out; compared in constant time."""
        is_current, is_previous = _equal(self.current, shown), _equal(self.previous or "", shown)
        if is_current and not _is_over(self.expires, now):
            return "current"
        if self.previous and is_previous and not _is_over(self.previous_expires, now):
            return "previous"
        return None

    def replaced(self, key: str, expires: datetime | None, previous_expires: datetime | None) -> "ServiceKeys":
        """Put a new key in the place of the current one, which stays valid until `previous_expires`, if at all."""
        if previous_expires is None:
            return ServiceKeys(current=key, expires=expires)
        return ServiceKeys(current=key, expires=expires, previous=self.current, previous_expires=previous_expires)

    def for_calls(self, now: datetime, *, current_was_seen: bool) -> str:
        """The key that we show the service: the one before, until the service itself has come with the new one."""
        if not current_was_seen and self.previous and not _is_over(self.previous_expires, now):
            return self.previous
        return self.current


class HostTokens(msgspec.Struct, frozen=True):
    """What hosts of services of flows may show, as operators have set it."""

    tokens: tuple[str, ...] = ()

    def have(self, shown: str) -> bool:
        """Whether it is one of them, compared in constant time."""
        return any(_equal(token, shown) for token in self.tokens)


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _is_over(expires: datetime | None, now: datetime) -> bool:
    return expires is not None and expires <= now


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says of its sender, unproven."""

    bearer_token: str | None = None
    service_id: str | None = None
    api_key: str = ""
    assistant_id: str | None = None
