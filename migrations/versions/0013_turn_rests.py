"""turns: until when one is watched that is to end when it is not; what the beginnings of long logs come to;
what is left of turns that went with their conversations."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Id, Json, Moment

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

WATCHED = sa.text("watched_until IS NOT NULL AND status IN ('opened', 'streaming')")


def upgrade() -> None:
    op.add_column("turns", sa.Column("watched_until", Moment()))
    op.create_index(
        "ix_turns_watched_until", "turns", ["watched_until"], sqlite_where=WATCHED, postgresql_where=WATCHED
    )
    for name in ("log_bytes", "folded_bytes"):
        op.add_column("turns", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "turn_snapshots",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("turn_pk", Id(), nullable=False),
        sa.Column("up_to_seq", sa.BigInteger(), nullable=False),
        sa.Column("state", Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["turn_pk"], ["turns.pk"], name=op.f("fk_turn_snapshots_turn_pk_turns"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("turn_pk", name=op.f("pk_turn_snapshots")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "gone_turns",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("pk", Id(), nullable=False),
        sa.Column("conversation_id", Id(), nullable=False),
        sa.Column("turn_id", sa.String(length=128), nullable=False),
        sa.Column("assistant_id", Id(), nullable=False),
        sa.Column("assistant_service_id", sa.String(length=255), nullable=True),
        sa.Column("user_id", sa.String(length=255), nullable=True),
        sa.Column("gone_at", Moment(), nullable=False),
        sa.Column("is_billed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "conversation_id", "turn_id", name=op.f("pk_gone_turns")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_gone_turns_gone_at", "gone_turns", ["gone_at"])


def downgrade() -> None:
    op.drop_table("gone_turns")
    op.drop_table("turn_snapshots")
    for name in ("folded_bytes", "log_bytes"):
        op.drop_column("turns", name)
    op.drop_index("ix_turns_watched_until", table_name="turns")
    op.drop_column("turns", "watched_until")
