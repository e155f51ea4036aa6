"""The tables of troubleshooting sessions. Whatever belongs to one goes with it, and it goes with its conversation."""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

from workbench.adapters.sql.schema import Id, Json, Moment, in_the_same_workspace, metadata, workspace_column

# SQLite takes a partial index for the same only where its condition is the same text.
OPEN_STEP = text("answered_at IS NULL AND superseded_by IS NULL")
OPEN_ESCALATION = text("state = 'open'")
UNTOLD_ESCALATION = text("state = 'open' AND alarmed_at IS NULL")
MAY_IDLE = text("status IN ('active', 'escalated', 'paused') AND deleted_at IS NULL")
DELETED = text("deleted_at IS NOT NULL")


def _of_session() -> ForeignKeyConstraint:
    return in_the_same_workspace("session_id", "sessions")


sessions = Table(
    "sessions",
    metadata,
    workspace_column(),
    Column("id", Id, nullable=False),
    Column("conversation_id", Id, nullable=False, unique=True),
    Column("owner_id", String(255), nullable=False),
    Column("handler_id", String(255), nullable=False),
    Column("session_type", String(16), nullable=False),
    Column("intake", Json, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("last_activity_at", Moment, nullable=False),
    Column("status", String(32), nullable=False),
    Column("resume_status", String(32)),
    Column("title", Text),
    Column("problem_summary", Text),
    Column("problem_domain", Text),
    Column("confidence_score", Float()),
    Column("confidence_tier", String(16)),
    Column("step_count", Integer, nullable=False),
    # A playbook that comes with the package has no row, so that this refers to none.
    Column("matched_flow_id", Id),
    Column("playbook_version", Integer),
    Column("match_score", Float()),
    Column("is_branching", Boolean, nullable=False),
    Column("active_branch_id", Id),
    Column("resolution", Json),
    Column("abandon_reason", Text),
    Column("rating", Integer),
    Column("feedback", Text),
    Column("resolved_at", Moment),
    Column("reopenable_until", Moment),
    Column("closed_at", Moment),
    # Whose model is at work on the next step, and until when that is believed.
    Column("lease_key", String(64)),
    Column("lease_until", Moment),
    Column("deleted_at", Moment),
    Column("version", Integer, nullable=False),
    PrimaryKeyConstraint("workspace_id", "id"),
    Index("ix_sessions_owner", "workspace_id", "owner_id", "created_at", "id"),
    Index("ix_sessions_handler", "workspace_id", "handler_id", "created_at", "id"),
    Index("ix_sessions_status", "workspace_id", "status", "last_activity_at"),
    # What duties look for, in all workspaces.
    Index("ix_sessions_idle", "last_activity_at", "status", sqlite_where=MAY_IDLE, postgresql_where=MAY_IDLE),
    Index("ix_sessions_deleted", "deleted_at", sqlite_where=DELETED, postgresql_where=DELETED),
    in_the_same_workspace("conversation_id", "conversations"),
    sqlite_with_rowid=False,
)

session_branches = Table(
    "session_branches",
    metadata,
    workspace_column(),
    Column("session_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("label", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("parent_branch_id", Id),
    Column("forked_at_step_id", Id),
    Column("status", String(16), nullable=False),
    PrimaryKeyConstraint("workspace_id", "session_id", "id"),
    _of_session(),
    sqlite_with_rowid=False,
)

session_steps = Table(
    "session_steps",
    metadata,
    workspace_column(),
    Column("session_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("branch_id", Id, nullable=False),
    Column("step_order", Integer, nullable=False),
    Column("step", Json, nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("answered_at", Moment),
    Column("answered_by", String(255)),
    Column("reading", Json),
    Column("is_unclear", Boolean, nullable=False),
    Column("note", Text),
    Column("prompt_message_id", Id),
    Column("answer_message_id", Id),
    Column("superseded_by", Id),
    PrimaryKeyConstraint("workspace_id", "session_id", "id"),
    ForeignKeyConstraint(
        ["workspace_id", "session_id", "branch_id"],
        ["session_branches.workspace_id", "session_branches.session_id", "session_branches.id"],
        ondelete="CASCADE",
    ),
    Index("uq_session_steps_order", "workspace_id", "session_id", "branch_id", "step_order", unique=True),
    Index(
        "uq_session_steps_open",
        "workspace_id",
        "session_id",
        "branch_id",
        unique=True,
        sqlite_where=OPEN_STEP,
        postgresql_where=OPEN_STEP,
    ),
    sqlite_with_rowid=False,
)

session_playbooks = Table(
    "session_playbooks",
    metadata,
    workspace_column(),
    Column("session_id", Id, nullable=False),
    Column("key", String(63), nullable=False),
    Column("playbook_id", Id, nullable=False),
    Column("number", Integer, nullable=False),
    Column("match", Float(), nullable=False),
    Column("document", Json, nullable=False),
    PrimaryKeyConstraint("workspace_id", "session_id", "key"),
    _of_session(),
    sqlite_with_rowid=False,
)

session_escalations = Table(
    "session_escalations",
    metadata,
    workspace_column(),
    Column("session_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("requested_by", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_at", Moment, nullable=False),
    Column("urgency", String(16), nullable=False),
    # The urgency as a number to sort by.
    Column("rank", Integer, nullable=False),
    Column("notes", Text),
    Column("target_user_id", String(255)),
    Column("team_id", String(255)),
    Column("packet", Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("picked_up_by", String(255)),
    Column("resume_mode", String(16)),
    Column("additional_context", Text),
    Column("closed_at", Moment),
    Column("alarmed_at", Moment),
    PrimaryKeyConstraint("workspace_id", "session_id", "id"),
    _of_session(),
    Index(
        "uq_session_escalations_open",
        "workspace_id",
        "session_id",
        unique=True,
        sqlite_where=OPEN_ESCALATION,
        postgresql_where=OPEN_ESCALATION,
    ),
    Index("ix_session_escalations_queue", "workspace_id", "state", "rank", "requested_at", "id"),
    # Whose sessions they are to see as well.
    Index("ix_session_escalations_requester", "workspace_id", "requested_by", "session_id"),
    Index("ix_session_escalations_picker", "workspace_id", "picked_up_by", "session_id"),
    Index(
        "ix_session_escalations_target",
        "workspace_id",
        "target_user_id",
        "session_id",
        sqlite_where=OPEN_ESCALATION,
        postgresql_where=OPEN_ESCALATION,
    ),
    Index(
        "ix_session_escalations_untold",
        "requested_at",
        sqlite_where=UNTOLD_ESCALATION,
        postgresql_where=UNTOLD_ESCALATION,
    ),
    sqlite_with_rowid=False,
)

session_lanes = Table(
    "session_lanes",
    metadata,
    workspace_column(),
    Column("session_id", Id, nullable=False),
    Column("rev", Integer, nullable=False),
    Column("lane", Json, nullable=False),
    PrimaryKeyConstraint("workspace_id", "session_id"),
    _of_session(),
    sqlite_with_rowid=False,
)
