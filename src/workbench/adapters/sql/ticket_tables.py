"""The tables of ticket systems: connections, the tickets of sessions, what is pushed there, and what sessions leave.

What was pushed stays when its session goes, but for its body, which is in a table of its own and goes with the session.
"""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from workbench.adapters.sql.schema import Id, Json, Moment, metadata, workspace_column


def _of_session() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["workspace_id", "session_id"], ["sessions.workspace_id", "sessions.id"], ondelete="CASCADE"
    )


def _by_connection() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["workspace_id", "connection_id"], ["psa_connections.workspace_id", "psa_connections.id"]
    )


psa_connections = Table(
    "psa_connections",
    metadata,
    workspace_column(),
    Column("id", Id, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("config", Json, nullable=False),
    Column("secret_ciphertext", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("health", String(16), nullable=False),
    Column("checked_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("removed_at", Moment),
    Column("version", Integer, nullable=False),
    PrimaryKeyConstraint("workspace_id", "id"),
    sqlite_with_rowid=False,
)

session_tickets = Table(
    "session_tickets",
    metadata,
    workspace_column(),
    Column("session_id", Id, nullable=False),
    Column("connection_id", Id, nullable=False),
    Column("psa_ticket_id", String(64), nullable=False),
    Column("ticket_data", Json, nullable=False),
    PrimaryKeyConstraint("workspace_id", "session_id"),
    _of_session(),
    _by_connection(),
    Index("ix_session_tickets_ticket", "workspace_id", "psa_ticket_id"),
    sqlite_with_rowid=False,
)

psa_pushes = Table(
    "psa_pushes",
    metadata,
    workspace_column(),
    Column("id", Id, nullable=False),
    # Refers to no row: the session may be gone.
    Column("session_id", Id, nullable=False),
    Column("connection_id", Id, nullable=False),
    Column("psa_ticket_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("visibility", String(16), nullable=False),
    Column("author_id", String(255), nullable=False),
    Column("marker", String(63), nullable=False),
    Column("dedupe_key", String(255), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempt_count", Integer, nullable=False),
    Column("manual_attempts", Integer, nullable=False),
    Column("next_attempt_at", Moment),
    Column("may_be_there", Boolean, nullable=False),
    Column("claim", String(32)),
    Column("lease_until", Moment),
    Column("external_note_id", Text),
    Column("http_status", Integer),
    Column("error_code", String(32)),
    Column("posted_at", Moment),
    Column("correlation_id", String(64), nullable=False, server_default=""),
    Column("trace_parent", String(55)),
    PrimaryKeyConstraint("workspace_id", "id"),
    _by_connection(),
    Index("uq_psa_pushes_dedupe_key", "workspace_id", "dedupe_key", unique=True),
    Index("ix_psa_pushes_session", "workspace_id", "session_id", "created_at"),
    Index("ix_psa_pushes_due", "status", "next_attempt_at"),
    sqlite_with_rowid=False,
)

psa_push_bodies = Table(
    "psa_push_bodies",
    metadata,
    workspace_column(),
    Column("push_id", Id, nullable=False),
    Column("session_id", Id, nullable=False),
    Column("body", Text, nullable=False),
    # Those whose words it may hold.
    Column("people", Json, nullable=False),
    PrimaryKeyConstraint("workspace_id", "push_id"),
    ForeignKeyConstraint(["workspace_id", "push_id"], ["psa_pushes.workspace_id", "psa_pushes.id"], ondelete="CASCADE"),
    _of_session(),
    Index("ix_psa_push_bodies_session", "workspace_id", "session_id"),
    sqlite_with_rowid=False,
)

resolution_outputs = Table(
    "resolution_outputs",
    metadata,
    workspace_column(),
    Column("session_id", Id, nullable=False),
    Column("session_version", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("content", Json),
    Column("generated_by", String(16), nullable=False),
    Column("error_code", String(32)),
    Column("created_at", Moment, nullable=False),
    Column("told_at", Moment),
    Column("people", Json, nullable=False),
    PrimaryKeyConstraint("workspace_id", "session_id", "session_version", "kind"),
    _of_session(),
    sqlite_with_rowid=False,
)
