"""What playbooks need: their texts read, and what a workspace has of its own stored."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol
from uuid import UUID

import msgspec

from workbench.domain.audit.ports import AuditLog
from workbench.domain.playbooks.fields import Tree
from workbench.domain.playbooks.model import Playbook
from workbench.domain.playbooks.versions import PlaybookVersion, StoredPlaybook

WrittenAs = Literal["yaml", "json"]


class Documents(Protocol):
    """Reads the texts of playbooks."""

    def read(self, text: bytes, written_as: WrittenAs) -> Tree:
        """The document, its scalars as texts. Raises TooLargeError, and UnprocessableError with findings."""
        ...


class Starters(msgspec.Struct, frozen=True, kw_only=True):
    """The playbooks that come with the package, by their keys: as texts, and read."""

    texts: Mapping[str, str]
    documents: Mapping[str, Playbook]


class Playbooks(Protocol):
    """A workspace's own playbooks, and what it says of those that come with the package."""

    async def all(self) -> Sequence[StoredPlaybook]:
        """Every one that is stored, by its key."""
        ...

    async def find(self, key: str) -> StoredPlaybook | None:
        """The one that is stored under a key."""
        ...

    async def versions(self, playbook_id: UUID) -> Sequence[PlaybookVersion]:
        """All versions of one, the oldest first."""
        ...

    async def followed(self) -> Sequence[Playbook]:
        """The documents of the versions that new sessions follow."""
        ...

    def add(self, playbook: StoredPlaybook) -> None:
        """Store a new one."""
        ...

    def change(self, playbook: StoredPlaybook) -> None:
        """Store it as changed; stale where another did so since this block read it."""
        ...

    def add_version(self, playbook_id: UUID, version: PlaybookVersion) -> None:
        """Store a new version."""
        ...

    def mark_published(self, playbook_id: UUID, version: PlaybookVersion) -> None:
        """Store when a version was first published."""
        ...


class PlaybookReadTx(Protocol):
    """The slice of a transaction that finding a playbook touches."""

    @property
    def playbooks(self) -> Playbooks: ...


class PlaybookTx(PlaybookReadTx, Protocol):
    """The slice of a transaction that playbooks may touch."""

    @property
    def audit(self) -> AuditLog: ...
