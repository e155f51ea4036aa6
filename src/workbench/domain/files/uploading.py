"""Uploading: bytes first, under fresh keys; then, in one commit, what they are and that they are there.

Until the commit nothing refers to the bytes, so that an upload that fails or is cut leaves nothing to be seen, and
its bytes are removed on the way out.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.contents.model import Content
from workbench.domain.contents.ports import ContentStore
from workbench.domain.errors import InvalidError, UnavailableError, WorkbenchError
from workbench.domain.files.events import file_stored
from workbench.domain.files.model import (
    MAX_CONTENT_TYPE_LENGTH,
    MAX_UPLOADS,
    FileAtVersion,
    FileLimits,
    FileList,
    IncomingFile,
    RoomUsed,
    StoredFile,
    StoredVersion,
    UploadForm,
    clean_name,
    parse_metadata,
    storage_filename,
)
from workbench.domain.files.ports import FileTx
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.sizes import SizeLimits
from workbench.domain.transactions import Transactions, retrying


class _Received(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose bytes are stored, but not yet written down."""

    filename: str
    content_type: str
    content: Content
    metadata: dict[str, Any] = {}


class UploadService:
    """Takes uploads."""

    def __init__(
        self,
        transactions: Transactions[FileTx],
        store: ContentStore,
        clock: Clock,
        limits: FileLimits,
        sizes: SizeLimits,
    ) -> None:
        self._transactions = transactions
        self._store = store
        self._clock = clock
        self._limits = limits
        self._sizes = sizes

    async def upload(self, principal: Principal, conversation_id: UUID, form: UploadForm) -> FileList:
        """Store files, each as a new one or as a further version; all of them or none.

        Raises NotFoundError (no seat that may write), InvalidError, TooLargeError (over the limit that it names).
        """
        used = await self._admit(principal, conversation_id)
        received: list[_Received] = []
        try:
            async for file in form.files():
                received.append(await self._receive(principal, file, received, used))
            received = self._described(received, form.metadata())
        except BaseException:
            # Shielded, as below: whoever cuts the upload short is not to leave its bytes behind.
            await asyncio.shield(self._store.remove(_keys(received)))
            raise
        stored = await asyncio.shield(self._settle(principal, conversation_id, received))
        return FileList(files=[found.shown for found in stored])

    async def _settle(
        self, principal: Principal, conversation_id: UUID, received: Sequence[_Received]
    ) -> Sequence[FileAtVersion]:
        """Write the files down, and remove the bytes that are not needed after all."""
        try:
            stored, needed = await retrying(lambda: self._commit(principal, conversation_id, received))
        except UnavailableError:
            # The commit may have happened, so its bytes must stay; if it has not, a check of the store finds them.
            raise
        except WorkbenchError:
            await self._store.remove(_keys(received))
            raise
        await self._store.remove([key for key in _keys(received) if key not in needed])
        return stored

    async def _admit(self, principal: Principal, conversation_id: UUID) -> RoomUsed:
        """Turn those away who may not write, before a byte is taken."""
        async with self._transactions.read(principal.workspace_id) as tx:
            (await tx.participants.seat(conversation_id, principal)).require_write()
            return await tx.files.room_used(conversation_id)

    async def _receive(
        self, principal: Principal, file: IncomingFile, before: Sequence[_Received], used: RoomUsed
    ) -> _Received:
        if len(before) == MAX_UPLOADS:
            raise InvalidError(f"file uploads limited to {MAX_UPLOADS} at a time", field="files")
        filename = clean_name(file.filename)
        if any(one.filename == filename for one in before):
            raise InvalidError("filenames are required to be unique", field="files")
        content_type = file.content_type.replace("\x00", "")
        if len(content_type) > MAX_CONTENT_TYPE_LENGTH:
            raise InvalidError(f"a content type is limited to {MAX_CONTENT_TYPE_LENGTH} characters", field="files")
        taken = sum(one.content.size for one in before)

        def check(size: int) -> None:
            self._limits.check_file(filename, size)
            self._limits.check_room(used, taken + size)

        content = await self._store.put(principal.workspace_id, _checked(file, check))
        return _Received(filename=filename, content_type=content_type, content=content)

    def _described(self, received: list[_Received], text: str | None) -> list[_Received]:
        """The same with the metadata that came for each."""
        metadata = parse_metadata(text)
        for of_file in metadata.values():
            self._sizes.check_json("metadata", of_file)
        return [msgspec.structs.replace(one, metadata=metadata.get(one.filename, {})) for one in received]

    async def _commit(
        self, principal: Principal, conversation_id: UUID, received: Sequence[_Received]
    ) -> tuple[list[FileAtVersion], set[str]]:
        """Write the files down; answer with them, and with the keys of the bytes that are in use from now on."""
        now = self._clock.now()
        total = sum(one.content.size for one in received)
        async with self._transactions.write(principal.workspace_id) as tx:
            (await tx.participants.seat(conversation_id, principal)).require_write()
            self._limits.check_room(await tx.files.room_used(conversation_id), total)
            names = [one.filename for one in received]
            there = {found.file.filename: found.file for found in await tx.files.named(conversation_id, names)}
            kept = await _keep_contents(tx, [one.content for one in received])
            stored: list[FileAtVersion] = []
            for one in received:
                before = there.get(one.filename)
                file = StoredFile(
                    id=before.id if before else new_id(),
                    conversation_id=conversation_id,
                    filename=one.filename,
                    current_version=before.current_version + 1 if before else 1,
                    created_datetime=before.created_datetime if before else now,
                    revision=before.revision + 1 if before else 0,
                )
                version = StoredVersion(
                    file_id=file.id,
                    version=file.current_version,
                    participant_id=principal.id,
                    participant_role=principal.role,
                    created_datetime=now,
                    metadata=one.metadata,
                    content_type=one.content_type,
                    file_size=one.content.size,
                    content_hash=one.content.hash,
                    storage_filename=storage_filename(file.id, file.current_version),
                )
                if before is None:
                    tx.files.add(file, version)
                else:
                    tx.files.add_version(before, version)
                stored.append(FileAtVersion(file=file, version=version))
                tx.events.record(file_stored(stored[-1].shown))
            tx.files.take_room(conversation_id, total, self._limits)
        return stored, kept


def _keys(received: Sequence[_Received]) -> list[str]:
    return [one.content.storage_key for one in received]


async def _keep_contents(tx: FileTx, contents: Sequence[Content]) -> set[str]:
    """Write down those contents that are new; the same bytes are kept once. Answer with the keys that were taken."""
    known = {content.hash: content for content in await tx.contents.known([content.hash for content in contents])}
    taken: set[str] = set()
    for content in known.values():
        tx.contents.touch(content)
    for content in contents:
        if content.hash not in known:
            known[content.hash] = content
            taken.add(content.storage_key)
            tx.contents.add(content)
    return taken


async def _checked(file: IncomingFile, check: Callable[[int], None]) -> AsyncIterator[bytes]:
    """Pass the bytes on, and stop as soon as there are too many."""
    size = 0
    async for chunk in file.chunks:
        size += len(chunk)
        check(size)
        yield chunk
