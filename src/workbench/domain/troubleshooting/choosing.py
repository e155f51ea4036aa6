"""Deciding for a workspace: whether solutions are shared in it, and whether its texts may go to a model (10.2, 10.3)."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.audit.ports import AuditLog
from workbench.domain.clock import Clock
from workbench.domain.embeddings.model import Descriptor
from workbench.domain.embeddings.ports import Embedders
from workbench.domain.errors import InvalidError
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.choices import Choice, Choices
from workbench.domain.troubleshooting.embedding import fill_space
from workbench.domain.troubleshooting.likening import SharingPolicy
from workbench.domain.troubleshooting.searches import SearchTx


class ChoosingTx(SearchTx, Protocol):
    """The slice of a transaction that deciding touches."""

    @property
    def audit(self) -> AuditLog:
        """What was decided by whom."""
        ...


class Effective(msgspec.Struct, frozen=True, kw_only=True):
    """What holds in a workspace, whoever decided it. Without a model there is none that texts could be sent to."""

    share_resolutions: bool
    embed_by_model: bool


class ChosenHere(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace decided itself, what holds in it, and by what its vectors are to be made."""

    workspace_id: str
    own: Choices
    effective: Effective
    embeds: Descriptor


class ChoosingService:
    """Decides for workspaces, on behalf of whoever runs the service."""

    def __init__(
        self, transactions: Transactions[ChoosingTx], embedders: Embedders, sharing: SharingPolicy, clock: Clock
    ) -> None:
        self._transactions = transactions
        self._embedders = embedders
        self._sharing = sharing
        self._clock = clock

    async def of_workspace(self, workspace_id: str) -> ChosenHere:
        """What is decided in a workspace."""
        async with self._transactions.read(workspace_id) as tx:
            own = await tx.choices.own()
        return self._shown(workspace_id, own)

    async def choose(self, workspace_id: str, change: Mapping[Choice, bool | None], actor: Actor) -> ChosenHere:
        """Decide; None leaves it to the settings again.

        Where vectors are to be made by something else from now on, a job makes them. Raises InvalidError
        `no_embedding_model` where there is no model that texts could be sent to.
        """
        if change.get("embed_by_model") and self._embedders.of(workspace_id, opted_in=True).is_local:
            raise InvalidError(
                "The settings name no model that makes vectors", code="no_embedding_model", field="embed_by_model"
            )
        return await retrying(lambda: self._choose(workspace_id, change, actor))

    async def _choose(self, workspace_id: str, change: Mapping[Choice, bool | None], actor: Actor) -> ChosenHere:
        async with self._transactions.write(workspace_id) as tx:
            before = await tx.choices.own()
            after = before.changed(change)
            for choice, wanted in change.items():
                tx.choices.choose(choice, wanted=wanted)
            descriptor = self._descriptor(workspace_id, after)
            if descriptor != self._descriptor(workspace_id, before):
                await fill_space(tx, descriptor, self._clock.now())
            detail = {"scope": "workspace", **change}
            tx.audit.record(NewAuditEntry(actor=actor, act="choices.set", subject=workspace_id, detail=detail))
        return self._shown(workspace_id, after)

    def _descriptor(self, workspace_id: str, own: Choices) -> Descriptor:
        return self._embedders.of(workspace_id, opted_in=own.embed_by_model).descriptor

    def _shown(self, workspace_id: str, own: Choices) -> ChosenHere:
        embedder = self._embedders.of(workspace_id, opted_in=own.embed_by_model)
        effective = Effective(
            share_resolutions=self._sharing.holds_in(workspace_id, own.share_resolutions),
            embed_by_model=not embedder.is_local,
        )
        return ChosenHere(workspace_id=workspace_id, own=own, effective=effective, embeds=embedder.descriptor)
