"""Whether the records of an archive fit together, found out line by line before anything of them is stored."""

from collections.abc import AsyncIterable, AsyncIterator, Collection
from typing import TypeVar
from uuid import UUID

import msgspec

from workbench.domain.archive.model import content_path
from workbench.domain.archive.records import (
    ArchiveRecord,
    AssistantRecord,
    AssistantSeatRecord,
    ConversationRecord,
    DebugRecord,
    FileRecord,
    MessageRecord,
    UserSeatRecord,
    VersionRecord,
    bad_record,
    read_record,
)
from workbench.domain.errors import InvalidError, TooLargeError, WorkbenchError
from workbench.domain.files.model import clean_name
from workbench.domain.sizes import SizeLimits

K = TypeVar("K")


class RecordLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much an archive may record. What is remembered of each record while checking is some 100 bytes."""

    records: int = 1_000_000
    line_bytes: int = 16 << 20


class RecordCheck:
    """Takes records in their order, and remembers of those before what the ones behind may point at."""

    def __init__(self, paths: Collection[str], sizes: SizeLimits) -> None:
        """`paths` are what the archive holds beside its records."""
        self._paths = paths
        self._sizes = sizes
        self._assistants: set[UUID] = set()
        self._conversations: set[UUID] = set()
        self._messages: set[bytes] = set()
        self._debugged: set[bytes] = set()
        self._seats: set[tuple[UUID, str]] = set()
        self._files: dict[UUID, FileRecord] = {}
        self._filenames: set[tuple[UUID, str]] = set()
        self._versions: set[tuple[UUID, int]] = set()

    def accept(self, record: ArchiveRecord) -> None:
        """Check one against those before it. Raises InvalidError or TooLargeError, which name the field."""
        match record:
            case AssistantRecord():
                self._fits(meta_data=record.meta_data)
                _once(self._assistants, record.assistant_id, "assistant_id")
            case ConversationRecord():
                self._fits(meta_data=record.meta_data)
                _once(self._conversations, record.conversation_id, "conversation_id")
            case MessageRecord() | DebugRecord():
                self._accept_said(record)
            case UserSeatRecord():
                self._accept_seat(record, "user_id", record.user_id)
            case AssistantSeatRecord():
                self._accept_seat(record, "assistant_id", str(record.assistant_id))
            case FileRecord():
                self._accept_file(record)
            case VersionRecord():
                self._accept_version(record)

    def end(self) -> None:
        """Check what only the end shows. Raises InvalidError."""
        for file in self._files.values():
            if (file.file_id, file.current_version) not in self._versions:
                raise bad_record(".data.current_version", f"file {file.file_id} has no version {file.current_version}")

    def _accept_said(self, record: MessageRecord | DebugRecord) -> None:
        if isinstance(record, DebugRecord):
            self._fits(data=record.data)
            if record.message_id.bytes not in self._messages:
                raise _unseen("message_id", "message")
            _once(self._debugged, record.message_id.bytes, "message_id")
            return
        self._fits(meta_data=record.meta_data)
        self._sizes.check_content(record.content)
        self._seen_conversation(record.conversation_id)
        _once(self._messages, record.message_id.bytes, "message_id")

    def _accept_seat(self, record: UserSeatRecord | AssistantSeatRecord, field: str, participant_id: str) -> None:
        self._fits(meta_data=record.meta_data)
        self._seen_conversation(record.conversation_id)
        _once(self._seats, (record.conversation_id, participant_id), field)

    def _accept_file(self, record: FileRecord) -> None:
        self._seen_conversation(record.conversation_id)
        if clean_name(record.filename) != record.filename:
            raise bad_record(".data.filename", "a filename holds no NUL")
        if record.file_id in self._files:
            raise _twice("file_id")
        self._files[record.file_id] = record
        _once(self._filenames, (record.conversation_id, record.filename), "filename")

    def _accept_version(self, record: VersionRecord) -> None:
        self._fits(meta_data=record.meta_data)
        file = self._files.get(record.file_id)
        if file is None:
            raise _unseen("file_id", "file")
        if record.version > file.current_version:
            raise bad_record(".data.version", f"it is above the current one, {file.current_version}")
        _once(self._versions, (record.file_id, record.version), "version")
        if content_path(file.conversation_id, record.storage_filename) not in self._paths:
            raise bad_record(".data.storage_filename", "the archive does not hold the bytes")

    def _seen_conversation(self, conversation_id: UUID) -> None:
        if conversation_id not in self._conversations:
            raise _unseen("conversation_id", "conversation")

    def _fits(self, **values: dict[str, object]) -> None:
        for field, value in values.items():
            self._sizes.check_json(field, value)


async def checked(
    pieces: AsyncIterable[bytes], check: RecordCheck, limits: RecordLimits
) -> AsyncIterator[ArchiveRecord]:
    """Read the records of an archive and check each; the line at fault is named in what is raised.

    Raises InvalidError, TooLargeError.
    """
    number = 0
    async for line in _lines(pieces, limits.line_bytes):
        number += 1
        try:
            if number > limits.records:
                raise TooLargeError(
                    f"an archive is limited to {limits.records} records", extra={"limit_records": limits.records}
                )
            record = read_record(line) if line else None
            if record is not None:
                check.accept(record)
        except WorkbenchError as error:
            raise _at_line(number, error) from None
        if record is not None:
            yield record
    check.end()


async def _lines(pieces: AsyncIterable[bytes], limit_bytes: int) -> AsyncIterator[bytes]:
    """Split by LF and nothing else: strings may hold whatever else Unicode counts as the end of a line."""
    number, parts, size = 1, list[bytes](), 0
    async for piece in pieces:
        *ended, rest = piece.split(b"\n")
        for end in ended:
            _check_length(number, size + len(end), limit_bytes)
            yield b"".join([*parts, end])
            number, parts, size = number + 1, [], 0
        parts.append(rest)
        size += len(rest)
        _check_length(number, size, limit_bytes)
    if size:
        yield b"".join(parts)


def _check_length(number: int, size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        raise TooLargeError(
            f"line {number}: a record is limited to {limit_bytes} bytes", extra={"limit_bytes": limit_bytes}
        )


def _at_line(number: int, error: WorkbenchError) -> WorkbenchError:
    where = f"line {number}, {error.field}" if error.field else f"line {number}"
    kind = TooLargeError if isinstance(error, TooLargeError) else InvalidError
    extra = {**error.extra, "line": number}
    return kind(f"{where}: {error.detail}", code=error.error_code, field=error.field, extra=extra)


def _once(known: set[K], key: K, field: str) -> None:
    if key in known:
        raise _twice(field)
    known.add(key)


def _twice(field: str) -> InvalidError:
    return bad_record(f".data.{field}", "another record has it already")


def _unseen(field: str, what: str) -> InvalidError:
    return bad_record(f".data.{field}", f"no {what} before it has this id")
