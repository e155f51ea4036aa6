"""Where sessions are found by words: what it needs to have stored, and what it answers with."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from workbench.domain.embeddings.ports import Spaces, VectorIndex
from workbench.domain.troubleshooting.choices import WorkspaceChoices
from workbench.domain.troubleshooting.documents import Document
from workbench.domain.troubleshooting.model import Resolution, Session, SessionStatus
from workbench.domain.troubleshooting.ports import SessionTx
from workbench.domain.troubleshooting.searching import Wanted


class Beholder(msgspec.Struct, frozen=True, kw_only=True):
    """Whose eyes it is found with. `with_resolved` lets them know of the resolved sessions of others as well."""

    person_id: str
    with_resolved: bool = False


class FoundSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session, and how well it fits; the score orders those of one answer, and means nothing beyond."""

    session: Session
    score: float


class Neighbour(msgspec.Struct, frozen=True, kw_only=True):
    """What counts of a session that somebody may know of, and whether they may see it."""

    id: UUID
    status: SessionStatus
    title: str | None
    problem_summary: str | None
    problem_domain: str | None
    matched_flow_id: UUID | None
    resolution: Resolution | None
    is_visible: bool


class StoredDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a session's words. One that is not current has to be made anew."""

    session_id: UUID
    version: int
    is_current: bool


class Searches(Protocol):
    """The words of one workspace's sessions."""

    async def find(self, person_id: str, wanted: Wanted, limit: int) -> Sequence[FoundSession]:
        """The sessions with those words that the person may see, the best first."""
        ...

    async def alike(self, beholder: Beholder, words: Collection[str], limit: int) -> Sequence[UUID]:
        """The sessions with any of those words, which few have, that the beholder may know of, the best first."""
        ...

    async def sharing(self, words: Collection[str], limit: int) -> Collection[UUID]:
        """Sessions with any of those words, whoever may see them."""
        ...

    async def frequencies(self, words: Collection[str], up_to: int) -> Mapping[str, int]:
        """In how many sessions each of the words is; counted no further than that."""
        ...

    async def count(self, up_to: int) -> int:
        """How many sessions there are; counted no further than that."""
        ...

    async def neighbours(self, beholder: Beholder, session_ids: Collection[UUID]) -> Sequence[Neighbour]:
        """Those of the sessions that the beholder may know of."""
        ...

    async def said_in(self, sessions: Collection[Session]) -> Mapping[UUID, Sequence[str]]:
        """What was answered in those sessions, and said by people in those that are chats; bounded, for showing finds."""
        ...

    async def sessions(self, session_ids: Collection[UUID]) -> Sequence[Session]:
        """Those of the sessions that are there."""
        ...

    async def hashes(self, session_ids: Collection[UUID]) -> Mapping[UUID, str]:
        """What tells the texts apart that those sessions are compared by now; none for those that are gone."""
        ...

    async def one(self, session_id: UUID) -> StoredDocument | None:
        """The document of a session."""
        ...

    async def behind(self, after: UUID | None, limit: int) -> Sequence[StoredDocument]:
        """The documents of the next sessions, by their ids."""
        ...

    def put(self, session_id: UUID, document: Document, read_version: int) -> None:
        """Store a document made anew; stale where another was stored since that version was read."""
        ...

    def outdate(self) -> None:
        """Have all documents made anew. Until then they are found as they are."""
        ...


class SearchTx(SessionTx, Protocol):
    """The slice of a transaction that finding sessions touches."""

    @property
    def searches(self) -> Searches:
        """The words of sessions."""
        ...

    @property
    def choices(self) -> WorkspaceChoices:
        """What the workspace decided about finding them."""
        ...

    @property
    def spaces(self) -> Spaces:
        """In which their vectors are."""
        ...

    @property
    def vectors(self) -> VectorIndex:
        """Their vectors."""
        ...
