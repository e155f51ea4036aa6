"""What a step by hand has beside it: playbooks that were not followed yet, and resolved sessions like this one (7.5).

Both are looked for when the step is made, for who is asked it, and only what they are known by is kept with the step. What
is shown of them is looked up for who reads it, whenever it is read: another one may see other sessions.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from workbench.domain.identity.model import Principal
from workbench.domain.playbooks.shelf import shelf_of
from workbench.domain.playbooks.steps import AtHand, LikeSession, NearPlaybook, Step
from workbench.domain.transactions import Transactions
from workbench.domain.troubleshooting.guides import Guides
from workbench.domain.troubleshooting.likening import LikeningService
from workbench.domain.troubleshooting.model import Session, SessionStep
from workbench.domain.troubleshooting.ports import SessionTx
from workbench.domain.troubleshooting.showing import step_view
from workbench.domain.troubleshooting.sourcing import SupplyService
from workbench.domain.troubleshooting.views import StepView

T = TypeVar("T")

SOLVED_NAMED = 3
SOLVED_KEPT = 6
"""Of a step that is asked anew: what who takes over found, and behind that what was found before, for who still reads it."""


class EmptyHandedError(Exception):
    """A block is about to ask a step by hand for which nothing was looked for: that is done with no block open."""

    def __init__(self, session: Session) -> None:
        super().__init__("what is at hand is looked for outside of blocks")
        self.session = session


def require_at_hand(session: Session, at_hand: AtHand | None) -> AtHand:
    """What was looked for. Raises EmptyHandedError where nothing was yet."""
    if at_hand is None:
        raise EmptyHandedError(session)
    return at_hand


def equipped(step: Step, session: Session, at_hand: AtHand | None) -> Step:
    """A step that is about to be asked: one by hand gets what is at hand, all others are as they are.

    Raises EmptyHandedError where nothing was looked for yet.
    """
    if step.step_type != "manual":
        return step
    found, before = require_at_hand(session, at_hand), step.at_hand or AtHand()
    likes: dict[Any, LikeSession] = {}
    for like in (*found.sessions, *before.sessions):
        likes.setdefault(like.session_id, like)
    kept = AtHand(playbooks=found.playbooks, sessions=tuple(likes.values())[:SOLVED_KEPT])
    return msgspec.structs.replace(step, at_hand=kept)


class ByHandService:
    """Looks for what may be of use to who goes on by hand, and shows it."""

    def __init__(
        self,
        transactions: Transactions[SessionTx],
        guides: Guides,
        supplies: SupplyService,
        likening: LikeningService,
    ) -> None:
        self._transactions = transactions
        self._guides = guides
        self._supplies = supplies
        self._likening = likening

    async def prepared(self, principal: Principal, act: Callable[[AtHand | None], Awaitable[T]]) -> T:
        """Act; where a step by hand comes of it, act once more with what was looked for meanwhile. The first left nothing."""
        try:
            return await act(None)
        except EmptyHandedError as empty:
            session = empty.session
        at_hand = await self.look(principal, session)
        return await act(at_hand)

    async def look(self, principal: Principal, session: Session) -> AtHand:
        """Look for what may be of use in a session, which need not be stored yet; outside any block."""
        async with self._transactions.read(principal.workspace_id) as tx:
            shelf = await shelf_of(tx, self._guides.shelves, principal.workspace_id)
            followed = {each.key for each in await tx.session_steps.followed(session.id)}
        return await self._supplies.at_hand(principal, session, shelf, followed)

    async def shown(self, principal: Principal, step: SessionStep) -> StepView:
        """A step for its reader: one by hand that is open has `candidates` and `similar`, all others are as they are."""
        view = step_view(step)
        if step.step.step_type != "manual" or not step.is_open:
            return view
        at_hand = step.step.at_hand or AtHand()
        similar = await self._likening.known_of(principal, at_hand.sessions)
        beside = {
            "candidates": await self._titled(principal, at_hand.playbooks),
            "similar": msgspec.to_builtins(similar[:SOLVED_NAMED]),
        }
        context = {**view.content.context, **beside}
        return msgspec.structs.replace(view, content=msgspec.structs.replace(view.content, context=context))

    async def _titled(self, principal: Principal, near: tuple[NearPlaybook, ...]) -> list[dict[str, Any]]:
        """Playbooks as people see them, as far as one may still choose them."""
        if not near:
            return []
        async with self._transactions.read(principal.workspace_id) as tx:
            playbooks = (await shelf_of(tx, self._guides.shelves, principal.workspace_id)).playbooks
        return [
            {"key": each.key, "title": playbooks[each.key].playbook.title, "score": each.score}
            for each in near
            if each.key in playbooks
        ]
