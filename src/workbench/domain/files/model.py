"""A file of a conversation and its versions, and how much of them there may be."""

from collections.abc import AsyncIterable, AsyncIterator
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from workbench.domain.errors import InvalidError, TooLargeError
from workbench.domain.identity.model import Role
from workbench.domain.texts import read_json, without_nul

MAX_UPLOADS = 10
"""Files in one upload."""
MAX_NAME_LENGTH = 1024
MAX_CONTENT_TYPE_LENGTH = 255
MAX_VERSION = 2**31 - 1
"""More versions than a file can have; what a database keeps of a number ends there."""


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file as its newest version is: the last six fields but `current_version` tell of that."""

    conversation_id: UUID
    created_datetime: datetime
    updated_datetime: datetime
    filename: str
    current_version: int
    content_type: str
    file_size: int
    participant_id: str
    participant_role: Role
    metadata: dict[str, Any]


class FileList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list."""

    files: list[File]


class FileVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version, as it is listed."""

    version: int
    content_type: str
    file_size: int
    metadata: dict[str, Any]


class FileVersions(msgspec.Struct, frozen=True, kw_only=True):
    """A file with some or all of its versions, the oldest first."""

    conversation_id: UUID
    created_datetime: datetime
    filename: str
    current_version: int
    versions: list[FileVersion]


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it is stored; `revision` counts its changes."""

    id: UUID
    conversation_id: UUID
    filename: str
    current_version: int
    created_datetime: datetime
    revision: int = 0


class StoredVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version as it is stored: who sent it, and which content it is."""

    file_id: UUID
    version: int
    participant_id: str
    participant_role: Role
    created_datetime: datetime
    metadata: dict[str, Any]
    content_type: str
    file_size: int
    content_hash: str
    storage_filename: str

    @property
    def listed(self) -> FileVersion:
        """As the list of versions has it."""
        return FileVersion(
            version=self.version, content_type=self.content_type, file_size=self.file_size, metadata=self.metadata
        )


class FileAtVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A file and one of its versions."""

    file: StoredFile
    version: StoredVersion

    @property
    def shown(self) -> File:
        """As it is told; true of the newest version."""
        return File(
            conversation_id=self.file.conversation_id,
            created_datetime=self.file.created_datetime,
            updated_datetime=self.version.created_datetime,
            filename=self.file.filename,
            current_version=self.file.current_version,
            content_type=self.version.content_type,
            file_size=self.version.file_size,
            participant_id=self.version.participant_id,
            participant_role=self.version.participant_role,
            metadata=self.version.metadata,
        )

    def with_metadata(self, metadata: dict[str, Any]) -> "FileAtVersion":
        """The same with the metadata laid over, key by key."""
        version = msgspec.structs.replace(self.version, metadata={**self.version.metadata, **metadata})
        return FileAtVersion(file=self.file, version=version)


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """A version to be read, and where its bytes lie."""

    filename: str
    content_type: str
    size: int
    content_hash: str
    storage_key: str
    created_datetime: datetime


class FileLink(msgspec.Struct, frozen=True, kw_only=True):
    """A URL at which the file can be read without credentials until it expires."""

    url: str
    expires_datetime: datetime


class MetadataPatch(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata to lay over that of the newest version, key by key."""

    metadata: dict[str, Any]


class IncomingFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is being sent: its bytes are to be read before the next one's."""

    filename: str
    content_type: str
    chunks: AsyncIterable[bytes]


class UploadForm(Protocol):
    """An upload while it arrives."""

    def files(self) -> AsyncIterator[IncomingFile]:
        """The files, one after the other. Raises InvalidError where the form cannot be read."""
        ...

    def metadata(self) -> str | None:
        """The text sent as metadata, if any; known once all files have been read."""
        ...


class FileLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How large files may be, in bytes. All versions of all files count towards the last two."""

    file_bytes: int = 100 << 20
    conversation_bytes: int = 1 << 30
    workspace_bytes: int = 100 << 30

    def check_file(self, filename: str, size: int) -> None:
        """Raise TooLargeError where a file is larger than one may be."""
        if size > self.file_bytes:
            raise _over("file_bytes", f"{shortened(filename)} is over the limit of a file", self.file_bytes)

    def check_room(self, used: "RoomUsed", more: int) -> None:
        """Raise TooLargeError where so much more does not fit in beside what is there."""
        if used.conversation_bytes + more > self.conversation_bytes:
            raise _over(
                "conversation_bytes", "the files of this conversation are at their limit", self.conversation_bytes
            )
        if used.workspace_bytes + more > self.workspace_bytes:
            raise _over("workspace_bytes", "the files of this workspace are at their limit", self.workspace_bytes)


class RoomUsed(msgspec.Struct, frozen=True, kw_only=True):
    """How many bytes of files there are."""

    conversation_bytes: int
    workspace_bytes: int


def _over(limit: str, words: str, limit_bytes: int) -> TooLargeError:
    return TooLargeError(
        f"{words}, {limit_bytes} bytes",
        code="file_limit",
        field="files",
        extra={"limit": limit, "limit_bytes": limit_bytes},
    )


def storage_filename(file_id: UUID, version: int) -> str:
    """Name a version's bytes as archives do; there they lie under the SHA-256 of this name (contract, 3.7 and 6.1)."""
    return f"{file_id.hex}_{version}"


def parse_metadata(text: str | None) -> dict[str, dict[str, Any]]:
    """Read the metadata of an upload, by file name. Raises InvalidError with the contract's texts."""
    if text is None:
        return {}
    try:
        return msgspec.convert(read_json(without_nul(text.encode())), dict[str, dict[str, Any]])
    except msgspec.ValidationError:
        raise InvalidError("metadata must be a JSON object as a string", field="metadata") from None
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise InvalidError(str(error), field="metadata") from None


def clean_name(filename: str) -> str:
    """Drop what no database keeps.

    Raises InvalidError where nothing is left, or too much, or what no URL can name: paths are made plain on their
    way, so that a part that is empty, `.` or `..` never arrives.
    """
    name = filename.replace("\x00", "")
    if not name:
        raise InvalidError("filename is required for all file uploads", field="files")
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidError(f"a filename is limited to {MAX_NAME_LENGTH} characters", field="files")
    if not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise InvalidError("no part of a filename between slashes can be empty, `.` or `..`", field="files")
    return name


def shortened(filename: str) -> str:
    """A name for a sentence."""
    return filename if len(filename) <= 80 else f"{filename[:77]}..."  # noqa: PLR2004 - what a line of text bears
