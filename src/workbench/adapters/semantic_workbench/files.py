"""The files of an existing service: their versions in its database, their bytes in its folder."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import UUID

import msgspec
from sqlalchemy import Connection, select, text, tuple_

from workbench.adapters.semantic_workbench import tables as legacy
from workbench.adapters.semantic_workbench.records import read
from workbench.adapters.semantic_workbench.rows import Comparing, add_missing
from workbench.adapters.semantic_workbench.source import Row, Source
from workbench.adapters.sql import tables as ours
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import MOVE_IN
from workbench.adapters.sql.whole_tables import Tally, neutral
from workbench.domain.archive.model import content_path
from workbench.domain.archive.records import FileRecord, VersionRecord
from workbench.domain.clock import Clock
from workbench.domain.contents.model import Content
from workbench.domain.contents.ports import ContentStore
from workbench.domain.errors import NotFoundError
from workbench.domain.moving.model import Flaw, Report, Show

CHUNK_BYTES = 1 << 20
FILES, VERSIONS, BYTES = "file", "fileversion", "bytes of files"

_ROOM = (
    text(
        "UPDATE conversations SET file_bytes = (SELECT coalesce(sum(v.file_size), 0) FROM file_versions v"
        " JOIN files f ON f.id = v.file_id WHERE f.conversation_id = conversations.id) WHERE workspace_id = :ws"
    ),
    text(
        "UPDATE workspaces SET file_bytes = (SELECT coalesce(sum(c.file_bytes), 0) FROM conversations c"
        " WHERE c.workspace_id = workspaces.workspace_id) WHERE workspace_id = :ws"
    ),
)


class MovedFile(msgspec.Struct, kw_only=True):
    """A file, and where the bytes lie of those of its versions that have them."""

    file: FileRecord
    versions: list[tuple[VersionRecord, Path]] = []


class FileMover:
    """Moves files; a version whose bytes are gone is left out and said to be so."""

    def __init__(self, target: Database, store: ContentStore, folder: Path, workspace_id: str, clock: Clock) -> None:
        """`folder` is where the other service keeps the bytes of files."""
        self._target = target
        self._store = store
        self._folder = folder
        self._workspace_id = workspace_id
        self._clock = clock

    async def rehearse(self, source: Source, report: Report, show: Show) -> None:
        """Look whether everything is there."""
        async for page in self._pages(source, report):
            show(f"{FILES}: {len(page)} rows")

    async def move(self, source: Source, report: Report, show: Show) -> None:
        """Store the bytes that are missing and write the files down, one by one."""
        async for page in self._pages(source, report):
            there = await self._there(page)
            for found in page:
                missing = [one for one in found.versions if (found.file.file_id, one[0].version) not in there]
                if missing:
                    await self._move(found, missing)
            show(f"{FILES}: {len(page)} rows")
        await self._target.transact(self._count_room, self._workspace_id)

    async def compare(self, source: Source, report: Report, show: Show) -> None:
        """Read the bytes of all versions at both ends."""
        show(f"comparing {FILES}")
        files, versions = Comparing(ours.files), Comparing(ours.file_versions)
        expected, stored = Tally(), Tally()
        async for page in self._pages(source, Report()):
            rows: list[Row] = []
            for found in page:
                for record, path in found.versions:
                    content_hash, size = await asyncio.to_thread(_hashed, path)
                    rows.append(self._version(record, content_hash, size))
                    expected.take([(record.file_id, record.version, content_hash)])
            if rows:
                await files.take(self._target, [self._file(found) for found in page if found.versions])
                await versions.take(self._target, rows)
                stored.take(await self._read_back(rows))
            show(f"comparing {FILES}: {len(page)} rows")
        report.comparisons += [
            files.expected.compared(FILES, files.found),
            versions.expected.compared(VERSIONS, versions.found),
            expected.compared(BYTES, stored),
        ]

    async def _pages(self, source: Source, report: Report) -> AsyncIterator[list[MovedFile]]:
        """The files with their versions; what is wrong with them goes into the report."""
        counts = {FILES: 0, VERSIONS: 0}
        of_file, of_version = legacy.file.c.file_id, legacy.file_version.c
        async for page in source.pages(select(*source.columns(legacy.file)).order_by(of_file)):
            found = {row["file_id"]: MovedFile(file=read(legacy.file, FileRecord, row), versions=[]) for row in page}
            versions = select(*source.columns(legacy.file_version)).where(of_version.file_id.in_(list(found)))
            async for rows in source.pages(versions.order_by(of_version.file_id, of_version.version)):
                counts[VERSIONS] += len(rows)
                for row in rows:
                    self._take(found[row["file_id"]], read(legacy.file_version, VersionRecord, row), report.flaws)
            counts[FILES] += len(page)
            yield [*found.values()]
        report.counts |= counts

    def _take(self, found: MovedFile, record: VersionRecord, flaws: list[Flaw]) -> None:
        path = self._folder / content_path(found.file.conversation_id, record.storage_filename).removeprefix("files/")
        subject = f"{found.file.filename}, version {record.version}, of conversation {found.file.conversation_id}"
        if not path.is_file():
            flaws.append(Flaw(subject=subject, fault=f"left out: its bytes are not at {path}"))
            return
        found.versions.append((record, path))
        if (size := path.stat().st_size) != record.file_size:
            flaws.append(Flaw(subject=subject, fault=f"{record.file_size} bytes are recorded, {size} are there"))

    async def _there(self, page: Sequence[MovedFile]) -> set[tuple[UUID, int]]:
        """Those versions that were moved before."""
        columns = (ours.file_versions.c.file_id, ours.file_versions.c.version)
        wanted = [found.file.file_id for found in page]
        rows = await self._target.rows(select(*columns).where(columns[0].in_(wanted)), within=MOVE_IN)
        return {(neutral(columns[0], row[0]), row[1]) for row in rows}

    async def _move(self, found: MovedFile, versions: Sequence[tuple[VersionRecord, Path]]) -> None:
        """Bytes first, each content once; then everything of the file in one transaction."""
        contents: dict[str, Content] = {}
        rows: list[Row] = []
        for record, path in versions:
            content_hash, size = await asyncio.to_thread(_hashed, path)
            if content_hash not in contents and not await self._is_known(content_hash):
                contents[content_hash] = await self._store.put(self._workspace_id, _chunks(path))
            rows.append(self._version(record, content_hash, size))
        now = self._clock.now()
        new = [
            {"workspace_id": self._workspace_id, "touched_datetime": now, **msgspec.structs.asdict(content)}
            for content in contents.values()
        ]

        def work(connection: Connection) -> None:
            if new:
                add_missing(connection, ours.contents, new)
            add_missing(connection, ours.files, [self._file(found)])
            add_missing(connection, ours.file_versions, rows)

        await self._target.transact(work, MOVE_IN)

    async def _is_known(self, content_hash: str) -> bool:
        contents = ours.contents.c
        here = (contents.workspace_id == self._workspace_id, contents.hash == content_hash)
        return bool(await self._target.rows(select(contents.hash).where(*here), within=MOVE_IN))

    async def _read_back(self, rows: Sequence[Row]) -> list[tuple[UUID, int, str]]:
        """Hash what our store has of them."""
        versions, contents = ours.file_versions.c, ours.contents.c
        same = (contents.workspace_id == versions.workspace_id) & (contents.hash == versions.content_hash)
        statement = (
            select(versions.file_id, versions.version, contents.storage_key)
            .join(ours.contents, same)
            .where(tuple_(versions.file_id, versions.version).in_([(row["file_id"], row["version"]) for row in rows]))
        )
        hashed: list[tuple[UUID, int, str]] = []
        for file_id, version, storage_key in await self._target.rows(statement, within=MOVE_IN):
            digest = hashlib.sha256()
            with contextlib.suppress(NotFoundError):
                async for chunk in await self._store.read(storage_key):
                    digest.update(chunk)
                hashed.append((neutral(versions.file_id, file_id), version, digest.hexdigest()))
        return hashed

    def _count_room(self, connection: Connection) -> None:
        for statement in _ROOM:
            connection.execute(statement, {"ws": self._workspace_id})

    def _file(self, found: MovedFile) -> Row:
        newest = max(record.version for record, _ in found.versions)
        return {
            "workspace_id": self._workspace_id,
            "id": found.file.file_id,
            "conversation_id": found.file.conversation_id,
            "filename": found.file.filename,
            "current_version": min(found.file.current_version, newest),
            "created_datetime": found.file.created_datetime,
        }

    def _version(self, record: VersionRecord, content_hash: str, size: int) -> Row:
        values = msgspec.structs.asdict(record)
        metadata = values.pop("meta_data")
        return {
            "workspace_id": self._workspace_id,
            **values,
            "metadata": metadata,
            "content_hash": content_hash,
            "file_size": size,
        }


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as opened:
        while chunk := await asyncio.to_thread(opened.read, CHUNK_BYTES):
            yield chunk


def _hashed(path: Path) -> tuple[str, int]:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest(), path.stat().st_size
