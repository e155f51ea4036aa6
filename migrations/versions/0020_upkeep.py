"""upkeep: keys of requests that may be repeated, teams, deleted sessions that are still there, escalations told of."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Json, Moment

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

MAY_IDLE = sa.text("status IN ('active', 'escalated', 'paused') AND deleted_at IS NULL")
DELETED = sa.text("deleted_at IS NOT NULL")
UNTOLD_ESCALATION = sa.text("state = 'open' AND alarmed_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("caller_role", sa.String(length=16), nullable=False),
        sa.Column("caller_id", sa.String(length=255), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("route", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("claim", sa.String(length=32), nullable=False),
        sa.Column("claimed_until", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", Json(), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint(
            "workspace_id", "caller_role", "caller_id", "method", "route", "key", name=op.f("pk_idempotency_keys")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_idempotency_keys_expires_at", "idempotency_keys", ["expires_at"])
    op.create_table(
        "rate_uses",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("caller_role", sa.String(length=16), nullable=False),
        sa.Column("caller_id", sa.String(length=255), nullable=False),
        sa.Column("act", sa.String(length=64), nullable=False),
        sa.Column("times", Json(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "caller_role", "caller_id", "act", name=op.f("pk_rate_uses")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_rate_uses_last_at", "rate_uses", ["last_at"])
    op.create_table(
        "teams",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("seen_datetime", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_teams")),
        sqlite_with_rowid=False,
    )
    op.add_column("users", sa.Column("works_on_sessions", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("users", sa.Column("team_ids", Json(), server_default="[]", nullable=False))
    op.add_column("sessions", sa.Column("deleted_at", Moment(), nullable=True))
    op.create_index(
        "ix_sessions_idle", "sessions", ["last_activity_at", "status"], sqlite_where=MAY_IDLE, postgresql_where=MAY_IDLE
    )
    op.create_index("ix_sessions_deleted", "sessions", ["deleted_at"], sqlite_where=DELETED, postgresql_where=DELETED)
    op.add_column("session_escalations", sa.Column("team_id", sa.String(length=255), nullable=True))
    op.add_column("session_escalations", sa.Column("alarmed_at", Moment(), nullable=True))
    op.create_index(
        "ix_session_escalations_untold",
        "session_escalations",
        ["requested_at"],
        sqlite_where=UNTOLD_ESCALATION,
        postgresql_where=UNTOLD_ESCALATION,
    )


def downgrade() -> None:
    op.drop_index("ix_session_escalations_untold", table_name="session_escalations")
    op.drop_column("session_escalations", "alarmed_at")
    op.drop_column("session_escalations", "team_id")
    op.drop_index("ix_sessions_deleted", table_name="sessions")
    op.drop_index("ix_sessions_idle", table_name="sessions")
    # What is hidden must not come to light again.
    op.execute(
        "DELETE FROM conversations WHERE id IN (SELECT conversation_id FROM sessions WHERE deleted_at IS NOT NULL)"
    )
    op.execute("DELETE FROM sessions WHERE deleted_at IS NOT NULL")
    op.drop_column("sessions", "deleted_at")
    op.drop_column("users", "team_ids")
    op.drop_column("users", "works_on_sessions")
    op.drop_table("teams")
    op.drop_table("rate_uses")
    op.drop_table("idempotency_keys")
