"""The tables of turns: what each is at, what happened in it, which messages are its own, and the parts of messages."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    false,
    text,
)

from workbench.adapters.sql.schema import Id, Json, Moment, in_the_same_workspace, metadata, workspace_column

# SQLite takes a partial index for the same only where its condition is the same text.
ACTIVE = text("status IN ('opened', 'streaming')")

WATCHED = text("watched_until IS NOT NULL AND status IN ('opened', 'streaming')")
UNBILLED = text("usage_state = 'pending'")
FORGETTABLE = text("log_floor < last_seq")

turns = Table(
    "turns",
    metadata,
    workspace_column(),
    Column("pk", Id, primary_key=True),
    Column("conversation_id", Id, nullable=False),
    Column("turn_id", String(128), nullable=False),
    Column("assistant_id", Id, nullable=False),
    Column("initiator_role", String(16), nullable=False),
    Column("initiator_id", String(255), nullable=False),
    Column("user_id", String(255)),
    Column("assistant_service_id", String(255)),
    Column("parent_turn_id", String(128)),
    Column("producer_kind", String(16), nullable=False),
    Column("input_message_id", Id),
    Column("output_message_id", Id, nullable=False),
    Column("input_hash", String(64), nullable=False),
    Column("options", Json, nullable=False),
    Column("deadline_at", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("status", String(16), nullable=False),
    Column("finish_reason", String(16)),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("error_detail", Text),
    Column("epoch", Integer, nullable=False),
    Column("producer_id", String(255)),
    Column("lease_expires_at", Moment),
    Column("lease_seconds", Integer, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("last_batch", BigInteger, nullable=False),
    Column("log_floor", BigInteger, nullable=False),
    Column("log_bytes", BigInteger, nullable=False, server_default="0"),
    Column("folded_bytes", BigInteger, nullable=False, server_default="0"),
    Column("is_published", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("cancel_requested_at", Moment),
    Column("cancel_requested_by", String(255)),
    Column("cancel_count", Integer, nullable=False),
    Column("usage_state", String(16), nullable=False),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Column("watched_until", Moment),
    Column("version", BigInteger, nullable=False),
    Column("is_budgeted", Boolean, nullable=False, server_default=false()),
    Index("uq_turns_conversation_id_turn_id", "conversation_id", "turn_id", unique=True),
    Index(
        "uq_turns_active",
        "conversation_id",
        "assistant_id",
        unique=True,
        sqlite_where=ACTIVE,
        postgresql_where=ACTIVE,
    ),
    Index("ix_turns_conversation_id_created_at", "conversation_id", "created_at"),
    Index("uq_turns_pk_workspace_id", "pk", "workspace_id", unique=True),
    Index("ix_turns_finished_at", "finished_at", sqlite_where=FORGETTABLE, postgresql_where=FORGETTABLE),
    Index("ix_turns_unbilled", "pk", sqlite_where=UNBILLED, postgresql_where=UNBILLED),
    Index("ix_turns_watched_until", "watched_until", sqlite_where=WATCHED, postgresql_where=WATCHED),
    # The active ones of all workspaces, which are few.
    Index("ix_turns_deadline_at", "deadline_at", sqlite_where=ACTIVE, postgresql_where=ACTIVE),
    in_the_same_workspace("conversation_id", "conversations"),
    sqlite_with_rowid=False,
)

turn_events = Table(
    "turn_events",
    metadata,
    workspace_column(),
    Column("turn_pk", Id, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("type", String(32), nullable=False),
    Column("at", Moment, nullable=False),
    Column("data", Text, nullable=False),
    Column("is_superseded", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("turn_pk", "seq"),
    in_the_same_workspace("turn_pk", "turns", "pk"),
    sqlite_with_rowid=False,
)

# What the beginning of a long log was folded into.
turn_snapshots = Table(
    "turn_snapshots",
    metadata,
    workspace_column(),
    Column("turn_pk", Id, primary_key=True),
    Column("up_to_seq", BigInteger, nullable=False),
    Column("state", Json, nullable=False),
    in_the_same_workspace("turn_pk", "turns", "pk"),
    sqlite_with_rowid=False,
)

# Which message is a turn's question, and which its answer. The answer has its place here before it is in the
# conversation. No foreign key: a message that is taken back keeps its slot, so that nobody fills it again.
turn_slots = Table(
    "turn_slots",
    metadata,
    workspace_column(),
    Column("conversation_id", Id, nullable=False),
    Column("turn_id", String(128), nullable=False),
    Column("slot", String(8), nullable=False),
    Column("message_id", Id, nullable=False),
    PrimaryKeyConstraint("conversation_id", "turn_id", "slot"),
    in_the_same_workspace("conversation_id", "conversations"),
    sqlite_with_rowid=False,
)

# Turns that went with their conversations while they were made: their producers are still to be told, and what they
# took is still to be billed.
gone_turns = Table(
    "gone_turns",
    metadata,
    workspace_column(),
    Column("pk", Id, nullable=False),
    Column("conversation_id", Id, nullable=False),
    Column("turn_id", String(128), nullable=False),
    Column("assistant_id", Id, nullable=False),
    Column("assistant_service_id", String(255)),
    Column("user_id", String(255)),
    Column("gone_at", Moment, nullable=False),
    Column("is_billed", Boolean, nullable=False),
    PrimaryKeyConstraint("workspace_id", "conversation_id", "turn_id"),
    Index("ix_gone_turns_gone_at", "gone_at"),
    sqlite_with_rowid=False,
)

message_parts = Table(
    "message_parts",
    metadata,
    workspace_column(),
    Column("message_id", Id, nullable=False),
    Column("parts", Json, nullable=False),
    Column("revision", Integer, nullable=False, server_default="0"),
    Column("updated_at", Moment, nullable=False),
    PrimaryKeyConstraint("workspace_id", "message_id"),
    ForeignKeyConstraint(["workspace_id", "message_id"], ["messages.workspace_id", "messages.id"], ondelete="CASCADE"),
    sqlite_with_rowid=False,
)
