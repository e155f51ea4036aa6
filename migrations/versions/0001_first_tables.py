"""first tables."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Id, Json, Moment

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "assistant_services",
        sa.Column("assistant_service_id", sa.String(length=255), nullable=False),
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("created_by_user_id", sa.String(length=255), nullable=False),
        sa.Column("created_by_user_name", sa.Text(), nullable=False),
        sa.Column("created_datetime", Moment(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("include_in_listing", sa.Boolean(), nullable=False),
        sa.Column("api_key_name", sa.String(length=255), nullable=False),
        sa.Column("api_key_encrypted", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("online_expires", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("assistant_service_id", name=op.f("pk_assistant_services")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "conversations",
        sa.Column("id", Id(), nullable=False),
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.String(length=255), nullable=False),
        sa.Column("imported_from_conversation_id", Id(), nullable=True),
        sa.Column("metadata", Json(), nullable=False),
        sa.Column("created_datetime", Moment(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("event_head", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("message_head", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversations")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dead_letters",
        sa.Column("id", Id(), nullable=False),
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("assistant_id", Id(), nullable=False),
        sa.Column("conversation_id", Id(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.String(length=32), nullable=False),
        sa.Column("event_type", sa.String(length=64), nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("failed_datetime", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_dead_letters_assistant_id"), "dead_letters", ["assistant_id"], unique=False)

    op.create_table(
        "deliveries",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("assistant_id", Id(), nullable=False),
        sa.Column("conversation_id", Id(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("retry_at", Moment(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("assistant_id", "conversation_id", name=op.f("pk_deliveries")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_deliveries_conversation_id"), "deliveries", ["conversation_id"], unique=False)

    op.create_table(
        "events",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("feed_position", sa.BigInteger(), nullable=False),
        sa.Column("conversation_id", Id(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("correlation_id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("timestamp", Moment(), nullable=False),
        sa.Column("audience", sa.String(length=16), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "feed_position", name=op.f("pk_events")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_events_conversation_id_position", "events", ["conversation_id", "position"], unique=True)

    op.create_table(
        "farewells",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("feed_position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", "feed_position", name=op.f("pk_farewells")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_leases_holder"), "leases", ["holder"], unique=False)

    op.create_table(
        "users",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("image", sa.Text(), nullable=True),
        sa.Column("service_user", sa.Boolean(), nullable=False),
        sa.Column("name_is_chosen", sa.Boolean(), nullable=False),
        sa.Column("created_datetime", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_users")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "workspaces",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("event_head", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("event_floor", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_workspaces")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "assistants",
        sa.Column("id", Id(), nullable=False),
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("owner_id", sa.String(length=255), nullable=False),
        sa.Column("assistant_service_id", sa.String(length=255), nullable=False),
        sa.Column("template_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("image", sa.Text(), nullable=True),
        sa.Column("metadata", Json(), nullable=False),
        sa.Column("created_datetime", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["assistant_service_id"],
            ["assistant_services.assistant_service_id"],
            name=op.f("fk_assistants_assistant_service_id_assistant_services"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assistants")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_assistants_assistant_service_id"), "assistants", ["assistant_service_id"], unique=False)
    op.create_index("ix_assistants_workspace_id_owner_id", "assistants", ["workspace_id", "owner_id"], unique=False)

    op.create_table(
        "messages",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("conversation_id", Id(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("sender_role", sa.String(length=16), nullable=False),
        sa.Column("sender_id", sa.String(length=255), nullable=False),
        sa.Column("message_type", sa.String(length=32), nullable=False),
        sa.Column("timestamp", Moment(), nullable=False),
        sa.Column("content_type", sa.String(length=255), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("filenames", Json(), nullable=False),
        sa.Column("metadata", Json(), nullable=False),
        sa.Column("has_debug_data", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_messages_conversation_id_conversations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", "sequence", name=op.f("pk_messages")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_messages_conversation_id_message_type",
        "messages",
        ["conversation_id", "message_type", "sequence"],
        unique=False,
    )
    op.create_index("uq_messages_id_workspace_id", "messages", ["id", "workspace_id"], unique=True)

    op.create_table(
        "participants",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("conversation_id", Id(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("assistant_id", Id(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("image", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("status_updated_timestamp", Moment(), nullable=False),
        sa.Column("active_participant", sa.Boolean(), nullable=False),
        sa.Column("conversation_permission", sa.String(length=16), nullable=False),
        sa.Column("metadata", Json(), nullable=False),
        sa.Column("joined_datetime", Moment(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_participants_conversation_id_conversations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", "role", "id", name=op.f("pk_participants")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_participants_id_role", "participants", ["id", "role", "workspace_id", "conversation_id"], unique=False
    )

    op.create_table(
        "message_debug",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("message_id", Id(), nullable=False),
        sa.Column("debug_data", Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "message_id"],
            ["messages.workspace_id", "messages.id"],
            name=op.f("fk_message_debug_workspace_id_messages"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "message_id", name=op.f("pk_message_debug")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("message_debug")
    op.drop_index("ix_participants_id_role", table_name="participants")

    op.drop_table("participants")
    op.drop_index("uq_messages_id_workspace_id", table_name="messages")
    op.drop_index("ix_messages_conversation_id_message_type", table_name="messages")

    op.drop_table("messages")
    op.drop_index("ix_assistants_workspace_id_owner_id", table_name="assistants")
    op.drop_index(op.f("ix_assistants_assistant_service_id"), table_name="assistants")

    op.drop_table("assistants")
    op.drop_table("workspaces")
    op.drop_table("users")
    op.drop_index(op.f("ix_leases_holder"), table_name="leases")

    op.drop_table("leases")
    op.drop_table("farewells")
    op.drop_index("uq_events_conversation_id_position", table_name="events")

    op.drop_table("events")
    op.drop_index(op.f("ix_deliveries_conversation_id"), table_name="deliveries")

    op.drop_table("deliveries")
    op.drop_index(op.f("ix_dead_letters_assistant_id"), table_name="dead_letters")

    op.drop_table("dead_letters")
    op.drop_table("conversations")
    op.drop_table("assistant_services")
