"""Playbooks in SQL."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import and_, bindparam, select, update

from workbench.adapters.sql.playbook_tables import playbook_versions, playbooks
from workbench.adapters.sql.repository import Context, Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id, Moment
from workbench.domain.playbooks.model import Playbook
from workbench.domain.playbooks.ports import Playbooks
from workbench.domain.playbooks.versions import PlaybookVersion, StoredPlaybook

_FIELDS = StoredPlaybook.__struct_fields__
_VERSION_FIELDS = [name for name in PlaybookVersion.__struct_fields__ if name != "version"]

_PLAYBOOKS = select(*columns_of(playbooks, *_FIELDS, "version")).where(here(playbooks))
_ALL = _PLAYBOOKS.order_by(playbooks.c.key)
_ONE = _PLAYBOOKS.where(playbooks.c.key == bindparam("key"))
_VERSIONS = Query(
    PlaybookVersion,
    select(playbook_versions.c.number.label("version"), *columns_of(playbook_versions, *_VERSION_FIELDS))
    .where(here(playbook_versions), playbook_versions.c.playbook_id == bindparam("playbook_id", type_=Id))
    .order_by(playbook_versions.c.number),
)
_FOLLOWED = (
    select(playbook_versions.c.document)
    .join(
        playbooks,
        and_(
            playbooks.c.workspace_id == playbook_versions.c.workspace_id,
            playbooks.c.id == playbook_versions.c.playbook_id,
            playbooks.c.current_version == playbook_versions.c.number,
        ),
    )
    .where(here(playbook_versions), playbooks.c.status == "published")
)
_MUTABLE = ("title", "domain", "status", "current_version")
_CHANGE = (
    update(playbooks)
    .where(
        here(playbooks),
        playbooks.c.id == bindparam("of_id", type_=Id),
        playbooks.c.version == bindparam("read_version"),
    )
    .values(
        version=playbooks.c.version + 1,
        updated_at=bindparam("now", type_=Moment),
        **{name: bindparam(f"new_{name}", type_=playbooks.c[name].type) for name in _MUTABLE},
    )
)
_PUBLISHED = (
    update(playbook_versions)
    .where(
        here(playbook_versions),
        playbook_versions.c.playbook_id == bindparam("of_id", type_=Id),
        playbook_versions.c.number == bindparam("of_number"),
    )
    .values(published_at=bindparam("at", type_=Moment))
)


class SqlPlaybooks(Repository, Playbooks):
    """The playbooks of one workspace. Remembers the versions of rows that it read: a change is stored only over those."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._read: dict[UUID, int] = {}

    async def all(self) -> Sequence[StoredPlaybook]:
        """Along the unique index."""
        return self._stored(await self._rows(_ALL, {}))

    async def find(self, key: str) -> StoredPlaybook | None:
        """By the unique index."""
        found = self._stored(await self._rows(_ONE, {"key": key}))
        return found[0] if found else None

    async def versions(self, playbook_id: UUID) -> Sequence[PlaybookVersion]:
        """Along the primary key."""
        return await self._all(_VERSIONS, {"playbook_id": playbook_id})

    async def followed(self) -> Sequence[Playbook]:
        """By the primary key, one for each playbook."""
        return msgspec.convert([row[0] for row in await self._rows(_FOLLOWED, {})], list[Playbook])

    def add(self, playbook: StoredPlaybook) -> None:
        """Insert; the unique index tells where the key is taken."""
        now = self._context.clock.now()
        self._writes.insert(playbooks, {**msgspec.structs.asdict(playbook), "created_at": now, "updated_at": now})

    def change(self, playbook: StoredPlaybook) -> None:
        """Update, over the row that was read."""
        new = {f"new_{name}": getattr(playbook, name) for name in _MUTABLE}
        place = {"of_id": playbook.id, "read_version": self._read.get(playbook.id, 0), "now": self._context.clock.now()}
        self._writes.change(_CHANGE, {**place, **new}, must_hit=True)

    def add_version(self, playbook_id: UUID, version: PlaybookVersion) -> None:
        """Insert; the primary key tells where the number is taken."""
        row: dict[str, Any] = {name: getattr(version, name) for name in _VERSION_FIELDS}
        row["document"], row["findings"] = msgspec.to_builtins(version.document), msgspec.to_builtins(version.findings)
        self._writes.insert(playbook_versions, {**row, "playbook_id": playbook_id, "number": version.version})

    def mark_published(self, playbook_id: UUID, version: PlaybookVersion) -> None:
        """Update."""
        place = {"of_id": playbook_id, "of_number": version.version, "at": version.published_at}
        self._writes.change(_PUBLISHED, place, must_hit=True)

    def _stored(self, rows: Sequence[Any]) -> list[StoredPlaybook]:
        found = msgspec.convert([dict(zip(_FIELDS, row, strict=False)) for row in rows], list[StoredPlaybook])
        self._read |= {playbook.id: row[-1] for playbook, row in zip(found, rows, strict=True)}
        return found
