"""The first step of a session where no playbook is sure to fit: a model writes it, or the playbooks are offered (7.3)."""

from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.playbooks.matching import Report
from workbench.domain.playbooks.shelf import Shelf
from workbench.domain.troubleshooting.authoring import Authored, StepAuthor
from workbench.domain.troubleshooting.failures import ProviderError
from workbench.domain.troubleshooting.generating import GeneratingService
from workbench.domain.troubleshooting.generations import Generation
from workbench.domain.troubleshooting.guiding import Following
from workbench.domain.troubleshooting.model import Session
from workbench.domain.troubleshooting.quotas import QuotaExceededError
from workbench.domain.troubleshooting.situations import situation_of
from workbench.domain.troubleshooting.sourcing import SupplyService
from workbench.domain.troubleshooting.views import FallbackReason


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What a session begins with: its first step, once there is one, and what a model says of the problem besides."""

    following: Following
    shelf: Shelf
    message_id: UUID | None = None
    """Of the message that asks the step, if it is known before."""
    told: dict[str, Any] = {}
    fallback_reason: FallbackReason | None = None


class FirstStepService:
    """Has models write first steps."""

    def __init__(self, generating: GeneratingService, author: StepAuthor, supplies: SupplyService) -> None:
        self._generating = generating
        self._author = author
        self._supplies = supplies

    def serves(self, workspace_id: str) -> bool:
        """Whether there is a model for a workspace's sessions."""
        return self._generating.serves(workspace_id)

    async def written(self, principal: Principal, session: Session, report: Report, opening: Opening) -> Opening:
        """Have the first step written of a session that is not stored yet; outside any block.

        Where that fails, the playbooks are offered that may fit. Raises QuotaExceededError, ProviderError where none does.
        """
        otherwise = opening.following.otherwise
        try:
            return await self._write(principal, session, report, opening)
        except QuotaExceededError:
            if otherwise is None:
                raise
            reason: FallbackReason = "quota"
        except ProviderError:
            if otherwise is None:
                raise
            reason = "provider"
        following = msgspec.structs.replace(opening.following, step=otherwise)
        return msgspec.structs.replace(opening, following=following, fallback_reason=reason)

    async def _write(self, principal: Principal, session: Session, report: Report, opening: Opening) -> Opening:
        message_id = new_id()
        generation = Generation.wished(principal, "flowpilot_start", session, message_id)
        supply = await self._supplies.of(principal, report, opening.shelf)
        await self._generating.admit(generation)
        situation = situation_of(session.intake, (), supply.sources)
        authored = await self._author.write(generation, situation, supply, ())
        following = msgspec.structs.replace(opening.following, step=authored.step)
        return msgspec.structs.replace(
            opening, following=following, message_id=message_id, told=told_of_problem(session, authored)
        )


def told_of_problem(session: Session, authored: Authored) -> dict[str, Any]:
    """What a model says of a problem, as far as nobody knew it, or only the report's first words did."""
    told: dict[str, Any] = {}
    if session.problem_domain is None and authored.problem_domain:
        told["problem_domain"] = authored.problem_domain
    if authored.problem_summary and session.step_count == 0:
        told["problem_summary"] = authored.problem_summary
    return told
