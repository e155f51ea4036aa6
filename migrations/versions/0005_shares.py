"""shares: invitations to conversations, and who took them up."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Id, Json, Moment

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shares",
        sa.Column("id", Id(), nullable=False),
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("conversation_id", Id(), nullable=False),
        sa.Column("owner_id", sa.String(length=255), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("conversation_permission", sa.String(length=16), nullable=False),
        sa.Column("is_redeemable", sa.Boolean(), nullable=False),
        sa.Column("created_datetime", Moment(), nullable=False),
        sa.Column("metadata", Json(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=True),
        sa.Column("expires_datetime", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_shares_conversation_id_conversations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shares")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_shares_conversation_id"), "shares", ["conversation_id"], unique=False)
    op.create_index("ix_shares_workspace_id_owner_id", "shares", ["workspace_id", "owner_id"], unique=False)
    op.create_table(
        "redemptions",
        sa.Column("id", Id(), nullable=False),
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("share_id", Id(), nullable=False),
        sa.Column("redeemed_by_user_id", sa.String(length=255), nullable=False),
        sa.Column("conversation_permission", sa.String(length=16), nullable=False),
        sa.Column("new_participant", sa.Boolean(), nullable=False),
        sa.Column("created_datetime", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["share_id"], ["shares.id"], name=op.f("fk_redemptions_share_id_shares"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redemptions")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_redemptions_share_id"), "redemptions", ["share_id"], unique=False)
    op.create_index(
        "ix_redemptions_workspace_id_redeemed_by_user_id",
        "redemptions",
        ["workspace_id", "redeemed_by_user_id"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_table("redemptions")
    op.drop_table("shares")
