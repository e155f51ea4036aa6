"""Everything that is known of a session at one version: what all its texts are made of (8)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from workbench.domain.troubleshooting.model import WORKING, Branch, Escalation, Session, SessionStep

GenerationState = Literal["idle", "running", "failed"]


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wrote in a chat."""

    at: datetime
    by: str
    text: str
    branch_id: UUID | None = None
    """The way that it was said on; without one it is the one that all others come from."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A session with its branches, steps and escalations, each in the order of making. `names` are display names of people."""

    session: Session
    branches: tuple[Branch, ...]
    steps: tuple[SessionStep, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    names: Mapping[str, str] = {}
    said: tuple[Said, ...] = ()
    """What was written in a chat, as far as it is told."""

    def name(self, person_id: str | None) -> str:
        """How a person is called."""
        return named(person_id, self.names)

    def path(self) -> list[SessionStep]:
        """The steps of the way that is followed, with those before it was forked, in their order."""
        return steps_of(self.branches, self.steps, self.session.active_branch_id or self.branches[0].id)

    def is_on_way(self, branch_id: UUID | None) -> bool:
        """Whether what was said on a branch belongs to the way that is followed."""
        root_id = self.branches[0].id
        return (branch_id or root_id) in way_to(self.branches, self.session.active_branch_id or root_id)

    def ruled_out(self) -> Iterator[SessionStep]:
        """The answered steps that no longer lead anywhere, for another way was taken."""
        current = {step.id for step in self.path()}
        yield from (step for step in self.steps if step.is_answered and step.id not in current)

    @property
    def open_step(self) -> SessionStep | None:
        """What waits for an answer on the way that is followed."""
        followed = followed_branch(self.session, self.branches)
        return next((step for step in self.steps if step.is_open and step.branch_id == followed), None)

    @property
    def environment(self) -> dict[str, str]:
        """What was told of the surroundings."""
        return {
            name: str(value)
            for name, value in sorted(self.session.intake.fields.items())
            if value is not None and str(value).strip()
        }


def named(person_id: str | None, names: Mapping[str, str]) -> str:
    """How a person is called, whom perhaps nobody can name any more."""
    return names.get(person_id or "", "somebody who has left")


def is_begun_by_model(case: Case) -> bool:
    """Whether nothing of a playbook stands at the beginning, so that a model may begin it anew."""
    first = case.steps[0].step if case.steps else None
    return first is not None and (first.source == "model" or first.step_type == "manual")


def generation_state(session: Session, now: datetime, *, is_waiting: bool) -> GenerationState:
    """Whether a model is at work on the next step, or failed to write one: then nothing is open where there should be.

    `is_waiting` says that a step of the way that is followed is open.
    """
    if session.is_leased(now):
        return "running"
    is_left = session.session_type == "guided" and session.status in WORKING and not is_waiting
    return "failed" if is_left else "idle"


def followed_branch(session: Session, branches: Sequence[Branch]) -> UUID:
    """The branch at the end of the way that is followed. Steps before it are answered: none that is open is on another."""
    return session.active_branch_id or branches[0].id


def way_to(branches: tuple[Branch, ...], branch_id: UUID) -> list[UUID]:
    """A branch and those that it comes from, the first of all at the beginning."""
    known = {each.id: each for each in branches}
    way: list[UUID] = []
    at: UUID | None = branch_id
    while at is not None:
        way.append(at)
        at = known[at].parent_branch_id if at in known else None
    return way[::-1]


def steps_of(branches: tuple[Branch, ...], steps: tuple[SessionStep, ...], branch_id: UUID) -> list[SessionStep]:
    """The steps of a branch: those of its parent before the one that is answered anew, then its own."""
    own = sorted((step for step in steps if step.branch_id == branch_id), key=lambda step: step.step_order)
    branch = next((each for each in branches if each.id == branch_id), None)
    if branch is None or branch.parent_branch_id is None:
        return own
    before = steps_of(branches, steps, branch.parent_branch_id)
    at = next((index for index, step in enumerate(before) if step.id == branch.forked_at_step_id), len(before))
    return before[:at] + own
