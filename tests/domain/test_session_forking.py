"""Ways that replies in a chat propose, and that are picked (7.4)."""

from uuid import UUID

import msgspec
from tests.support.clocks import START

from workbench.domain.ids import new_id
from workbench.domain.troubleshooting.cases import Case
from workbench.domain.troubleshooting.forking import taken_up
from workbench.domain.troubleshooting.foundations import new_session
from workbench.domain.troubleshooting.model import Branch, Intake


class Ways:
    """A chat whose ways are picked one after the other."""

    def __init__(self) -> None:
        session = new_session("ann", "chat", None, Intake(text="It buzzes"), START)
        root = Branch(id=session.active_branch_id or new_id(), label="Start", created_at=START)
        self.case = Case(session=session, branches=(root,))

    def pick(self, label: str, proposed_on: UUID | None = None) -> UUID:
        """Pick a way; its branch."""
        picked = taken_up(self.case, proposed_on, label, START)
        known = {each.id: each for each in (*self.case.branches, *picked.branches)}
        self.case = msgspec.structs.replace(self.case, session=picked.session, branches=tuple(known.values()))
        active = picked.session.active_branch_id
        assert active is not None
        assert self.case.is_on_way(active)
        return active

    @property
    def statuses(self) -> dict[str, str]:
        return {each.label: each.status for each in self.case.branches}


def test_what_is_left_is_a_dead_end_with_all_that_comes_from_it() -> None:
    ways = Ways()
    first = ways.pick("A")
    inner = ways.pick("X", proposed_on=first)
    assert ways.statuses == {"Start": "open", "A": "chosen", "X": "chosen"}
    ways.pick("B")
    assert ways.statuses == {"Start": "open", "A": "dead_end", "X": "dead_end", "B": "chosen"}
    assert not ways.case.is_on_way(inner)
    assert ways.case.is_on_way(None)


def test_who_goes_back_to_a_way_within_another_goes_back_to_both() -> None:
    ways = Ways()
    first = ways.pick("A")
    inner = ways.pick("X", proposed_on=first)
    ways.pick("B")
    assert ways.pick("X", proposed_on=first) == inner
    assert ways.statuses == {"Start": "open", "A": "chosen", "X": "chosen", "B": "dead_end"}
    assert ways.pick("A") == first
    assert ways.statuses == {"Start": "open", "A": "chosen", "X": "dead_end", "B": "dead_end"}


def test_the_same_option_of_another_fork_is_another_way() -> None:
    ways = Ways()
    first = ways.pick("A")
    assert ways.pick("A", proposed_on=first) != first
    assert len(ways.case.branches) == 3


def test_a_branch_that_is_not_there_is_the_first_one() -> None:
    ways = Ways()
    ways.pick("A", proposed_on=UUID(int=7))
    assert ways.case.branches[1].parent_branch_id == ways.case.branches[0].id
