"""Deciding for a workspace: whether solutions are shared in it, and whether its texts may go to a model (10.2, 10.3)."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.audit.ports import AuditLog
from workbench.domain.clock import Clock
from workbench.domain.embeddings.model import Descriptor
from workbench.domain.embeddings.ports import Embedders
from workbench.domain.errors import ForbiddenError, InvalidError
from workbench.domain.identity.model import Principal
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


class NewChoices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is decided; null leaves it to the settings again, and what is not named stays as it is."""

    share_resolutions: bool | msgspec.UnsetType | None = msgspec.UNSET
    embed_by_model: bool | msgspec.UnsetType | None = msgspec.UNSET

    def named(self) -> dict[Choice, bool | None]:
        """Only what is."""
        both: dict[Choice, bool | msgspec.UnsetType | None] = {
            "share_resolutions": self.share_resolutions,
            "embed_by_model": self.embed_by_model,
        }
        return {choice: wanted for choice, wanted in both.items() if wanted is not msgspec.UNSET}


class ChosenHere(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace decided itself, what holds in it, and by what its vectors are to be made."""

    workspace_id: str
    own: Choices
    effective: Effective
    embeds: Descriptor


class ChoosingService:
    """Decides for workspaces, on behalf of their admins and of whoever runs the service."""

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

    async def decide(self, principal: Principal, new: NewChoices) -> ChosenHere:
        """Decide for one's own workspace. Raises ForbiddenError for all but admins, InvalidError as `choose` does."""
        if not principal.is_admin:
            raise ForbiddenError("only admins decide for the workspace")
        named = new.named()
        if not named:
            return await self.of_workspace(principal.workspace_id)
        return await self.choose(principal.workspace_id, named, Actor.of(principal))

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
