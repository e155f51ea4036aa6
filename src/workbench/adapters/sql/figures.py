"""Counts of rows by workspace in SQL: a statement a table, answered from an index where there is one that is smaller."""

from collections.abc import Sequence

from sqlalchemy import Table, func, select, text

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import COUNT_ROWS
from workbench.adapters.sql.lifecycle_tables import audit
from workbench.adapters.sql.tables import (
    assistant_services,
    assistants,
    conversations,
    dead_letters,
    deliveries,
    events,
    file_versions,
    files,
    jobs,
    messages,
    users,
    workspaces,
)
from workbench.domain.identity.model import EVERYWHERE
from workbench.domain.lifecycle.ports import Figures, WorkspaceStats

_TABLES: dict[str, Table] = {
    "users": users,
    "assistant_services": assistant_services,
    "assistants": assistants,
    "conversations": conversations,
    "messages": messages,
    "files": files,
    "file_versions": file_versions,
    "events": events,
    "deliveries": deliveries,
    "dead_letters": dead_letters,
    "jobs": jobs,
    "audit_entries": audit,
}
_COUNTS = {
    name: select(table.c.workspace_id, func.count())
    .where(table.c.workspace_id != EVERYWHERE)
    .group_by(table.c.workspace_id)
    for name, table in _TABLES.items()
}
_FILE_BYTES = select(workspaces.c.workspace_id, workspaces.c.file_bytes)
_SIZE = {
    "sqlite": text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"),
    "postgresql": text("SELECT pg_database_size(current_database())"),
}


class SqlFigures(Figures):
    """Counts across workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_workspace(self) -> Sequence[WorkspaceStats]:
        """One statement a table."""
        found: dict[str, dict[str, int]] = {}
        for name, statement in {**_COUNTS, "file_bytes": _FILE_BYTES}.items():
            for workspace_id, number in await self._database.rows(statement, within=COUNT_ROWS):
                found.setdefault(str(workspace_id), dict.fromkeys([*_COUNTS, "file_bytes"], 0))[name] = int(number)
        return [WorkspaceStats(workspace_id=workspace_id, **found[workspace_id]) for workspace_id in sorted(found)]

    async def database_bytes(self) -> int:
        """As the database says."""
        return int((await self._database.rows(_SIZE[self._database.dialect_name]))[0][0])
