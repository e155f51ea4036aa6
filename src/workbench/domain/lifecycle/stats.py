"""How much there is of everything, for operators."""

from collections.abc import Sequence

import msgspec

from workbench.domain.lifecycle.ports import Figures, WorkspaceStats


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """Each workspace, and the size of the database that holds them all."""

    database_bytes: int
    workspaces: Sequence[WorkspaceStats]


class StatsService:
    """Looks."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    async def look(self) -> Stats:
        """Count rows, by workspace."""
        return Stats(database_bytes=await self._figures.database_bytes(), workspaces=await self._figures.by_workspace())
