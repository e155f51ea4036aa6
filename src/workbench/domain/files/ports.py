"""What files need to have stored."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from workbench.domain.contents.ports import ContentTx
from workbench.domain.events.ports import EventRecorder
from workbench.domain.files.model import (
    Download,
    FileAtVersion,
    FileLimits,
    RoomUsed,
    StoredFile,
    StoredVersion,
)
from workbench.domain.participants.ports import Participants


class Files(Protocol):
    """The files of one workspace."""

    async def listed(self, conversation_id: UUID, prefix: str) -> Sequence[FileAtVersion]:
        """Those whose names begin so, by name, each at its newest version."""
        ...

    async def count(self, conversation_id: UUID) -> int:
        """How many there are."""
        ...

    async def named(self, conversation_id: UUID, filenames: Sequence[str]) -> Sequence[FileAtVersion]:
        """Those of these names, each at its newest version."""
        ...

    async def versions(self, conversation_id: UUID, filename: str, version: int | None) -> Sequence[FileAtVersion]:
        """The file at each of its versions, or at the one asked for; the oldest first."""
        ...

    async def download(self, conversation_id: UUID, filename: str, version: int | None) -> Download | None:
        """Where the bytes of a version lie, by default those of the newest."""
        ...

    async def room_used(self, conversation_id: UUID) -> RoomUsed:
        """How many bytes of files there are."""
        ...

    def add(self, file: StoredFile, *versions: StoredVersion) -> None:
        """Store a new file with its versions; stale where one of its name came first."""
        ...

    def add_version(self, file: StoredFile, version: StoredVersion) -> None:
        """Store a further version of the file as it was read; stale where the file changed since."""
        ...

    def change(self, found: FileAtVersion) -> None:
        """Store a version's metadata; stale where the file changed since it was read."""
        ...

    def remove(self, file: StoredFile) -> None:
        """Forget the file with all its versions, and give back the room they took; stale where it changed since."""
        ...

    def take_room(self, conversation_id: UUID, more: int, limits: FileLimits) -> None:
        """Count so many more bytes; stale where they do not fit in any more."""
        ...


class FileTx(ContentTx, Protocol):
    """The slice of a transaction that files may touch."""

    @property
    def participants(self) -> Participants: ...
    @property
    def files(self) -> Files: ...
    @property
    def events(self) -> EventRecorder: ...
