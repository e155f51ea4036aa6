"""Files in SQL."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, bindparam, delete, func, select, update
from sqlalchemy import Update as UpdateStatement

from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id, Json
from workbench.adapters.sql.tables import contents, conversations, file_versions, files, workspaces
from workbench.domain.files.model import Download, FileAtVersion, FileLimits, RoomUsed, StoredFile, StoredVersion
from workbench.domain.files.ports import Files

_FILE = ("id", "conversation_id", "filename", "current_version", "created_datetime", "revision")
_VERSION = (
    *("file_id", "version", "participant_id", "participant_role", "created_datetime", "metadata"),
    *("content_type", "file_size", "content_hash", "storage_filename"),
)
_OF_FILE = and_(file_versions.c.workspace_id == files.c.workspace_id, file_versions.c.file_id == files.c.id)
_NEWEST = and_(_OF_FILE, file_versions.c.version == files.c.current_version)
_IN_CONVERSATION = and_(here(files), files.c.conversation_id == bindparam("conversation_id", type_=Id))
_NAMED = and_(_IN_CONVERSATION, files.c.filename == bindparam("filename"))


def _at_version(row: Sequence[Any]) -> dict[str, Any]:
    return {
        "file": dict(zip(_FILE, row, strict=False)),
        "version": dict(zip(_VERSION, row[len(_FILE) :], strict=True)),
    }


def _files(joined: ColumnElement[bool], *conditions: ColumnElement[bool]) -> Query[FileAtVersion]:
    statement = (
        select(*columns_of(files, *_FILE), *columns_of(file_versions, *_VERSION))
        .join_from(files, file_versions, joined)
        .where(here(files), *conditions)
        .order_by(files.c.filename, file_versions.c.version)
    )
    return Query(FileAtVersion, statement, _at_version)


def _downloads(joined: ColumnElement[bool], *conditions: ColumnElement[bool]) -> Query[Download]:
    statement = (
        select(
            files.c.filename,
            file_versions.c.content_type,
            contents.c.size,
            contents.c.hash.label("content_hash"),
            contents.c.storage_key,
            file_versions.c.created_datetime,
        )
        .join_from(files, file_versions, joined)
        .join(
            contents,
            and_(
                contents.c.workspace_id == file_versions.c.workspace_id,
                contents.c.hash == file_versions.c.content_hash,
            ),
        )
        .where(_NAMED, *conditions)
    )
    return Query(Download, statement)


_THIS_VERSION = file_versions.c.version == bindparam("version")
_ALL = _files(_NEWEST, _IN_CONVERSATION)
_COUNT = select(func.count()).select_from(files).where(here(files), _IN_CONVERSATION)
_WITH_PREFIX = _files(
    _NEWEST,
    _IN_CONVERSATION,
    files.c.filename >= bindparam("prefix"),
    func.substr(files.c.filename, 1, bindparam("length")) == bindparam("prefix"),
)
_OF_NAMES = _files(_NEWEST, _IN_CONVERSATION, files.c.filename.in_(bindparam("filenames", expanding=True)))
_VERSIONS = _files(_OF_FILE, _NAMED)
_ONE_VERSION = _files(_OF_FILE, _NAMED, _THIS_VERSION)
_DOWNLOAD = _downloads(_NEWEST)
_DOWNLOAD_VERSION = _downloads(_OF_FILE, _THIS_VERSION)
_ROOM = Query(
    RoomUsed,
    select(conversations.c.file_bytes.label("conversation_bytes"), workspaces.c.file_bytes.label("workspace_bytes"))
    .join_from(conversations, workspaces, workspaces.c.workspace_id == conversations.c.workspace_id)
    .where(here(conversations), conversations.c.id == bindparam("conversation_id", type_=Id)),
)

_AS_READ = and_(here(files), files.c.id == bindparam("of_id", type_=Id), files.c.revision == bindparam("read_revision"))
_ADVANCE = update(files).where(_AS_READ).values(current_version=bindparam("to_version"), revision=files.c.revision + 1)
_REVISE = update(files).where(_AS_READ).values(revision=files.c.revision + 1)
_DESCRIBE = (
    update(file_versions)
    .where(
        here(file_versions),
        file_versions.c.file_id == bindparam("of_id", type_=Id),
        file_versions.c.version == bindparam("of_version"),
    )
    .values(metadata=bindparam("to_metadata", type_=Json))
)
_REMOVE = delete(files).where(_AS_READ)
_SIZE_OF = (
    select(func.coalesce(func.sum(file_versions.c.file_size), 0))
    .where(here(file_versions), file_versions.c.file_id == bindparam("of_id", type_=Id))
    .scalar_subquery()
)
_THE_CONVERSATION = and_(here(conversations), conversations.c.id == bindparam("of_conversation", type_=Id))


def _give_back(statement: UpdateStatement, counter: ColumnElement[int]) -> UpdateStatement:
    return statement.values(file_bytes=counter - _SIZE_OF)


_GIVE_BACK_CONVERSATION = _give_back(update(conversations).where(_THE_CONVERSATION), conversations.c.file_bytes)
_GIVE_BACK_WORKSPACE = _give_back(update(workspaces).where(here(workspaces)), workspaces.c.file_bytes)
_TAKE_CONVERSATION = (
    update(conversations)
    .where(_THE_CONVERSATION, conversations.c.file_bytes + bindparam("more") <= bindparam("limit_bytes"))
    .values(file_bytes=conversations.c.file_bytes + bindparam("more"))
)
_TAKE_WORKSPACE = (
    update(workspaces)
    .where(here(workspaces), workspaces.c.file_bytes + bindparam("more") <= bindparam("limit_bytes"))
    .values(file_bytes=workspaces.c.file_bytes + bindparam("more"))
)


class SqlFiles(Repository, Files):
    """The files of one workspace."""

    async def listed(self, conversation_id: UUID, prefix: str) -> Sequence[FileAtVersion]:
        """By name."""
        parameters: dict[str, Any] = {"conversation_id": conversation_id}
        if not prefix:
            return await self._all(_ALL, parameters)
        return await self._all(_WITH_PREFIX, {**parameters, "prefix": prefix, "length": len(prefix)})

    async def count(self, conversation_id: UUID) -> int:
        """Along the unique index."""
        return int(await self._scalar(_COUNT, {"conversation_id": conversation_id}))

    async def named(self, conversation_id: UUID, filenames: Sequence[str]) -> Sequence[FileAtVersion]:
        """By the unique index."""
        if not filenames:
            return []
        return await self._all(_OF_NAMES, {"conversation_id": conversation_id, "filenames": list(filenames)})

    async def versions(self, conversation_id: UUID, filename: str, version: int | None) -> Sequence[FileAtVersion]:
        """Along the primary key of versions."""
        place: dict[str, Any] = {"conversation_id": conversation_id, "filename": filename}
        if version is None:
            return await self._all(_VERSIONS, place)
        return await self._all(_ONE_VERSION, {**place, "version": version})

    async def download(self, conversation_id: UUID, filename: str, version: int | None) -> Download | None:
        """One row of three tables."""
        place: dict[str, Any] = {"conversation_id": conversation_id, "filename": filename}
        if version is None:
            return await self._maybe(_DOWNLOAD, place)
        return await self._maybe(_DOWNLOAD_VERSION, {**place, "version": version})

    async def room_used(self, conversation_id: UUID) -> RoomUsed:
        """Two counters; a conversation that is gone has used nothing."""
        found = await self._maybe(_ROOM, {"conversation_id": conversation_id})
        return found or RoomUsed(conversation_bytes=0, workspace_bytes=0)

    def add(self, file: StoredFile, *versions: StoredVersion) -> None:
        """Insert all."""
        self._writes.insert(files, msgspec.structs.asdict(file))
        for version in versions:
            self._add_version(version)

    def add_version(self, file: StoredFile, version: StoredVersion) -> None:
        """Insert the version, over the revision that was read."""
        self._add_version(version)
        self._writes.change(_ADVANCE, {**_as_read(file), "to_version": version.version}, must_hit=True)

    def _add_version(self, version: StoredVersion) -> None:
        self._writes.insert(file_versions, msgspec.structs.asdict(version))

    def change(self, found: FileAtVersion) -> None:
        """Update, over the revision that was read."""
        self._writes.change(_REVISE, _as_read(found.file), must_hit=True)
        described = {"of_version": found.version.version, "to_metadata": found.version.metadata}
        self._writes.change(_DESCRIBE, {"of_id": found.file.id, **described})

    def remove(self, file: StoredFile) -> None:
        """Give the room back, then delete."""
        self._writes.change(
            _GIVE_BACK_CONVERSATION, {"of_id": file.id, "of_conversation": file.conversation_id}, must_hit=True
        )
        self._writes.change(_GIVE_BACK_WORKSPACE, {"of_id": file.id})
        self._writes.change(_REMOVE, _as_read(file), must_hit=True)

    def take_room(self, conversation_id: UUID, more: int, limits: FileLimits) -> None:
        """Count on condition that it fits, so that no two uploads take the same room."""
        room = {"more": more, "limit_bytes": limits.conversation_bytes}
        self._writes.change(_TAKE_CONVERSATION, {"of_conversation": conversation_id, **room}, must_hit=True)
        room = {"more": more, "limit_bytes": limits.workspace_bytes}
        self._writes.change(_TAKE_WORKSPACE, room, must_hit=True)


def _as_read(file: StoredFile) -> dict[str, Any]:
    return {"of_id": file.id, "read_revision": file.revision}
