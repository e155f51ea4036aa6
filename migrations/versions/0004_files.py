"""files: contents kept once, files and their versions, and how many bytes there are of them."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Id, Json, Moment

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("workspaces", "conversations"):
        op.add_column(table, sa.Column("file_bytes", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "contents",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("storage_key", sa.String(length=255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("touched_datetime", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "hash", name=op.f("pk_contents")),
        sa.UniqueConstraint("storage_key", name=op.f("uq_contents_storage_key")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "files",
        sa.Column("id", Id(), nullable=False),
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("conversation_id", Id(), nullable=False),
        sa.Column("filename", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("current_version", sa.Integer(), nullable=False),
        sa.Column("created_datetime", Moment(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_files_conversation_id_conversations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_files_conversation_id_filename", "files", ["conversation_id", "filename"], unique=True)
    op.create_table(
        "file_versions",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("file_id", Id(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("participant_id", sa.String(length=255), nullable=False),
        sa.Column("participant_role", sa.String(length=16), nullable=False),
        sa.Column("created_datetime", Moment(), nullable=False),
        sa.Column("metadata", Json(), nullable=False),
        sa.Column("content_type", sa.String(length=255), nullable=False),
        sa.Column("file_size", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("storage_filename", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"], ["files.id"], name=op.f("fk_file_versions_file_id_files"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "content_hash"],
            ["contents.workspace_id", "contents.hash"],
            name=op.f("fk_file_versions_workspace_id_contents"),
        ),
        sa.PrimaryKeyConstraint("file_id", "version", name=op.f("pk_file_versions")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_file_versions_workspace_id_content_hash", "file_versions", ["workspace_id", "content_hash"], unique=False
    )


def downgrade() -> None:
    for table in ("file_versions", "files", "contents"):
        op.drop_table(table)
    for table in ("conversations", "workspaces"):
        op.drop_column(table, "file_bytes")
