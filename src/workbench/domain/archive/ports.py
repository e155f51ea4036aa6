"""What copies need to have stored."""

from collections.abc import AsyncIterable, AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol
from uuid import UUID

from workbench.domain.archive.model import ExportScope, PackedFile, Seated
from workbench.domain.assistants.ports import AssistantTx
from workbench.domain.contents.ports import Contents
from workbench.domain.files.ports import Files
from workbench.domain.jobs.ports import Jobs
from workbench.domain.messages.ports import Messages


class Copies(Protocol):
    """Copies what hangs on a conversation to another of the same workspace, however much it is."""

    def copy(self, source_id: UUID, target_id: UUID) -> None:
        """Copy messages with their debug data, files with their versions, and the active participants.

        All of them get ids of their own; order, times and senders stay. The bytes of files are shared. Stale where the
        source is gone.
        """
        ...


class CopyTx(AssistantTx, Protocol):
    """The slice of a transaction that copies may touch."""

    @property
    def files(self) -> Files: ...
    @property
    def copies(self) -> Copies: ...


class Exports(Protocol):
    """What of one workspace may be taken along, by users and by operators."""

    async def visible(self, user_id: str, conversation_ids: Sequence[UUID]) -> Sequence[UUID]:
        """Those of the conversations that the user sees."""
        ...

    async def administered_with(self, user_id: str, assistant_id: UUID) -> Sequence[UUID]:
        """The conversations in which the assistant is active, and which the user administers."""
        ...

    async def existing(self, conversation_ids: Sequence[UUID]) -> Sequence[UUID]:
        """Those of the conversations that there are, in order of id; none of an import that is under way."""
        ...

    async def with_assistant(self, assistant_id: UUID) -> Sequence[UUID]:
        """All conversations in which the assistant is active, in order of id; none of an import that is under way."""
        ...

    async def page(self, after: UUID | None, limit: int) -> Sequence[UUID]:
        """The next conversations in order of id; none of an import that is under way."""
        ...

    async def seated(self, conversation_ids: Sequence[UUID]) -> Sequence[Seated]:
        """The assistants that are active in the conversations."""
        ...

    async def online(self, assistant_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """Those of the assistants whose services are there, each with the id of its service."""
        ...


class ExportTx(AssistantTx, Protocol):
    """The slice of a transaction that exports may touch."""

    @property
    def exports(self) -> Exports: ...


class Snapshot(Protocol):
    """The records of an archive as they were at one moment."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How many records there are of each type."""
        ...

    def records(self) -> AsyncIterator[bytes]:
        """The lines of the archive's records, in pieces."""
        ...

    def files(self) -> AsyncIterator[PackedFile]:
        """The versions of files that the records name."""
        ...


class Snapshots(Protocol):
    """Takes snapshots."""

    def take(self, workspace_id: str, scope: ExportScope) -> AbstractAsyncContextManager[Snapshot]:
        """Read everything from one moment of the database, in constant memory; it is kept until the block ends."""
        ...


class Package(Protocol):
    """An archive while it is made, and then while it is sent."""

    async def add(self, path: str, chunks: AsyncIterable[bytes]) -> None:
        """Add a part; one after the other."""
        ...

    async def seal(self) -> int:
        """End it; answer with its size in bytes."""
        ...

    def read(self) -> AsyncIterator[bytes]:
        """Read it, once it is sealed; when that ends, however it does, the archive is gone."""
        ...

    async def discard(self) -> None:
        """Let it go."""
        ...


class Packer(Protocol):
    """Makes archives."""

    async def open(self) -> Package:
        """Begin one."""
        ...


class OpenedArchive(Protocol):
    """An archive that came in, found harmless. Reading raises InvalidError or TooLargeError."""

    @property
    def paths(self) -> Collection[str]:
        """What it holds."""
        ...

    def read(self, path: str) -> AsyncIterator[bytes]:
        """A part, in pieces."""
        ...


class Unpacker(Protocol):
    """Opens archives."""

    def open(self, chunks: AsyncIterable[bytes]) -> AbstractAsyncContextManager[OpenedArchive]:
        """Take an archive in, in constant memory; it is gone when the block ends."""
        ...


class Imports(Protocol):
    """What imports read and write beside the records of others."""

    async def titles_like(self, owner_id: str, title: str) -> Sequence[str]:
        """The titles of the owner's conversations that begin like this one, whatever their case."""
        ...

    async def file_bytes(self) -> int:
        """How many bytes of files there are in the workspace."""
        ...

    def open_workspace(self) -> None:
        """See to it that the workspace is known, as it is once anything has happened in it."""
        ...

    def attach_debug(self, message_id: UUID, data: dict[str, Any]) -> None:
        """Store the debug data of a message that is stored already."""
        ...


class ImportTx(CopyTx, Protocol):
    """The slice of a transaction that imports may touch."""

    @property
    def imports(self) -> Imports: ...
    @property
    def contents(self) -> Contents: ...
    @property
    def messages(self) -> Messages: ...
    @property
    def jobs(self) -> Jobs: ...
