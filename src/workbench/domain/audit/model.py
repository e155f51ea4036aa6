"""An administrative act, before and after it is written down."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from workbench.domain.identity.model import Principal

ActorKind = Literal["user", "assistant", "service", "host", "operator"]
"""`operator`: whoever runs commands on the machine that has the settings."""

Act = Literal[
    "registration.created",
    "registration.changed",
    "registration.handed_over",
    "registration.removed",
    "key.reset",
    "dead_letter.replayed",
    "dead_letter.dropped",
    "conversation.deleted",
    "retention.set",
    "retention.run",
    "user.erased",
    "archive.exported",
    "archive.imported",
    "data.moved_in",
    "session.deleted",
    "playbook.imported",
    "playbook.published",
    "playbook.archived",
    "ticket_system.connected",
    "ticket_system.changed",
    "ticket_system.removed",
    "blueprint.stored",
    "blueprint.removed",
    "flow.started",
    "flow.stopped",
    "budget.set",
    "choices.set",
]


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who does something: a caller by their id, an operator by their login."""

    kind: ActorKind
    id: str

    @classmethod
    def of(cls, principal: Principal) -> "Actor":
        """The caller."""
        return cls(kind=principal.role, id=principal.id)


class NewAuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An act, and on what it was done. `detail` holds ids, counts and names of fields, never content or secrets."""

    actor: Actor
    act: Act
    subject: str
    detail: dict[str, Any] = {}


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An act that is written down; `correlation_id` is that of the request that it came with, if any."""

    id: UUID
    at: datetime
    actor_kind: ActorKind
    actor_id: str
    act: str
    subject: str
    detail: dict[str, Any]
    correlation_id: str
