"""What a step by hand has beside it: playbooks that were not followed yet, and resolved sessions like this one (7.5).

Both are looked up for who asks, whenever the step is shown, and never kept with it: another one may see other sessions.
"""

from uuid import UUID

import msgspec

from workbench.domain.identity.model import Principal
from workbench.domain.playbooks.shelf import shelf_of
from workbench.domain.playbooks.steps import told
from workbench.domain.transactions import Transactions
from workbench.domain.troubleshooting.guides import Guides
from workbench.domain.troubleshooting.known import report_of, seen
from workbench.domain.troubleshooting.likening import LikeningService
from workbench.domain.troubleshooting.ports import SessionTx
from workbench.domain.troubleshooting.sourcing import coming_near
from workbench.domain.troubleshooting.views import StepView

SOLVED_NAMED = 3


class ByHandService:
    """Puts beside steps by hand what may be of use."""

    def __init__(self, transactions: Transactions[SessionTx], guides: Guides, likening: LikeningService) -> None:
        self._transactions = transactions
        self._guides = guides
        self._likening = likening

    async def beside(self, principal: Principal, session_id: UUID, step: StepView) -> StepView:
        """A step for its asker: one by hand that is open has `candidates` and `similar`; all others are as they are.

        Raises NotFoundError where the session is gone.
        """
        if step.step_type != "manual" or step.answer is not None or step.is_superseded:
            return step
        async with self._transactions.read(principal.workspace_id) as tx:
            session = (await seen(tx, principal, session_id)).session
            shelf = await shelf_of(tx, self._guides.shelves, principal.workspace_id)
            followed = {each.key for each in await tx.session_steps.followed(session_id)}
        near = coming_near(shelf, report_of(session.intake), followed)
        solved = await self._likening.solved_like(principal, session, SOLVED_NAMED)
        context = {**step.content.context, "candidates": told(near), "similar": msgspec.to_builtins(solved)}
        return msgspec.structs.replace(step, content=msgspec.structs.replace(step.content, context=context))
