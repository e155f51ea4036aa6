"""Contents in SQL."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import and_, bindparam, delete, exists, not_, or_, select, update

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import KEEP_CONTENTS
from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Moment
from workbench.adapters.sql.tables import contents, file_versions
from workbench.domain.contents.model import Content, StoredContent
from workbench.domain.contents.ports import ContentLedger, Contents

_FIELDS = ("hash", "storage_key", "size")
_IN_USE = exists().where(
    file_versions.c.workspace_id == contents.c.workspace_id, file_versions.c.content_hash == contents.c.hash
)
_STORED = (*columns_of(contents, "workspace_id", *_FIELDS, "touched_datetime"), _IN_USE.label("in_use"))


def _with_use(row: Sequence[object]) -> dict[str, object]:
    """SQLite has no truth values but numbers."""
    names = ("workspace_id", *_FIELDS, "touched_datetime", "in_use")
    return {**dict(zip(names, row, strict=True)), "in_use": bool(row[-1])}


_KNOWN = Query(
    Content,
    select(*columns_of(contents, *_FIELDS)).where(
        here(contents), contents.c.hash.in_(bindparam("hashes", expanding=True))
    ),
)
_BEHIND = Query(
    StoredContent,
    select(*_STORED)
    .where(here(contents), contents.c.hash > bindparam("after"))
    .order_by(contents.c.hash)
    .limit(bindparam("limit")),
    _with_use,
)
_THE_SAME = and_(here(contents), contents.c.hash == bindparam("of_hash"), contents.c.storage_key == bindparam("of_key"))
_TOUCH = update(contents).where(_THE_SAME).values(touched_datetime=bindparam("at", type_=Moment))
_FORGET = delete(contents).where(
    _THE_SAME, contents.c.touched_datetime <= bindparam("last_touched", type_=Moment), not_(_IN_USE)
)
_EVERYWHERE = (
    select(*_STORED)
    .where(
        or_(
            contents.c.workspace_id > bindparam("ws"),
            and_(contents.c.workspace_id == bindparam("ws"), contents.c.hash > bindparam("after")),
        )
    )
    .order_by(contents.c.workspace_id, contents.c.hash)
    .limit(bindparam("limit"))
)
_NAMED = select(contents.c.storage_key).where(contents.c.storage_key.in_(bindparam("keys", expanding=True)))


class SqlContents(Repository, Contents):
    """The contents of one workspace."""

    async def known(self, hashes: Sequence[str]) -> Sequence[Content]:
        """By their primary key."""
        return await self._all(_KNOWN, {"hashes": list(hashes)}) if hashes else []

    async def behind(self, after_hash: str, limit: int) -> Sequence[StoredContent]:
        """Along the primary key, with a look into the index on versions for each."""
        return await self._all(_BEHIND, {"after": after_hash, "limit": limit})

    def add(self, content: Content) -> None:
        """Insert."""
        row = {**msgspec.structs.asdict(content), "touched_datetime": self._context.clock.now()}
        self._writes.insert(contents, row)

    def touch(self, content: Content) -> None:
        """Update, which also keeps a concurrent sweep from deleting it."""
        self._writes.change(_TOUCH, {**_place(content), "at": self._context.clock.now()}, must_hit=True)

    def forget(self, content: Content, last_touched: datetime) -> None:
        """Delete, where nothing refers to it."""
        self._writes.change(_FORGET, {**_place(content), "last_touched": last_touched}, must_hit=True)


class SqlContentLedger(ContentLedger):
    """The contents of all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def behind(self, last: StoredContent | None, limit: int) -> Sequence[StoredContent]:
        """Along the primary key."""
        place = {"ws": last.workspace_id if last else "", "after": last.hash if last else ""}
        rows = await self._database.rows(_EVERYWHERE, {**place, "limit": limit}, KEEP_CONTENTS)
        return msgspec.convert([_with_use(row) for row in rows], list[StoredContent])

    async def known_keys(self, storage_keys: Sequence[str]) -> set[str]:
        """By the unique index."""
        if not storage_keys:
            return set()
        rows = await self._database.rows(_NAMED, {"keys": list(storage_keys)}, KEEP_CONTENTS)
        return {str(row[0]) for row in rows}


def _place(content: Content) -> dict[str, str]:
    return {"of_hash": content.hash, "of_key": content.storage_key}
