"""What an erased person said and uploaded, and what else still names them."""

from collections.abc import AsyncIterator
from itertools import groupby
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.contents.model import Content, sweep
from workbench.domain.contents.ports import ContentStore
from workbench.domain.files.events import file_deleted, file_updated
from workbench.domain.files.model import FileAtVersion, StoredFile
from workbench.domain.lifecycle.person import FILE_NOTICE, FILE_NOTICE_TYPE, NOTICE, Erased, Erasure
from workbench.domain.lifecycle.ports import ErasureTx, Said
from workbench.domain.messages.events import message_deleted
from workbench.domain.messages.model import Message, Sender
from workbench.domain.transactions import Transactions

MESSAGE_STEP = 200
FILE_STEP = 50


class ContentErasure:
    """Stages of an erasure; each step stores how far it is together with what it did."""

    def __init__(self, transactions: Transactions[ErasureTx], store: ContentStore, clock: Clock) -> None:
        self._transactions = transactions
        self._store = store
        self._clock = clock

    async def messages(self, workspace_id: str, erasure: Erasure, person: Erased) -> Erasure:
        """Go on in the conversations that they were in: debug data goes, and under `remove` what they said.

        Debug data goes whoever it is from: it repeats what a model was shown, which is what others said. Whoever is
        there is told of each message that goes, by its id and without what it said.
        """
        place = erasure.place and (UUID(erasure.place[0]), int(erasure.place[1]))
        async with self._transactions.write(workspace_id) as tx:
            found = await tx.estate.said(person.user_id, place, MESSAGE_STEP)
            for said in found:
                erasure = _forget(tx, said, erasure, person)
            if len(found) < MESSAGE_STEP:
                after = erasure.at("files")
            else:
                after = erasure.at("messages", [str(found[-1].conversation_id), found[-1].sequence])
            tx.erasures.save(after)
        return after

    async def files(self, workspace_id: str, erasure: Erasure, person: Erased) -> Erasure:
        """Remove the next versions that they uploaded, or let a notice take their place; their bytes go by a sweep."""
        async with self._transactions.read(workspace_id) as tx:
            waiting = person.policy != "keep" and await tx.file_versions.of_user(person.user_id, 1)
        notice = await self._store.put(workspace_id, _notice()) if waiting and person.policy == "replace" else None
        kept = None
        try:
            async with self._transactions.write(workspace_id) as tx:
                found = await tx.file_versions.of_user(person.user_id, FILE_STEP if waiting else 0)
                content = notice and await _written_down(tx, notice)
                for _, versions in groupby(found, key=lambda one: one.file.id):
                    erasure = await _settle(tx, list(versions), content, erasure, person)
                if found:
                    tx.jobs.enqueue(sweep(self._clock.now()))
                after = erasure if found else erasure.at("seats")
                tx.erasures.save(after)
            kept = content
        finally:
            if notice is not None and (kept is None or kept.storage_key != notice.storage_key):
                await self._store.remove([notice.storage_key])
        return after

    async def traces(self, workspace_id: str, erasure: Erasure, person: Erased) -> Erasure:
        """Walk over the next rows of the next table."""
        async with self._transactions.write(workspace_id) as tx:
            tables = tx.traces.tables()
            table, place = erasure.place or (tables[0], None)
            mended = await tx.traces.mend(table, person, place)
            counted = erasure.counted(table, "removed", mended.removed).counted(table, "anonymised", mended.changed)
            follows = tables[tables.index(table) + 1 :]
            if mended.place is not None:
                after = counted.at("traces", [table, mended.place])
            elif follows:
                after = counted.at("traces", [follows[0], None])
            else:
                after = counted.ended(self._clock.now())
            tx.erasures.save(after)
        return after


def _forget(tx: ErasureTx, said: Said, erasure: Erasure, person: Erased) -> Erasure:
    if said.message.has_debug_data:
        tx.estate.forget_debug_data(said.message.id)
        erasure = erasure.counted("message_debug", "removed")
    if not said.is_own or person.policy != "remove":
        return erasure
    tx.messages.remove(said.message.id)
    tx.events.record(message_deleted(said.conversation_id, _emptied(said.message, person)))
    return erasure.counted("messages", "removed")


def _emptied(message: Message, person: Erased) -> Message:
    return msgspec.structs.replace(
        message,
        sender=Sender(participant_role="user", participant_id=person.tombstone_id),
        content=NOTICE,
        content_type="text/plain",
        filenames=[],
        metadata={},
    )


async def _settle(
    tx: ErasureTx, found: list[FileAtVersion], content: Content | None, erasure: Erasure, person: Erased
) -> Erasure:
    """Treat their versions of one file. Its events still name the person, and so lose the name with the others."""
    file, versions = found[0].file, [one.version for one in found]
    newest = next((one for one in found if one.version.version == file.current_version), None)
    if content is not None:
        tx.file_versions.replace(file, versions, content, person.tombstone_id)
        if newest is not None:
            tx.events.record(file_updated(_replaced(newest, content).shown))
        return erasure.counted("file_versions", "replaced", len(versions))
    erasure = erasure.counted("file_versions", "removed", len(versions))
    rest = await tx.file_versions.newest_but(file.id, [version.version for version in versions])
    if rest is None:
        tx.files.remove(file)
        tx.events.record(file_deleted(_bare(found[-1]).shown))
        return erasure.counted("files", "removed")
    current = rest.version if newest is not None else file.current_version
    tx.file_versions.drop(file, versions, current)
    if newest is not None:
        tx.events.record(file_updated(FileAtVersion(file=_at(file, current), version=rest).shown))
    return erasure


def _at(file: StoredFile, version: int) -> StoredFile:
    return msgspec.structs.replace(file, current_version=version)


def _bare(found: FileAtVersion) -> FileAtVersion:
    return FileAtVersion(file=found.file, version=msgspec.structs.replace(found.version, metadata={}))


def _replaced(found: FileAtVersion, content: Content) -> FileAtVersion:
    bare = _bare(found)
    version = msgspec.structs.replace(
        bare.version, file_size=content.size, content_type=FILE_NOTICE_TYPE, content_hash=content.hash
    )
    return FileAtVersion(file=found.file, version=version)


async def _written_down(tx: ErasureTx, notice: Content) -> Content:
    """Know the notice's bytes; where they are stored already, by where they lie."""
    known = await tx.contents.known([notice.hash])
    if known:
        tx.contents.touch(known[0])
        return known[0]
    tx.contents.add(notice)
    return notice


async def _notice() -> AsyncIterator[bytes]:
    yield FILE_NOTICE
