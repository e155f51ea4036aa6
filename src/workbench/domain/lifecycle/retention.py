"""Saying how long things are kept: an owner for a conversation, an operator for a workspace."""

from uuid import UUID

import msgspec
from msgspec import UNSET

from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.errors import NotFoundError
from workbench.domain.identity.model import Principal
from workbench.domain.lifecycle.model import (
    ConversationRetention,
    RetentionPolicy,
    Terms,
    WorkspaceRetention,
    WorkspaceRules,
)
from workbench.domain.lifecycle.ports import RetentionTx
from workbench.domain.transactions import Transactions


class RetentionService:
    """Acts about rules of retention. A conversation can keep things shorter than its workspace, never longer."""

    def __init__(self, transactions: Transactions[RetentionTx], policy: RetentionPolicy) -> None:
        self._transactions = transactions
        self._policy = policy

    async def of_conversation(self, principal: Principal, conversation_id: UUID) -> ConversationRetention:
        """How long things are kept in the caller's own conversation. Raises NotFoundError for anybody but its owner."""
        async with self._transactions.read(principal.workspace_id) as tx:
            await _require_own(tx, principal, conversation_id)
            own = await tx.retention.of_conversation(conversation_id)
            rules = await tx.retention.of_workspace()
        return self._shown(own, rules)

    async def set_conversation(
        self, principal: Principal, conversation_id: UUID, terms: Terms
    ) -> ConversationRetention:
        """Replace the terms of the caller's own conversation; null follows the workspace.

        Raises NotFoundError for anybody but its owner, InvalidError for less than delivery may take.
        """
        self._policy.check(terms)
        async with self._transactions.write(principal.workspace_id) as tx:
            await _require_own(tx, principal, conversation_id)
            rules = await tx.retention.of_workspace()
            tx.retention.set_conversation(conversation_id, terms)
            detail = {"scope": "conversation", **msgspec.structs.asdict(terms)}
            tx.audit.record(
                NewAuditEntry(
                    actor=Actor.of(principal), act="retention.set", subject=str(conversation_id), detail=detail
                )
            )
        return self._shown(terms, rules)

    async def of_workspace(self, workspace_id: str) -> WorkspaceRetention:
        """How long things are kept in a workspace."""
        async with self._transactions.read(workspace_id) as tx:
            rules = await tx.retention.of_workspace()
        return self._of_workspace(workspace_id, rules)

    async def set_workspace(
        self, workspace_id: str, change: WorkspaceRules, to_default: frozenset[str], actor: Actor
    ) -> WorkspaceRetention:
        """Change a workspace's rules; `to_default` names those that follow the settings again. Raises InvalidError."""
        self._policy.check(change)
        async with self._transactions.write(workspace_id) as tx:
            rules = (await tx.retention.of_workspace()).changed(change, to_default)
            tx.retention.set_workspace(rules)
            own = {name: days for name, days in msgspec.structs.asdict(rules).items() if days is not UNSET}
            tx.audit.record(
                NewAuditEntry(
                    actor=actor, act="retention.set", subject=workspace_id, detail={"scope": "workspace", **own}
                )
            )
        return self._of_workspace(workspace_id, rules)

    def _of_workspace(self, workspace_id: str, rules: WorkspaceRules) -> WorkspaceRetention:
        return WorkspaceRetention(workspace_id=workspace_id, own=rules, effective=rules.over(self._policy.defaults))

    def _shown(self, own: Terms, rules: WorkspaceRules) -> ConversationRetention:
        effective = own.within(rules.over(self._policy.defaults))
        return ConversationRetention(**msgspec.structs.asdict(own), effective=effective)


async def _require_own(tx: RetentionTx, principal: Principal, conversation_id: UUID) -> None:
    seat = await tx.participants.seat(conversation_id, principal)
    seat.require_see()
    if not seat.owns:
        raise NotFoundError
