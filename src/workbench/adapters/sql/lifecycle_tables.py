"""The tables of what is kept how long, of erasures, and of the record of administrative acts."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from workbench.adapters.sql.schema import Id, Json, Moment, in_the_same_workspace, metadata, workspace_column

audit = Table(
    "audit",
    metadata,
    workspace_column(),
    Column("id", Id, nullable=False),
    Column("at", Moment, nullable=False),
    Column("actor_kind", String(16), nullable=False),
    Column("actor_id", String(255), nullable=False),
    Column("act", String(64), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("detail", Json, nullable=False),
    Column("correlation_id", String(64), nullable=False),
    PrimaryKeyConstraint("workspace_id", "id"),
    Index("ix_audit_workspace_id_at", "workspace_id", "at"),
    Index("ix_audit_at", "at"),
    sqlite_with_rowid=False,
)

# A rule that is not there follows the settings. `seconds` is null for what is kept for ever.
workspace_retention = Table(
    "workspace_retention",
    metadata,
    workspace_column(),
    Column("kind", String(16), nullable=False),
    Column("seconds", BigInteger),
    PrimaryKeyConstraint("workspace_id", "kind"),
    sqlite_with_rowid=False,
)

# A rule that is not there follows the workspace.
conversation_retention = Table(
    "conversation_retention",
    metadata,
    workspace_column(),
    Column("conversation_id", Id, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("seconds", BigInteger, nullable=False),
    PrimaryKeyConstraint("conversation_id", "kind"),
    Index("ix_conversation_retention_workspace_id", "workspace_id", "conversation_id"),
    in_the_same_workspace("conversation_id", "conversations"),
    sqlite_with_rowid=False,
)

# `user_id` and `user_name` are there only until the erasure has ended; the key keeps two of one person from running at once.
erasures = Table(
    "erasures",
    metadata,
    workspace_column(),
    Column("id", Id, nullable=False),
    Column("user_id", String(255)),
    Column("user_name", Text),
    Column("subject", String(64), nullable=False),
    Column("policy", String(16), nullable=False),
    Column("stage", String(64), nullable=False),
    Column("place", Json),
    Column("counts", Json, nullable=False),
    Column("begun_datetime", Moment, nullable=False),
    Column("touched_datetime", Moment, nullable=False),
    Column("ended_datetime", Moment),
    Column("version", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("workspace_id", "id"),
    Index("uq_erasures_workspace_id_user_id", "workspace_id", "user_id", unique=True),
    Index("ix_erasures_workspace_id_subject", "workspace_id", "subject"),
    sqlite_with_rowid=False,
)
