"""Listing, reading, describing and deleting files."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import UUID

from workbench.domain.clock import Clock
from workbench.domain.contents.model import ByteRange, sweep
from workbench.domain.contents.ports import ContentStore
from workbench.domain.errors import ConflictError, NotFoundError, UnavailableError
from workbench.domain.files.events import file_deleted, file_updated
from workbench.domain.files.model import (
    MAX_VERSION,
    Download,
    FileAtVersion,
    FileLink,
    FileList,
    FileVersions,
    MetadataPatch,
)
from workbench.domain.files.ports import FileTx
from workbench.domain.identity.model import Principal
from workbench.domain.sizes import SizeLimits
from workbench.domain.transactions import Transactions, retrying

LINK_LIFE = timedelta(minutes=15)
VERSIONS = "/versions"


class FileService:
    """Acts about files that are there. Each raises NotFoundError where the caller may not know of the file."""

    def __init__(
        self, transactions: Transactions[FileTx], store: ContentStore, clock: Clock, sizes: SizeLimits
    ) -> None:
        self._transactions = transactions
        self._store = store
        self._clock = clock
        self._sizes = sizes

    async def list(self, principal: Principal, conversation_id: UUID, prefix: str = "") -> FileList:
        """The files whose names begin so, by name, each at its newest version."""
        async with self._transactions.read(principal.workspace_id) as tx:
            (await tx.participants.seat(conversation_id, principal)).require_see()
            found = await tx.files.listed(conversation_id, prefix)
        return FileList(files=[one.shown for one in found])

    async def find(
        self, principal: Principal, conversation_id: UUID, path: str, version: int | None = None
    ) -> Download | FileVersions:
        """What a path behind `/files/` names: the versions of `x` for `x/versions`, if there is such a file, or a file."""
        async with self._transactions.read(principal.workspace_id) as tx:
            (await tx.participants.seat(conversation_id, principal)).require_see()
            if version is not None and not 1 <= version <= MAX_VERSION:
                raise NotFoundError
            if path.endswith(VERSIONS):
                filename = path.removesuffix(VERSIONS)
                if found := await tx.files.versions(conversation_id, filename, version):
                    return _versions(found)
                if version is not None and await tx.files.named(conversation_id, [filename]):
                    raise NotFoundError
            download = await tx.files.download(conversation_id, path, version)
        if download is None:
            raise NotFoundError
        return download

    async def read(self, download: Download, wanted: ByteRange | None = None) -> AsyncIterator[bytes]:
        """The bytes, or a part of them. Raises UnavailableError where the store has lost them."""
        try:
            return await self._store.read(download.storage_key, wanted)
        except NotFoundError:
            raise UnavailableError("the bytes of this file are missing", code="content_missing") from None

    async def link(self, download: Download) -> FileLink:
        """A URL to the bytes. Raises ConflictError where the store has no such URLs."""
        url = await self._store.link(download.storage_key, LINK_LIFE)
        if url is None:
            raise ConflictError("the store of this workbench makes no links", code="no_links")
        return FileLink(url=url, expires_datetime=self._clock.now() + LINK_LIFE)

    async def describe(
        self, principal: Principal, conversation_id: UUID, filename: str, patch: MetadataPatch
    ) -> FileVersions:
        """Lay metadata over that of the newest version. Raises TooLargeError."""
        return await retrying(lambda: self._describe(principal, conversation_id, filename, patch))

    async def _describe(
        self, principal: Principal, conversation_id: UUID, filename: str, patch: MetadataPatch
    ) -> FileVersions:
        async with self._transactions.write(principal.workspace_id) as tx:
            (await tx.participants.seat(conversation_id, principal)).require_administer()
            described = (await _require(tx, conversation_id, filename)).with_metadata(patch.metadata)
            self._sizes.check_json("metadata", described.version.metadata)
            tx.files.change(described)
            tx.events.record(file_updated(described.shown))
        return _versions([described])

    async def delete(self, principal: Principal, conversation_id: UUID, filename: str) -> None:
        """Delete a file with all its versions."""
        await retrying(lambda: self._delete(principal, conversation_id, filename))

    async def _delete(self, principal: Principal, conversation_id: UUID, filename: str) -> None:
        async with self._transactions.write(principal.workspace_id) as tx:
            (await tx.participants.seat(conversation_id, principal)).require_write()
            found = await _require(tx, conversation_id, filename)
            tx.files.remove(found.file)
            tx.jobs.enqueue(sweep(self._clock.now()))
            tx.events.record(file_deleted(found.shown))


async def _require(tx: FileTx, conversation_id: UUID, filename: str) -> FileAtVersion:
    found = await tx.files.named(conversation_id, [filename])
    if not found:
        raise NotFoundError
    return found[0]


def _versions(found: Sequence[FileAtVersion]) -> FileVersions:
    file = found[0].file
    return FileVersions(
        conversation_id=file.conversation_id,
        created_datetime=file.created_datetime,
        filename=file.filename,
        current_version=file.current_version,
        versions=[one.version.listed for one in found],
    )
