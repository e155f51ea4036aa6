"""turns: what each is at, what happened in it, its messages, and the parts of messages."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Id, Json, Moment

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ACTIVE = sa.text("status IN ('opened', 'streaming')")
UNBILLED = sa.text("usage_state = 'pending'")
FORGETTABLE = sa.text("log_floor < last_seq")


def upgrade() -> None:
    column = sa.Column("makes_turns", sa.Boolean(), server_default=sa.false(), nullable=False)
    op.add_column("assistant_services", column)
    op.create_table(
        "turns",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("pk", Id(), nullable=False),
        sa.Column("conversation_id", Id(), nullable=False),
        sa.Column("turn_id", sa.String(length=128), nullable=False),
        sa.Column("assistant_id", Id(), nullable=False),
        sa.Column("initiator_role", sa.String(length=16), nullable=False),
        sa.Column("initiator_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=True),
        sa.Column("assistant_service_id", sa.String(length=255), nullable=True),
        sa.Column("parent_turn_id", sa.String(length=128), nullable=True),
        sa.Column("producer_kind", sa.String(length=16), nullable=False),
        sa.Column("input_message_id", Id(), nullable=True),
        sa.Column("output_message_id", Id(), nullable=False),
        sa.Column("input_hash", sa.String(length=64), nullable=False),
        sa.Column("options", Json(), nullable=False),
        sa.Column("deadline_at", Moment(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("finish_reason", sa.String(length=16), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("producer_id", sa.String(length=255), nullable=True),
        sa.Column("lease_expires_at", Moment(), nullable=True),
        sa.Column("lease_seconds", sa.Integer(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_batch", sa.BigInteger(), nullable=False),
        sa.Column("log_floor", sa.BigInteger(), nullable=False),
        sa.Column("is_published", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("cancel_requested_at", Moment(), nullable=True),
        sa.Column("cancel_requested_by", sa.String(length=255), nullable=True),
        sa.Column("cancel_count", sa.Integer(), nullable=False),
        sa.Column("usage_state", sa.String(length=16), nullable=False),
        sa.Column("started_at", Moment(), nullable=True),
        sa.Column("finished_at", Moment(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_turns_conversation_id_conversations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_turns")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_turns_conversation_id_turn_id", "turns", ["conversation_id", "turn_id"], unique=True)
    op.create_index(
        "uq_turns_active",
        "turns",
        ["conversation_id", "assistant_id"],
        unique=True,
        sqlite_where=ACTIVE,
        postgresql_where=ACTIVE,
    )
    op.create_index("ix_turns_conversation_id_created_at", "turns", ["conversation_id", "created_at"])
    op.create_index("ix_turns_deadline_at", "turns", ["deadline_at"], sqlite_where=ACTIVE, postgresql_where=ACTIVE)
    op.create_index("ix_turns_unbilled", "turns", ["pk"], sqlite_where=UNBILLED, postgresql_where=UNBILLED)
    op.create_index(
        "ix_turns_finished_at", "turns", ["finished_at"], sqlite_where=FORGETTABLE, postgresql_where=FORGETTABLE
    )
    op.create_table(
        "turn_events",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("turn_pk", Id(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("is_superseded", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ["turn_pk"], ["turns.pk"], name=op.f("fk_turn_events_turn_pk_turns"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("turn_pk", "seq", name=op.f("pk_turn_events")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "turn_slots",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("conversation_id", Id(), nullable=False),
        sa.Column("turn_id", sa.String(length=128), nullable=False),
        sa.Column("slot", sa.String(length=8), nullable=False),
        sa.Column("message_id", Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_turn_slots_conversation_id_conversations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", "turn_id", "slot", name=op.f("pk_turn_slots")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "message_parts",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("message_id", Id(), nullable=False),
        sa.Column("parts", Json(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "message_id"],
            ["messages.workspace_id", "messages.id"],
            name=op.f("fk_message_parts_workspace_id_messages"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "message_id", name=op.f("pk_message_parts")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("message_parts")
    op.drop_table("turn_slots")
    op.drop_table("turn_events")
    op.drop_table("turns")
    op.drop_column("assistant_services", "makes_turns")
