"""usage: model calls, bills, and each model's part in them."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Id, Json, Moment

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

OF_A_MESSAGE = "message_id IS NOT NULL"
OF_A_TURN = "turn_pk IS NOT NULL"


def upgrade() -> None:
    op.create_table(
        "turn_model_calls",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("turn_pk", Id(), nullable=False),
        sa.Column("call_id", sa.String(length=128), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("model_ref", sa.String(length=255), nullable=True),
        sa.Column("model_id", sa.String(length=255), nullable=True),
        sa.Column("display_name", sa.String(length=255), nullable=True),
        sa.Column("provider", sa.String(length=255), nullable=True),
        sa.Column("call_kind", sa.String(length=50), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("total_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), nullable=True),
        sa.Column("cost_source", sa.String(length=16), nullable=False),
        sa.Column("finish_reason", sa.String(length=50), nullable=True),
        sa.Column("latency_ms", sa.BigInteger(), nullable=True),
        sa.Column("late", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_datetime", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "turn_pk", "call_id", name=op.f("pk_turn_model_calls")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "token_usage",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("usage_type", sa.String(length=50), server_default="chat", nullable=False),
        sa.Column("turn_pk", Id(), nullable=True),
        sa.Column("message_id", Id(), nullable=True),
        sa.Column("conversation_id", Id(), nullable=True),
        sa.Column("user_id", sa.String(length=255), nullable=True),
        sa.Column("assistant_id", Id(), nullable=True),
        sa.Column("assistant_service_id", sa.String(length=255), nullable=True),
        sa.Column("prompt_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), nullable=True),
        sa.Column("cost_complete", sa.Boolean(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("call_count", sa.Integer(), nullable=False),
        sa.Column("model_breakdown", Json(), nullable=False),
        sa.Column("call_details", Json(), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("usage_day", sa.String(length=10), nullable=False),
        sa.Column("created_datetime", Moment(), nullable=False),
        sa.Column("metadata", Json(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_token_usage")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_token_usage_assistant", "token_usage", ["workspace_id", "assistant_id", "created_datetime", "id"]
    )
    op.create_index(
        "ix_token_usage_conversation", "token_usage", ["workspace_id", "conversation_id", "created_datetime", "id"]
    )
    op.create_index("ix_token_usage_created", "token_usage", ["workspace_id", "created_datetime", "id"])
    op.create_index("ix_token_usage_user", "token_usage", ["workspace_id", "user_id", "created_datetime", "id"])
    op.create_index(
        "uq_usage_message",
        "token_usage",
        ["message_id"],
        unique=True,
        sqlite_where=sa.text(OF_A_MESSAGE),
        postgresql_where=sa.text(OF_A_MESSAGE),
    )
    op.create_index(
        "uq_usage_turn",
        "token_usage",
        ["turn_pk"],
        unique=True,
        sqlite_where=sa.text(OF_A_TURN),
        postgresql_where=sa.text(OF_A_TURN),
    )
    op.create_table(
        "token_usage_models",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("usage_id", Id(), nullable=False),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("model_ref", sa.String(length=255), nullable=True),
        sa.Column("model_id", sa.String(length=255), nullable=True),
        sa.Column("display_name", sa.String(length=255), nullable=True),
        sa.Column("provider", sa.String(length=255), nullable=True),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("total_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), nullable=True),
        sa.Column("cost_complete", sa.Boolean(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "usage_id", "model", name=op.f("pk_token_usage_models")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for table in ("token_usage_models", "token_usage", "turn_model_calls"):
        op.drop_table(table)
