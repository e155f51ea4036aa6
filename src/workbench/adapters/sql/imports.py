"""What imports read and write, in SQL."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select, text

from workbench.adapters.sql.repository import Repository, here
from workbench.adapters.sql.tables import conversations, message_debug, workspaces
from workbench.domain.archive.ports import Imports

_TITLES_LIKE = select(conversations.c.title).where(
    here(conversations),
    conversations.c.owner_id == bindparam("owner_id"),
    func.lower(func.substr(conversations.c.title, 1, bindparam("length"))) == func.lower(bindparam("title")),
)

_FILE_BYTES = select(workspaces.c.file_bytes).where(here(workspaces))
_OPEN = text("INSERT INTO workspaces (workspace_id) VALUES (:ws) ON CONFLICT DO NOTHING")


class SqlImports(Repository, Imports):
    """Imports into one workspace."""

    async def titles_like(self, owner_id: str, title: str) -> Sequence[str]:
        """Compared by the database's own idea of lower case."""
        parameters = {"owner_id": owner_id, "title": title, "length": len(title)}
        return [str(row[0]) for row in await self._rows(_TITLES_LIKE, parameters)]

    async def file_bytes(self) -> int:
        """A counter; a workspace that is not known has none."""
        return int(await self._scalar(_FILE_BYTES, {}) or 0)

    def open_workspace(self) -> None:
        """Insert its row, unless it is there."""
        self._writes.change(_OPEN, {})

    def attach_debug(self, message_id: UUID, data: dict[str, Any]) -> None:
        """Insert."""
        self._writes.insert(message_debug, {"message_id": message_id, "debug_data": data})
