"""Single versions of files in SQL, for what removes them by age or author."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, bindparam, delete, select, update

from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id, Moment
from workbench.adapters.sql.tables import conversations, file_versions, files, workspaces
from workbench.domain.contents.model import Content
from workbench.domain.files.model import FileAtVersion, StoredFile, StoredVersion
from workbench.domain.lifecycle.person import FILE_NOTICE_TYPE
from workbench.domain.lifecycle.ports import FileVersions

_FILE = ("id", "conversation_id", "filename", "current_version", "created_datetime", "revision")
_VERSION = (
    *("file_id", "version", "participant_id", "participant_role", "created_datetime", "metadata"),
    *("content_type", "file_size", "content_hash", "storage_filename"),
)


def _at_version(row: Sequence[Any]) -> dict[str, Any]:
    return {
        "file": dict(zip(_FILE, row, strict=False)),
        "version": dict(zip(_VERSION, row[len(_FILE) :], strict=True)),
    }


def _found(*conditions: ColumnElement[bool]) -> Query[FileAtVersion]:
    statement = (
        select(*columns_of(files, *_FILE), *columns_of(file_versions, *_VERSION))
        .join_from(file_versions, files, files.c.id == file_versions.c.file_id)
        .where(here(file_versions), *conditions)
        .order_by(file_versions.c.file_id, file_versions.c.version)
        .limit(bindparam("limit"))
    )
    return Query(FileAtVersion, statement, _at_version)


_OLDER = file_versions.c.created_datetime < bindparam("before", type_=Moment)
_ALL_OLDER = _found(_OLDER)
_OLDER_THERE = _found(_OLDER, files.c.conversation_id == bindparam("conversation_id", type_=Id))
_OF_USER = _found(
    file_versions.c.participant_role == "user",
    file_versions.c.participant_id == bindparam("user_id"),
)
_NEWEST_BUT = Query(
    StoredVersion,
    select(*columns_of(file_versions, *_VERSION))
    .where(
        here(file_versions),
        file_versions.c.file_id == bindparam("file_id", type_=Id),
        file_versions.c.version.not_in(bindparam("but", expanding=True)),
    )
    .order_by(file_versions.c.version.desc())
    .limit(1),
)
_AS_READ = and_(here(files), files.c.id == bindparam("of_id", type_=Id), files.c.revision == bindparam("read_revision"))
_REVISE = update(files).where(_AS_READ).values(current_version=bindparam("to_version"), revision=files.c.revision + 1)
_THE_VERSION = and_(
    here(file_versions),
    file_versions.c.file_id == bindparam("of_id", type_=Id),
    file_versions.c.version == bindparam("of_version"),
)
_DROP = delete(file_versions).where(_THE_VERSION)
_REPLACE = (
    update(file_versions)
    .where(_THE_VERSION)
    .values(
        content_hash=bindparam("to_hash"),
        file_size=bindparam("to_size"),
        content_type=bindparam("to_type"),
        participant_id=bindparam("to_author"),
        metadata={},
    )
)
_COUNT_THERE = (
    update(conversations)
    .where(here(conversations), conversations.c.id == bindparam("of_conversation", type_=Id))
    .values(file_bytes=conversations.c.file_bytes + bindparam("more"))
)
_COUNT_HERE = update(workspaces).where(here(workspaces)).values(file_bytes=workspaces.c.file_bytes + bindparam("more"))


class SqlFileVersions(Repository, FileVersions):
    """The versions of files of one workspace."""

    async def older(self, conversation_id: UUID | None, before: datetime, limit: int) -> Sequence[FileAtVersion]:
        """Along the index on workspace and time."""
        place: dict[str, Any] = {"before": before, "limit": limit}
        if conversation_id is None:
            return await self._all(_ALL_OLDER, place)
        return await self._all(_OLDER_THERE, {**place, "conversation_id": conversation_id})

    async def of_user(self, user_id: str, limit: int) -> Sequence[FileAtVersion]:
        """Over all versions of the workspace."""
        return await self._all(_OF_USER, {"user_id": user_id, "limit": limit})

    async def newest_but(self, file_id: UUID, versions: Sequence[int]) -> StoredVersion | None:
        """Along the primary key."""
        return await self._maybe(_NEWEST_BUT, {"file_id": file_id, "but": list(versions)})

    def drop(self, file: StoredFile, versions: Sequence[StoredVersion], current_version: int) -> None:
        """Delete, over the revision that was read."""
        self._revise(file, current_version)
        for version in versions:
            self._writes.change(_DROP, {"of_id": file.id, "of_version": version.version})
        self._count(file, -sum(version.file_size for version in versions))

    def replace(self, file: StoredFile, versions: Sequence[StoredVersion], content: Content, author_id: str) -> None:
        """Update, over the revision that was read."""
        self._revise(file, file.current_version)
        notice = {"to_hash": content.hash, "to_size": content.size, "to_type": FILE_NOTICE_TYPE, "to_author": author_id}
        for version in versions:
            self._writes.change(_REPLACE, {"of_id": file.id, "of_version": version.version, **notice})
        self._count(file, sum(content.size - version.file_size for version in versions))

    def _revise(self, file: StoredFile, current_version: int) -> None:
        as_read = {"of_id": file.id, "read_revision": file.revision}
        self._writes.change(_REVISE, {**as_read, "to_version": current_version}, must_hit=True)

    def _count(self, file: StoredFile, more: int) -> None:
        self._writes.change(_COUNT_THERE, {"of_conversation": file.conversation_id, "more": more})
        self._writes.change(_COUNT_HERE, {"more": more})
