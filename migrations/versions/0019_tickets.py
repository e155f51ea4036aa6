"""tickets: connected ticket systems, the tickets of sessions, notes to them, and what resolved sessions leave."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Id, Json, Moment

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def _workspace() -> sa.Column[str]:
    return sa.Column("workspace_id", sa.String(length=63), nullable=False)


def _of_session(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace_id", "session_id"],
        ["sessions.workspace_id", "sessions.id"],
        name=op.f(f"fk_{table}_workspace_id_sessions"),
        ondelete="CASCADE",
    )


def _by_connection(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace_id", "connection_id"],
        ["psa_connections.workspace_id", "psa_connections.id"],
        name=op.f(f"fk_{table}_workspace_id_psa_connections"),
    )


def upgrade() -> None:
    op.create_table(
        "psa_connections",
        _workspace(),
        sa.Column("id", Id(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("config", Json(), nullable=False),
        sa.Column("secret_ciphertext", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("health", sa.String(length=16), nullable=False),
        sa.Column("checked_at", Moment(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("removed_at", Moment(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_psa_connections")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "session_tickets",
        _workspace(),
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("connection_id", Id(), nullable=False),
        sa.Column("psa_ticket_id", sa.String(length=64), nullable=False),
        sa.Column("ticket_data", Json(), nullable=False),
        _of_session("session_tickets"),
        _by_connection("session_tickets"),
        sa.PrimaryKeyConstraint("workspace_id", "session_id", name=op.f("pk_session_tickets")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_session_tickets_ticket", "session_tickets", ["workspace_id", "psa_ticket_id"])
    op.create_table(
        "psa_pushes",
        _workspace(),
        sa.Column("id", Id(), nullable=False),
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("connection_id", Id(), nullable=False),
        sa.Column("psa_ticket_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("visibility", sa.String(length=16), nullable=False),
        sa.Column("author_id", sa.String(length=255), nullable=False),
        sa.Column("marker", sa.String(length=63), nullable=False),
        sa.Column("dedupe_key", sa.String(length=255), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("manual_attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", Moment(), nullable=True),
        sa.Column("may_be_there", sa.Boolean(), nullable=False),
        sa.Column("claim", sa.String(length=32), nullable=True),
        sa.Column("lease_until", Moment(), nullable=True),
        sa.Column("external_note_id", sa.Text(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("error_code", sa.String(length=32), nullable=True),
        sa.Column("posted_at", Moment(), nullable=True),
        _by_connection("psa_pushes"),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_psa_pushes")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_psa_pushes_due", "psa_pushes", ["status", "next_attempt_at"])
    op.create_index("ix_psa_pushes_session", "psa_pushes", ["workspace_id", "session_id", "created_at"])
    op.create_index("uq_psa_pushes_dedupe_key", "psa_pushes", ["workspace_id", "dedupe_key"], unique=True)
    op.create_table(
        "psa_push_bodies",
        _workspace(),
        sa.Column("push_id", Id(), nullable=False),
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("people", Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "push_id"],
            ["psa_pushes.workspace_id", "psa_pushes.id"],
            name=op.f("fk_psa_push_bodies_workspace_id_psa_pushes"),
            ondelete="CASCADE",
        ),
        _of_session("psa_push_bodies"),
        sa.PrimaryKeyConstraint("workspace_id", "push_id", name=op.f("pk_psa_push_bodies")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_psa_push_bodies_session", "psa_push_bodies", ["workspace_id", "session_id"])
    op.create_table(
        "resolution_outputs",
        _workspace(),
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("session_version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("content", Json(), nullable=True),
        sa.Column("generated_by", sa.String(length=16), nullable=False),
        sa.Column("error_code", sa.String(length=32), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("told_at", Moment(), nullable=True),
        sa.Column("people", Json(), nullable=False),
        _of_session("resolution_outputs"),
        sa.PrimaryKeyConstraint(
            "workspace_id", "session_id", "session_version", "kind", name=op.f("pk_resolution_outputs")
        ),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("resolution_outputs")
    op.drop_table("psa_push_bodies")
    op.drop_table("psa_pushes")
    op.drop_table("session_tickets")
    op.drop_table("psa_connections")
