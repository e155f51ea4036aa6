"""What workspaces decided for themselves, in SQL. A decision that is not there is left to the settings."""

from sqlalchemy import Boolean, Column, PrimaryKeyConstraint, String, Table, bindparam, delete, select

from workbench.adapters.sql.repository import Repository, here
from workbench.adapters.sql.schema import metadata, workspace_column
from workbench.domain.troubleshooting.choices import Choice, Choices, WorkspaceChoices

workspace_choices = Table(
    "workspace_choices",
    metadata,
    workspace_column(),
    Column("choice", String(32), nullable=False),
    Column("wanted", Boolean, nullable=False),
    PrimaryKeyConstraint("workspace_id", "choice"),
    sqlite_with_rowid=False,
)

_OWN = select(workspace_choices.c.choice, workspace_choices.c.wanted).where(here(workspace_choices))
_FORGET = delete(workspace_choices).where(
    here(workspace_choices), workspace_choices.c.choice == bindparam("of_choice", type_=String)
)


class SqlWorkspaceChoices(Repository, WorkspaceChoices):
    """The decisions of one workspace."""

    async def own(self) -> Choices:
        """By the primary key; there are a few at most."""
        return Choices(**{choice: bool(wanted) for choice, wanted in await self._rows(_OWN, {})})

    def choose(self, choice: Choice, *, wanted: bool | None) -> None:
        """Insert or update, or delete."""
        if wanted is None:
            self._writes.change(_FORGET, {"of_choice": choice})
        else:
            self._writes.upsert(workspace_choices, {"choice": choice, "wanted": wanted})
