"""A session with what belongs to it, but for its steps, what was said and its lane: what lists show, and details too (5.4)."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from workbench.domain.errors import StaleError
from workbench.domain.tickets.model import PushStatus
from workbench.domain.troubleshooting.cases import followed_branch
from workbench.domain.troubleshooting.known import Known, names_of
from workbench.domain.troubleshooting.model import Branch, Escalation, Session
from workbench.domain.troubleshooting.ports import SessionTx


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """A session at one version. `names` are those of the people in it; `pushed` is how far the newest note to its ticket is.

    `is_waiting` says that a step of the way that is followed is open.
    """

    session: Session
    branches: Sequence[Branch]
    escalations: Sequence[Escalation]
    names: Mapping[str, str]
    is_waiting: bool
    lane_rev: int
    pushed: PushStatus | None


async def outlines(tx: SessionTx, sessions: Sequence[Session]) -> list[Outline]:
    """Read what belongs to the sessions of a page, in as many statements as for a single one.

    Raises StaleError where one of them was changed between the reads.
    """
    ids = [each.id for each in sessions]
    escalations = await tx.escalations.of_each(ids)
    everyone = await tx.participants.all_of_each([each.conversation_id for each in sessions])
    branches = await tx.session_steps.branches_of_each(ids)
    waiting = await tx.session_steps.waiting_of_each(ids)
    revs = await tx.lanes.revs_of_each(ids)
    pushed = await tx.pushes.newest_of_each(ids)
    if await tx.sessions.versions(ids) != {each.id: each.version for each in sessions}:
        raise StaleError
    return [
        Outline(
            session=each,
            branches=branches[each.id],
            escalations=escalations.get(each.id, ()),
            names=names_of(everyone.get(each.conversation_id, ())),
            is_waiting=followed_branch(each, branches[each.id]) in waiting.get(each.id, ()),
            lane_rev=revs.get(each.id, 0),
            pushed=pushed.get(each.id),
        )
        for each in sessions
    ]


def outline_of(found: Known, lane_rev: int, pushed: Mapping[UUID, PushStatus]) -> Outline:
    """The outline of a session that is read already with its steps."""
    case = found.case
    return Outline(
        session=case.session,
        branches=case.branches,
        escalations=case.escalations,
        names=case.names,
        is_waiting=case.open_step is not None,
        lane_rev=lane_rev,
        pushed=pushed.get(case.session.id),
    )
