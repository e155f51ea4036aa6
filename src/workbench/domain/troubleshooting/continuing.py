"""Having a model write what comes next, once an answer is stored: the session is leased to it meanwhile (5.2).

Whoever stores the answer takes the lease in the same commit. The model is asked outside any block; then its step is
stored, if the lease is still the same. When the model fails the answer stays, and the same answer once more asks again.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.playbooks.shelf import Shelf, shelf_of
from workbench.domain.playbooks.steps import Step, manual_step
from workbench.domain.playbooks.walking import Walk
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.authoring import Authored, StepAuthor
from workbench.domain.troubleshooting.by_hand import equipped
from workbench.domain.troubleshooting.failures import ProviderError
from workbench.domain.troubleshooting.first_steps import told_of_problem
from workbench.domain.troubleshooting.generating import GeneratingService
from workbench.domain.troubleshooting.generations import Generation, GenerationType, OnUnavailable
from workbench.domain.troubleshooting.guides import Guides
from workbench.domain.troubleshooting.guiding import answered, understood
from workbench.domain.troubleshooting.known import (
    Known,
    ask,
    generation_in_progress,
    report_of,
    seen,
    stored,
    walk_of,
)
from workbench.domain.troubleshooting.model import Followed, Session, SessionStep
from workbench.domain.troubleshooting.ports import ChatTx, SessionTx
from workbench.domain.troubleshooting.situations import question_of, situation_of
from workbench.domain.troubleshooting.sourcing import Supply, SupplyService
from workbench.domain.troubleshooting.transitions import freed, touched
from workbench.domain.troubleshooting.uploads import attached
from workbench.domain.troubleshooting.views import FallbackReason


class Continued(msgspec.Struct, frozen=True, kw_only=True):
    """What came next: the session as it is stored then, and the step that is open now.

    `unread_uploads` came with the answer, and the model could not be shown them.
    """

    session: Session
    step: SessionStep
    fallback_reason: FallbackReason | None = None
    unread_uploads: Sequence[str] = ()


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a session stands whose last answer waits for what comes next."""

    found: Known
    before: Sequence[SessionStep]
    last: SessionStep
    walk: Walk | None
    otherwise: Step | None
    shelf: Shelf
    followed: frozenset[str]
    """The keys of the playbooks that the session took up."""
    came_with: Sequence[str] = ()
    """The names of the files that came with the last answer."""

    @property
    def prompts(self) -> list[str]:
        """What was asked already."""
        return [each.step.prompt for each in (*self.before, self.last)]


class ContinuingService:
    """Has models write what comes next."""

    def __init__(
        self,
        transactions: Transactions[ChatTx],
        guides: Guides,
        generating: GeneratingService,
        author: StepAuthor,
        supplies: SupplyService,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._guides = guides
        self.generating = generating
        self._author = author
        self._supplies = supplies
        self._clock = clock

    def serves(self, workspace_id: str) -> bool:
        """Whether there is a model for a workspace's sessions."""
        return self.generating.serves(workspace_id)

    def wished(self, principal: Principal, kind: GenerationType, session: Session) -> Generation:
        """A use of models that is about to be reserved; its key is that of the lease."""
        return Generation.wished(principal, kind, session, new_id())

    async def go_on(
        self, principal: Principal, session_id: UUID, generation: Generation, on_unavailable: OnUnavailable
    ) -> Continued:
        """Have the next step written of a session that is leased to this generation, and store it; outside any block.

        Raises ProviderError where the model fails, unless one goes on by hand.
        """
        reason: FallbackReason | None = None
        try:
            place, supply = await self._look(principal, session_id)
            try:
                authored = await self._write(generation, place, supply)
            except ProviderError:
                step = place.otherwise
                if step is None and on_unavailable == "error":
                    raise
                step = step or manual_step()
                authored, reason = Authored(step=step), "provider"
            authored = await self._equipped(principal, place, authored)
        except Exception:
            await self._give_back(principal.workspace_id, session_id, generation.key)
            raise
        continued = await retrying(lambda: self._store(principal, session_id, generation, authored))
        unread = [name for name in supply.unread if name in place.came_with]
        return msgspec.structs.replace(continued, fallback_reason=reason, unread_uploads=unread)

    async def _look(self, principal: Principal, session_id: UUID) -> tuple[_Place, Supply]:
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            followed = await tx.session_steps.followed(session_id)
            shelf = await shelf_of(tx, self._guides.shelves, principal.workspace_id)
            path = [step for step in found.case.path() if step.is_answered]
            files = await attached(tx, found.session, path)
        place = self._place(found, path, followed, shelf)
        place = msgspec.structs.replace(place, came_with=files.with_last)
        report = report_of(found.session.intake)
        return place, await self._supplies.of(principal, report, shelf, session_id, files.downloads)

    def _place(self, found: Known, path: Sequence[SessionStep], followed: Sequence[Followed], shelf: Shelf) -> _Place:
        before, last = path[:-1], path[-1]
        guidance = self._guides.guidance(found.session, followed, shelf, has_model=True)
        walk = walk_of(guidance, before, followed)
        otherwise = None
        if last.reading is not None and last.step.node_id is not None:
            otherwise = answered(guidance, walk, before, last.step, last.reading).otherwise
        return _Place(
            found=found,
            before=before,
            last=last,
            walk=walk,
            otherwise=otherwise,
            shelf=shelf,
            followed=frozenset(each.key for each in followed),
        )

    async def _equipped(self, principal: Principal, place: _Place, authored: Authored) -> Authored:
        """Whoever goes on by hand gets what there is for them."""
        if authored.step.step_type != "manual":
            return authored
        session = place.found.session
        at_hand = await self._supplies.at_hand(principal, session, place.shelf, place.followed)
        return msgspec.structs.replace(authored, step=equipped(authored.step, session, at_hand))

    async def _write(self, generation: Generation, place: _Place, supply: Supply) -> Authored:
        latest = place.found.latest
        situation = situation_of(
            place.found.session.intake,
            (*place.before, place.last),
            supply.sources,
            additional_context=latest.additional_context if latest else None,
            asked=question_of(place.last) if place.otherwise else None,
        )
        authored = await self._author.write(generation, situation, supply, place.prompts)
        if place.walk is None or place.otherwise is None:
            return authored
        step = understood(place.walk, place.before, place.last, authored.meant_option)
        return authored if step is None else Authored(step=step)

    async def _store(
        self, principal: Principal, session_id: UUID, generation: Generation, authored: Authored
    ) -> Continued:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found.require_allowed("respond", now)
            if found.session.lease_key != generation.key:
                raise generation_in_progress()
            told = told_of_problem(found.session, authored)
            session = msgspec.structs.replace(freed(touched(found.session, now)), **told)
            session, step = ask_next(tx, found, session, authored.step, now, generation.message_id)
        return Continued(session=session, step=step)

    async def _give_back(self, workspace_id: str, session_id: UUID, key: str) -> None:
        async def act() -> None:
            async with self._transactions.write(workspace_id) as tx:
                session = await tx.sessions.find(session_id)
                if session is not None and session.lease_key == key:
                    tx.sessions.change(freed(session))

        await retrying(act)


def ask_next(
    tx: SessionTx, found: Known, session: Session, step: Step, now: datetime, message_id: UUID | None = None
) -> tuple[Session, SessionStep]:
    """Ask a step behind the last one of the way that is followed, and store the session with it."""
    last = found.case.path()[-1]
    sure: dict[str, Any] = {}
    if step.confidence_score is not None:
        sure = {"confidence_score": step.confidence_score, "confidence_tier": step.confidence_tier}
    changed = msgspec.structs.replace(session, **sure)
    tx.sessions.change(changed)
    new = SessionStep(
        id=new_id(),
        branch_id=session.active_branch_id or last.branch_id,
        step_order=last.step_order + 1,
        step=step,
        asked_at=now,
    )
    return stored(changed), ask(tx, changed, new, now, message_id)
