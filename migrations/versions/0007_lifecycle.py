"""lifecycle: rules of retention, erasures, the record of administrative acts."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Id, Json, Moment

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

AGE_OF_FILES = "ix_file_versions_workspace_id_created_datetime"


def upgrade() -> None:
    op.add_column("conversations", sa.Column("event_floor", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index("ix_conversations_workspace_id", "conversations", ["workspace_id", "id"], unique=False)
    op.create_index(AGE_OF_FILES, "file_versions", ["workspace_id", "created_datetime"], unique=False)
    op.create_table(
        "workspace_retention",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "kind", name=op.f("pk_workspace_retention")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "conversation_retention",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("conversation_id", Id(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_conversation_retention_conversation_id_conversations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", "kind", name=op.f("pk_conversation_retention")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_conversation_retention_workspace_id", "conversation_retention", ["workspace_id", "conversation_id"]
    )
    op.create_table(
        "audit",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("actor_kind", sa.String(length=16), nullable=False),
        sa.Column("actor_id", sa.String(length=255), nullable=False),
        sa.Column("act", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("detail", Json(), nullable=False),
        sa.Column("correlation_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_audit")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_audit_workspace_id_at", "audit", ["workspace_id", "at"], unique=False)
    op.create_index("ix_audit_at", "audit", ["at"], unique=False)
    op.create_table(
        "erasures",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=True),
        sa.Column("user_name", sa.Text(), nullable=True),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("policy", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.String(length=64), nullable=False),
        sa.Column("place", Json(), nullable=True),
        sa.Column("counts", Json(), nullable=False),
        sa.Column("begun_datetime", Moment(), nullable=False),
        sa.Column("touched_datetime", Moment(), nullable=False),
        sa.Column("ended_datetime", Moment(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_erasures")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_erasures_workspace_id_user_id", "erasures", ["workspace_id", "user_id"], unique=True)
    op.create_index("ix_erasures_workspace_id_subject", "erasures", ["workspace_id", "subject"], unique=False)


def downgrade() -> None:
    for table in ("erasures", "audit", "conversation_retention", "workspace_retention"):
        op.drop_table(table)
    op.drop_index(AGE_OF_FILES, table_name="file_versions")
    op.drop_index("ix_conversations_workspace_id", table_name="conversations")
    op.drop_column("conversations", "event_floor")
