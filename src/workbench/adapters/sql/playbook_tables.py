"""The tables of playbooks: each that a workspace has of its own, and its versions, which never change."""

from sqlalchemy import Column, ForeignKeyConstraint, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from workbench.adapters.sql.schema import Id, Json, Moment, metadata, workspace_column

playbooks = Table(
    "playbooks",
    metadata,
    workspace_column(),
    Column("id", Id, nullable=False),
    Column("key", String(63), nullable=False),
    Column("title", Text, nullable=False),
    Column("domain", Text),
    Column("status", String(16), nullable=False),
    Column("current_version", Integer),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("version", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("workspace_id", "id"),
    Index("uq_playbooks_workspace_id_key", "workspace_id", "key", unique=True),
    sqlite_with_rowid=False,
)

playbook_versions = Table(
    "playbook_versions",
    metadata,
    workspace_column(),
    Column("playbook_id", Id, nullable=False),
    Column("number", Integer, nullable=False),
    Column("schema", String(63), nullable=False),
    Column("source_text", Text, nullable=False),
    Column("document", Json, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("findings", Json, nullable=False),
    Column("imported_by", String(255), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("published_at", Moment),
    PrimaryKeyConstraint("workspace_id", "playbook_id", "number"),
    ForeignKeyConstraint(
        ["workspace_id", "playbook_id"], ["playbooks.workspace_id", "playbooks.id"], ondelete="CASCADE"
    ),
    sqlite_with_rowid=False,
)
