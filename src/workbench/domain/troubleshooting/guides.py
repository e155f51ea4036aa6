"""What sessions go by: the playbooks there are, and the measure of how well they fit."""

from collections.abc import Sequence

from workbench.domain.playbooks.confidence import Thresholds
from workbench.domain.playbooks.shelf import Shelf, Shelves
from workbench.domain.troubleshooting.guiding import Guidance
from workbench.domain.troubleshooting.known import inputs_of
from workbench.domain.troubleshooting.model import Followed, Session


class Guides:
    """The playbooks there are, and the measure of how well they fit."""

    def __init__(self, shelves: Shelves, thresholds: Thresholds) -> None:
        self.shelves = shelves
        self.thresholds = thresholds

    def guidance(
        self, session: Session, followed: Sequence[Followed], shelf: Shelf | None, *, has_model: bool
    ) -> Guidance:
        """What a session has to go by; what it follows already is as it was when it took it up."""
        offered = {key: each.playbook for key, each in shelf.playbooks.items()} if shelf else {}
        return Guidance(
            playbooks={**offered, **{each.key: each.document for each in followed}},
            thresholds=self.thresholds,
            inputs=inputs_of(session.intake),
            has_model=has_model,
        )
