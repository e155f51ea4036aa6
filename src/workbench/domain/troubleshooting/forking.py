"""Taking up one of the ways that a reply in a chat proposes: it becomes a branch once somebody picks it (7.4)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from workbench.domain.errors import InvalidError
from workbench.domain.ids import new_id
from workbench.domain.messages.model import Message
from workbench.domain.troubleshooting.cases import Case, way_to
from workbench.domain.troubleshooting.chat_turns import CHAT, branch_of
from workbench.domain.troubleshooting.known import GUIDE_ID
from workbench.domain.troubleshooting.model import Branch, Session
from workbench.domain.troubleshooting.ports import ChatTx

MAX_OPTION = 120


class Pick(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which way is picked, of those that the reply of a turn proposed in its `fork`."""

    turn_id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    option: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_OPTION)]
    """One of its options, as it is written there."""


class Picked(msgspec.Struct, frozen=True, kw_only=True):
    """The session as it goes on there, and the branches to be stored for that."""

    session: Session
    branches: Sequence[Branch] = ()


async def pick_up_fork(tx: ChatTx, case: Case, pick: Pick, now: datetime) -> Picked:
    """Go on with what is picked; going back to what was picked before is the same.

    Raises InvalidError `unknown_fork` where no reply of that turn proposes anything, `unknown_option` for what it does not.
    """
    session = case.session
    turn = await tx.turns.find(session.conversation_id, pick.turn_id)
    said = await tx.messages.find(turn.output_message_id) if turn and turn.assistant_id == GUIDE_ID else None
    options: Sequence[str] = _proposed(said.message) if said else []
    if said is None or not options:
        raise InvalidError("There is no such fork", code="unknown_fork", field="fork.turn_id")
    if pick.option not in options:
        raise InvalidError("The fork has no such option", code="unknown_option", field="fork.option")
    return taken_up(case, branch_of(said.message), pick.option, now)


def taken_up(case: Case, proposed_on: UUID | None, label: str, now: datetime) -> Picked:
    """Go on with a way that was proposed on a branch. Those that are left by that are dead ends, as long as they are."""
    root, session = case.branches[0], case.session
    parent_id = proposed_on if proposed_on in {each.id for each in case.branches} else root.id
    picked = next((each for each in case.branches if (each.parent_branch_id, each.label) == (parent_id, label)), None)
    picked = picked or Branch(id=new_id(), label=label, created_at=now, parent_branch_id=parent_id)
    active_id = session.active_branch_id or root.id
    if picked.id == active_id:
        return Picked(session=session)
    known = {**{each.id: each for each in case.branches}, picked.id: picked}
    way = way_to(tuple(known.values()), picked.id)
    left = [known[each] for each in way_to(case.branches, active_id) if each not in way]
    followed = [known[each] for each in way if each != root.id]
    return Picked(
        session=msgspec.structs.replace(session, is_branching=True, active_branch_id=picked.id),
        branches=[
            *(msgspec.structs.replace(each, status="chosen") for each in followed),
            *(msgspec.structs.replace(each, status="dead_end") for each in left),
        ],
    )


def _proposed(said: Message) -> Sequence[str]:
    told: dict[str, Any] = said.metadata.get(CHAT) or {}
    fork: dict[str, Any] = told.get("fork") or {}
    return fork.get("options", [])
