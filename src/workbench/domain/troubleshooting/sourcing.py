"""What a model may go by besides the session itself: the nearest playbooks, solved sessions that are like it, and files."""

from collections.abc import Collection, Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from workbench.domain.contents.ports import ContentStore
from workbench.domain.files.model import Download
from workbench.domain.identity.model import Principal
from workbench.domain.playbooks.deciding import OFFERED
from workbench.domain.playbooks.matching import Candidate, Report
from workbench.domain.playbooks.model import Playbook
from workbench.domain.playbooks.shelf import Shelf
from workbench.domain.playbooks.steps import AtHand, LikeSession, NearPlaybook
from workbench.domain.troubleshooting.known import report_of
from workbench.domain.troubleshooting.masking import masked
from workbench.domain.troubleshooting.model import Session
from workbench.domain.troubleshooting.reading_uploads import read_uploads
from workbench.domain.troubleshooting.writers import Source

LEAST_SUPPORT = 0.15
"""What comes less near than that has a few words in common by chance."""
MAX_SOURCE = 1000
"""Characters of one source."""
MAX_FILES = 6000
"""Characters of all files together: they are shown with each answer anew, and what a use of models may take is bounded."""


class LikeCase(msgspec.Struct, frozen=True, kw_only=True):
    """A solved session that is like another one. `score` is from 0 to 1."""

    session_id: UUID
    title: str | None
    summary: str | None
    resolution: str
    score: float


class LikeCases(Protocol):
    """Whoever finds sessions that are like a report."""

    async def like(
        self, principal: Principal, report: Report, session_id: UUID | None, limit: int
    ) -> Sequence[LikeCase]:
        """Solved sessions that the caller may see, the one itself not among them, the most like first; in blocks of its own."""
        ...

    async def solved_like(self, principal: Principal, session: Session, limit: int) -> Sequence[LikeSession]:
        """The same of a session, stored or not, with those that the caller may only know of; for who has it in hand."""
        ...


class Supply(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to go by. `support` is how near the nearest comes, from 0 to 1; `unread` files are not shown."""

    sources: tuple[Source, ...] = ()
    support: float = 0.0
    candidates: Sequence[Candidate] = ()
    similar: Sequence[LikeCase] = ()
    unread: Sequence[str] = ()


class SupplyService:
    """Gathers what there is to go by, from whoever finds it."""

    def __init__(self, likes: LikeCases, store: ContentStore) -> None:
        self._likes = likes
        self._store = store

    async def of(
        self,
        principal: Principal,
        report: Report,
        shelf: Shelf,
        session_id: UUID | None = None,
        downloads: Sequence[Download] = (),
    ) -> Supply:
        """What there is for a report, and in files; outside any block."""
        candidates = coming_near(shelf, report)
        likes = await self._likes.like(principal, report, session_id, OFFERED)
        read = await read_uploads(self._store, downloads, MAX_FILES)
        scores = [*(each.score for each in candidates), *(each.score for each in likes), 0.0]
        return Supply(
            sources=(
                *(_of_playbook(each, shelf.playbooks[each.key].playbook) for each in candidates),
                *map(_of_session, likes),
                *read.sources,
            ),
            support=max(scores),
            candidates=candidates,
            similar=likes,
            unread=read.unread,
        )

    async def at_hand(self, principal: Principal, session: Session, shelf: Shelf, besides: Collection[str]) -> AtHand:
        """What there is for somebody who goes on by hand, besides the playbooks that were followed; outside any block."""
        near = coming_near(shelf, report_of(session.intake), besides)
        likes = await self._likes.solved_like(principal, session, OFFERED)
        return AtHand(
            playbooks=tuple(NearPlaybook(key=each.key, score=each.score) for each in near), sessions=tuple(likes)
        )


def coming_near(shelf: Shelf, report: Report, besides: Collection[str] = ()) -> list[Candidate]:
    """The playbooks that come near to a report, the nearest first, besides some that are known; at most three."""
    near = [each for each in shelf.index.ranked(report) if each.score >= LEAST_SUPPORT and each.key not in besides]
    return near[:OFFERED]


def _of_playbook(candidate: Candidate, playbook: Playbook) -> Source:
    lines = (f"{node.type}: {node.prompt}" for node in playbook.nodes.values())
    return Source(kind="playbook", id=candidate.key, title=playbook.title, text="\n".join(lines)[:MAX_SOURCE])


def _of_session(like: LikeCase) -> Source:
    text = "\n".join(part for part in (like.summary, f"Solved by: {like.resolution}") if part)
    return Source(
        kind="session", id=str(like.session_id), title=masked(like.title or ""), text=masked(text)[:MAX_SOURCE]
    )
