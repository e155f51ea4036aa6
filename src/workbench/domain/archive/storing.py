"""An import while it is under way, the files that come with it, and how it is taken back."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import msgspec

from workbench.domain.archive.model import ImportCounts, Watch, content_path
from workbench.domain.archive.ports import ImportTx, OpenedArchive
from workbench.domain.archive.records import (
    ArchiveRecord,
    AssistantRecord,
    AssistantSeatRecord,
    ConversationRecord,
    DebugRecord,
    FileRecord,
    UserSeatRecord,
    VersionRecord,
)
from workbench.domain.assistant_services.model import AssistantAddress
from workbench.domain.assistants.model import Assistant
from workbench.domain.clock import Clock
from workbench.domain.contents.model import Content, sweep
from workbench.domain.contents.ports import ContentStore
from workbench.domain.conversations.model import Conversation
from workbench.domain.files.model import FileLimits, RoomUsed, StoredFile, StoredVersion
from workbench.domain.identity.model import Role
from workbench.domain.jobs.model import Job, NewJob
from workbench.domain.participants.model import Participant
from workbench.domain.transactions import Transactions, retrying

UNDO_JOB = "archive.undo"
LONGEST = timedelta(hours=2)
"""An import that is not shown after so long is of a process that died."""


class Manifest(msgspec.Struct, kw_only=True):
    """Everything in an archive but what was said, of which there may be very much."""

    assistants: list[AssistantRecord] = []
    conversations: list[ConversationRecord] = []
    user_seats: list[UserSeatRecord] = []
    assistant_seats: list[AssistantSeatRecord] = []
    files: list[FileRecord] = []
    versions: dict[UUID, list[VersionRecord]] = {}
    debugged: set[UUID] = set()
    messages: int = 0

    def take(self, record: ArchiveRecord) -> None:
        """Keep what is to be kept."""
        match record:
            case AssistantRecord():
                self.assistants.append(record)
            case ConversationRecord():
                self.conversations.append(record)
            case DebugRecord():
                self.debugged.add(record.message_id)
            case UserSeatRecord():
                self.user_seats.append(record)
            case AssistantSeatRecord():
                self.assistant_seats.append(record)
            case FileRecord():
                self.files.append(record)
            case VersionRecord():
                self.versions.setdefault(record.file_id, []).append(record)
            case _:
                self.messages += 1  # messages are read once more, when they are stored


class Import(msgspec.Struct, kw_only=True):
    """What an import has made so far; keys are the archive's ids, values ours."""

    id: UUID
    debugged: set[UUID]
    conversations: dict[UUID, UUID] = {}
    assistants: dict[UUID, UUID] = {}
    details: dict[UUID, Conversation] = {}
    new_assistants: list[UUID] = []
    known: dict[UUID, Assistant] = {}
    addresses: dict[UUID, AssistantAddress] = {}
    seats: dict[UUID, list[Participant]] = {}
    told: list[AssistantAddress] = []

    def named(self, archived: UUID) -> UUID:
        """Our id of a message or file; made from its own, so that none needs to be remembered."""
        return uuid5(self.id, str(archived))

    def participant(self, role: Role, participant_id: str) -> str:
        """Our id of who said or sent something."""
        if role == "assistant":
            try:
                return str(self.assistants.get(UUID(participant_id), participant_id))
            except ValueError:
                return participant_id
        return participant_id

    def counts(self, manifest: Manifest, file_bytes: int) -> ImportCounts:
        """What is in the archive, and becomes of it."""
        return ImportCounts(
            conversations=len(self.conversations),
            messages=manifest.messages,
            files=sum(map(len, manifest.versions.values())),
            file_bytes=file_bytes,
            new_assistants=len(self.new_assistants),
            assistants_used_again=len(self.assistants) - len(self.new_assistants),
        )

    def active_assistants(self) -> list[Participant]:
        """The seats of assistants that take part."""
        return [
            seat
            for seats in self.seats.values()
            for seat in seats
            if seat.role == "assistant" and seat.active_participant
        ]


class Undo(msgspec.Struct, frozen=True, kw_only=True):
    """What to take away if its importer never came to see it."""

    importer_id: str
    conversation_ids: list[UUID]
    assistant_ids: list[UUID]


def undo_later(tx: ImportTx, begun: Import, importer_id: str, now: datetime) -> None:
    """Set down, with the first rows, the job that takes them away."""
    undo = Undo(
        importer_id=importer_id, conversation_ids=[*begun.conversations.values()], assistant_ids=begun.new_assistants
    )
    payload: dict[str, Any] = msgspec.to_builtins(undo)
    tx.jobs.enqueue(NewJob(kind=UNDO_JOB, key=str(begun.id), payload=payload, run_at=now + LONGEST))


class ArchivedFiles:
    """The files of an archive, and the taking back of imports."""

    def __init__(
        self, transactions: Transactions[ImportTx], store: ContentStore, clock: Clock, limits: FileLimits
    ) -> None:
        self._transactions = transactions
        self._store = store
        self._clock = clock
        self._limits = limits

    async def store(
        self, workspace_id: str, archive: OpenedArchive, manifest: Manifest, begun: Import, watch: Watch
    ) -> int:
        """Store the files one by one, bytes first; says how many bytes. Raises TooLargeError."""
        stored_bytes = 0
        for done, file in enumerate(manifest.files, 1):
            contents: dict[int, Content] = {}
            try:
                for version in manifest.versions[file.file_id]:
                    chunks = self._limited(
                        file.filename, archive.read(content_path(file.conversation_id, version.storage_filename))
                    )
                    contents[version.version] = await self._store.put(workspace_id, chunks)
            except BaseException:
                await self._store.remove([content.storage_key for content in contents.values()])
                raise
            # From here on bytes may be in use: what a failure leaves unused is swept.
            needed = await retrying(
                lambda file=file, contents=contents: self._commit(workspace_id, manifest, begun, file, contents)
            )
            await self._store.remove([one.storage_key for one in contents.values() if one.storage_key not in needed])
            stored_bytes += sum(content.size for content in contents.values())
            watch("files", done, len(manifest.files))
        return stored_bytes

    async def rehearse(self, archive: OpenedArchive, manifest: Manifest, workspace_bytes: int, watch: Watch) -> int:
        """Read the files as `store` does, and store nothing; says how many bytes. Raises TooLargeError."""
        in_conversation: dict[UUID, int] = {}
        read_bytes = 0
        for done, file in enumerate(manifest.files, 1):
            total = 0
            for version in manifest.versions[file.file_id]:
                path = content_path(file.conversation_id, version.storage_filename)
                async for chunk in self._limited(file.filename, archive.read(path)):
                    total += len(chunk)
            before = in_conversation.get(file.conversation_id, 0)
            used = RoomUsed(conversation_bytes=before, workspace_bytes=workspace_bytes + read_bytes)
            self._limits.check_room(used, total)
            in_conversation[file.conversation_id] = before + total
            read_bytes += total
            watch("files", done, len(manifest.files))
        return read_bytes

    async def _limited(self, filename: str, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            self._limits.check_file(filename, size)
            yield chunk

    async def _commit(
        self, workspace_id: str, manifest: Manifest, begun: Import, file: FileRecord, contents: dict[int, Content]
    ) -> set[str]:
        conversation_id = begun.conversations[file.conversation_id]
        total = sum(content.size for content in contents.values())
        async with self._transactions.write(workspace_id) as tx:
            self._limits.check_room(await tx.files.room_used(conversation_id), total)
            needed = await keep(tx, [*contents.values()])
            stored = StoredFile(
                id=begun.named(file.file_id),
                conversation_id=conversation_id,
                filename=file.filename,
                current_version=file.current_version,
                created_datetime=file.created_datetime,
            )
            versions = [
                _version(version, stored, begun, contents[version.version])
                for version in manifest.versions[file.file_id]
            ]
            tx.files.add(stored, *versions)
            tx.files.take_room(conversation_id, total, self._limits)
        return needed

    async def undo(self, workspace_id: str, begun: Import) -> None:
        """Take away what has been stored so far."""
        await retrying(lambda: self._take_away(workspace_id, [*begun.conversations.values()], begun.new_assistants))

    async def carry_out(self, job: Job) -> None:
        """Take away an import whose process died, which shows in that its importer has no seat."""
        undo = msgspec.convert(job.payload, Undo)
        async with self._transactions.read(job.workspace_id) as tx:
            left = [
                conversation_id
                for conversation_id, seats in (await tx.participants.all_of_each(undo.conversation_ids)).items()
                if any((seat.role, seat.id) == ("user", undo.importer_id) for seat in seats)
            ]
        if not left:
            await retrying(lambda: self._take_away(job.workspace_id, undo.conversation_ids, undo.assistant_ids))
        async with self._transactions.write(job.workspace_id) as tx:
            tx.jobs.finish(job)

    async def _take_away(
        self, workspace_id: str, conversation_ids: Sequence[UUID], assistant_ids: Sequence[UUID]
    ) -> None:
        async with self._transactions.write(workspace_id) as tx:
            for conversation_id in conversation_ids:
                for seat in await tx.participants.all_of(conversation_id):
                    if seat.role == "assistant":
                        tx.deliveries.cancel(UUID(seat.id), conversation_id)
                tx.conversations.remove(conversation_id)
            for assistant_id in assistant_ids:
                tx.assistants.remove(assistant_id)
            tx.jobs.enqueue(sweep(self._clock.now()))


async def keep(tx: ImportTx, contents: Sequence[Content]) -> set[str]:
    """Write down those contents that are new; answer with the keys of the bytes that are in use from now on."""
    there = await tx.contents.known([content.hash for content in contents])
    known, needed = {content.hash for content in there}, set[str]()
    for content in there:
        tx.contents.touch(content)
    for content in contents:
        if content.hash not in known:
            known.add(content.hash)
            needed.add(content.storage_key)
            tx.contents.add(content)
    return needed


def _version(record: VersionRecord, file: StoredFile, begun: Import, content: Content) -> StoredVersion:
    return StoredVersion(
        file_id=file.id,
        version=record.version,
        participant_id=begun.participant(record.participant_role, record.participant_id),
        participant_role=record.participant_role,
        created_datetime=record.created_datetime,
        metadata=record.meta_data,
        content_type=record.content_type,
        file_size=content.size,
        content_hash=content.hash,
        storage_filename=record.storage_filename,
    )
