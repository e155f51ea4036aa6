"""One use of models for a session: what it is for, at whose expense, what settings say of it, and how it is counted (6)."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol
from uuid import UUID

import msgspec

from workbench.domain.budgets.model import Spend
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_hex_id
from workbench.domain.troubleshooting.failures import FailureKind
from workbench.domain.troubleshooting.model import Session
from workbench.domain.troubleshooting.quotas import DenyReason, Plan
from workbench.domain.usage.model import ReportedCall

GenerationType = Literal[
    "flowpilot_start",
    "flowpilot_respond",
    "flowpilot_pickup",
    "chat_message",
    "flowpilot_documentation",
    "flowpilot_status_update",
    "flowpilot_output",
]
CountFailed = Literal["billed", "all", "none"]
"""Which failures count as much as what went well: those that tokens were billed for, all of them, or none."""
OnUnavailable = Literal["error", "manual"]
"""What is done where a model is not to be had: the request fails, or one goes on by hand."""
Outcome = Literal["done", "cancelled", "internal"] | FailureKind
"""How a use of models ended."""


class ServingModels(msgspec.Struct, frozen=True, kw_only=True):
    """Which models serve the sessions of a workspace, in the order in which they are asked; and its plan."""

    models: tuple[str, ...] = ()
    plan: Plan = "unlimited"


class GenerationPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What settings say of models for sessions: of single workspaces, and of all others."""

    usual: ServingModels = ServingModels()
    workspaces: Mapping[str, ServingModels] = {}
    count_failed: CountFailed = "billed"

    def serving(self, workspace_id: str) -> ServingModels:
        """What holds in a workspace."""
        return self.workspaces.get(workspace_id, self.usual)


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """One use of models, and whose expense it is.

    Without a `user_id` it is nobody's wish: it counts against the workspace alone. `message_id` is of the message that
    will hold what is written; if nothing comes of it, there will be none. Of a session that is about to begin the same
    goes for the session and its conversation. `turn_pk` is of the turn that it is asked in, which is there in any case.
    """

    type: GenerationType
    workspace_id: str
    owner_id: str
    key: str
    user_id: str | None = None
    is_exempt: bool = False
    session_id: UUID | None = None
    conversation_id: UUID | None = None
    message_id: UUID | None = None
    turn_pk: UUID | None = None

    @classmethod
    def wished(
        cls,
        principal: Principal,
        kind: GenerationType,
        session: Session,
        message_id: UUID | None = None,
        turn_pk: UUID | None = None,
    ) -> "Generation":
        """What somebody asks for. Admins are never refused."""
        return cls(
            type=kind,
            workspace_id=principal.workspace_id,
            owner_id=session.owner_id,
            key=f"session {new_hex_id()}",
            user_id=principal.id,
            is_exempt=principal.is_admin,
            session_id=session.id,
            conversation_id=session.conversation_id,
            message_id=message_id,
            turn_pk=turn_pk,
        )

    @classmethod
    def of_job(cls, workspace_id: str, kind: GenerationType, session: Session) -> "Generation":
        """What a job makes, at the workspace's expense."""
        return cls(
            type=kind,
            workspace_id=workspace_id,
            owner_id=session.owner_id,
            key=f"session {new_hex_id()}",
            session_id=session.id,
            conversation_id=session.conversation_id,
        )

    @property
    def spend(self) -> Spend:
        """What is reserved for it."""
        return Spend(key=self.key, user_id=self.user_id, generations=1, is_exempt=self.is_exempt)


class GenerationMeter(Protocol):
    """Counts uses of models, for operators."""

    def asked(self, kind: GenerationType, provider: str | None, outcome: Outcome) -> None:
        """Count a model that was asked, by whose it is as far as it said a word; a use may ask one after the other."""
        ...

    def generated(self, kind: GenerationType, seconds: float, calls: Sequence[ReportedCall]) -> None:
        """Note how long a use took, and the tokens of its calls."""
        ...

    def denied(self, reason: DenyReason) -> None:
        """Count a use that was refused, by the allowance that is used up."""
        ...
