"""sessions: playbooks with their versions, and troubleshooting sessions with all that belongs to them."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Id, Json, Moment

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

OPEN_STEP = sa.text("answered_at IS NULL AND superseded_by IS NULL")
OPEN_ESCALATION = sa.text("state = 'open'")


def upgrade() -> None:
    op.create_table(
        "playbooks",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("key", sa.String(length=63), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("current_version", sa.Integer(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_playbooks")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_playbooks_workspace_id_key", "playbooks", ["workspace_id", "key"], unique=True)
    op.create_table(
        "playbook_versions",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("playbook_id", Id(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("schema", sa.String(length=63), nullable=False),
        sa.Column("source_text", sa.Text(), nullable=False),
        sa.Column("document", Json(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("findings", Json(), nullable=False),
        sa.Column("imported_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("published_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id", "playbook_id"],
            ["playbooks.workspace_id", "playbooks.id"],
            name=op.f("fk_playbook_versions_workspace_id_playbooks"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "playbook_id", "number", name=op.f("pk_playbook_versions")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sessions",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("conversation_id", Id(), nullable=False),
        sa.Column("owner_id", sa.String(length=255), nullable=False),
        sa.Column("handler_id", sa.String(length=255), nullable=False),
        sa.Column("session_type", sa.String(length=16), nullable=False),
        sa.Column("intake", Json(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("last_activity_at", Moment(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("resume_status", sa.String(length=32), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("problem_summary", sa.Text(), nullable=True),
        sa.Column("problem_domain", sa.Text(), nullable=True),
        sa.Column("confidence_score", sa.Float(), nullable=True),
        sa.Column("confidence_tier", sa.String(length=16), nullable=True),
        sa.Column("step_count", sa.Integer(), nullable=False),
        sa.Column("matched_flow_id", Id(), nullable=True),
        sa.Column("playbook_version", sa.Integer(), nullable=True),
        sa.Column("match_score", sa.Float(), nullable=True),
        sa.Column("is_branching", sa.Boolean(), nullable=False),
        sa.Column("active_branch_id", Id(), nullable=True),
        sa.Column("resolution", Json(), nullable=True),
        sa.Column("abandon_reason", sa.Text(), nullable=True),
        sa.Column("rating", sa.Integer(), nullable=True),
        sa.Column("feedback", sa.Text(), nullable=True),
        sa.Column("resolved_at", Moment(), nullable=True),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_sessions_conversation_id_conversations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("conversation_id", name=op.f("uq_sessions_conversation_id")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sessions_handler", "sessions", ["workspace_id", "handler_id", "created_at", "id"])
    op.create_index("ix_sessions_owner", "sessions", ["workspace_id", "owner_id", "created_at", "id"])
    op.create_index("ix_sessions_status", "sessions", ["workspace_id", "status", "last_activity_at"])
    op.create_table(
        "session_branches",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("parent_branch_id", Id(), nullable=True),
        sa.Column("forked_at_step_id", Id(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "session_id"],
            ["sessions.workspace_id", "sessions.id"],
            name=op.f("fk_session_branches_workspace_id_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "session_id", "id", name=op.f("pk_session_branches")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "session_escalations",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_at", Moment(), nullable=False),
        sa.Column("urgency", sa.String(length=16), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("target_user_id", sa.String(length=255), nullable=True),
        sa.Column("packet", Json(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("picked_up_by", sa.String(length=255), nullable=True),
        sa.Column("resume_mode", sa.String(length=16), nullable=True),
        sa.Column("additional_context", sa.Text(), nullable=True),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id", "session_id"],
            ["sessions.workspace_id", "sessions.id"],
            name=op.f("fk_session_escalations_workspace_id_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "session_id", "id", name=op.f("pk_session_escalations")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_session_escalations_queue", "session_escalations", ["workspace_id", "state", "rank", "requested_at", "id"]
    )
    op.create_index(
        "uq_session_escalations_open",
        "session_escalations",
        ["workspace_id", "session_id"],
        unique=True,
        sqlite_where=OPEN_ESCALATION,
        postgresql_where=OPEN_ESCALATION,
    )
    op.create_table(
        "session_lanes",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.Column("lane", Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "session_id"],
            ["sessions.workspace_id", "sessions.id"],
            name=op.f("fk_session_lanes_workspace_id_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "session_id", name=op.f("pk_session_lanes")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "session_playbooks",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("key", sa.String(length=63), nullable=False),
        sa.Column("playbook_id", Id(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("match", sa.Float(), nullable=False),
        sa.Column("document", Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "session_id"],
            ["sessions.workspace_id", "sessions.id"],
            name=op.f("fk_session_playbooks_workspace_id_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "session_id", "key", name=op.f("pk_session_playbooks")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "session_steps",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("branch_id", Id(), nullable=False),
        sa.Column("step_order", sa.Integer(), nullable=False),
        sa.Column("step", Json(), nullable=False),
        sa.Column("asked_at", Moment(), nullable=False),
        sa.Column("answered_at", Moment(), nullable=True),
        sa.Column("answered_by", sa.String(length=255), nullable=True),
        sa.Column("reading", Json(), nullable=True),
        sa.Column("is_unclear", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("prompt_message_id", Id(), nullable=True),
        sa.Column("answer_message_id", Id(), nullable=True),
        sa.Column("superseded_by", Id(), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id", "session_id", "branch_id"],
            ["session_branches.workspace_id", "session_branches.session_id", "session_branches.id"],
            name=op.f("fk_session_steps_workspace_id_session_branches"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "session_id", "id", name=op.f("pk_session_steps")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "uq_session_steps_open",
        "session_steps",
        ["workspace_id", "session_id", "branch_id"],
        unique=True,
        sqlite_where=OPEN_STEP,
        postgresql_where=OPEN_STEP,
    )
    op.create_index(
        "uq_session_steps_order",
        "session_steps",
        ["workspace_id", "session_id", "branch_id", "step_order"],
        unique=True,
    )


def downgrade() -> None:
    op.drop_table("session_steps")
    op.drop_table("session_playbooks")
    op.drop_table("session_lanes")
    op.drop_table("session_escalations")
    op.drop_table("session_branches")
    op.drop_table("sessions")
    op.drop_table("playbook_versions")
    op.drop_table("playbooks")
