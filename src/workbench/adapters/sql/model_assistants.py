"""Configurations of model assistants in SQL."""

from uuid import UUID

import msgspec
from sqlalchemy import Column, String, Table, bindparam, delete, select

from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id, Json, in_the_same_workspace, metadata, workspace_column
from workbench.domain.model_assistants.model import ModelConfig, StoredConfig
from workbench.domain.model_assistants.ports import ModelConfigs

model_assistants = Table(
    "model_assistants",
    metadata,
    workspace_column(),
    Column("assistant_id", Id, primary_key=True),
    Column("template_id", String(255), nullable=False),
    Column("config", Json, nullable=False),
    in_the_same_workspace("assistant_id", "assistants"),
    sqlite_with_rowid=False,
)

_ONE = Query(
    StoredConfig,
    select(*columns_of(model_assistants, "template_id", "config")).where(
        here(model_assistants), model_assistants.c.assistant_id == bindparam("id")
    ),
)
_REMOVE = delete(model_assistants).where(
    here(model_assistants), model_assistants.c.assistant_id == bindparam("of_id", type_=Id)
)


class SqlModelConfigs(Repository, ModelConfigs):
    """The configurations of one workspace."""

    async def find(self, assistant_id: UUID) -> StoredConfig | None:
        """By the primary key."""
        return await self._maybe(_ONE, {"id": assistant_id})

    def put(self, assistant_id: UUID, template_id: str, config: ModelConfig) -> None:
        """Insert or update."""
        row = {"assistant_id": assistant_id, "template_id": template_id, "config": msgspec.to_builtins(config)}
        self._writes.upsert(model_assistants, row)

    def remove(self, assistant_id: UUID) -> None:
        """Delete."""
        self._writes.change(_REMOVE, {"of_id": assistant_id})
