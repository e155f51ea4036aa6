"""The tables. Every tenant table carries workspace_id; leases, and the workspaces themselves, belong to nobody.

On SQLite rows are clustered by their primary key (WITHOUT ROWID), so that finding one is a single walk down a tree
and a page of a deep history is read in one stretch.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
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
    true,
)

from workbench.adapters.sql.schema import (
    MAX_WORKSPACE_ID_LENGTH,
    Id,
    Json,
    Moment,
    in_the_same_workspace,
    metadata,
    workspace_column,
)
from workbench.domain.identity.model import EVERYWHERE, RESIDENT_SERVICE_IDS

# SQLite takes a partial index for the same only where its condition is the same text.
OUTSIDE = text("conversation_id IS NULL")


def _home_of_service(context: Any) -> str:
    """Services that live in this process are everywhere; others are in the workspace of their assistants."""
    given = context.get_current_parameters()
    return EVERYWHERE if given["assistant_service_id"] in RESIDENT_SERVICE_IDS else given["workspace_id"]


workspaces = Table(
    "workspaces",
    metadata,
    workspace_column(primary_key=True),
    Column("event_head", BigInteger, nullable=False, server_default="0"),
    Column("event_floor", BigInteger, nullable=False, server_default="0"),
    Column("file_bytes", BigInteger, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

users = Table(
    "users",
    metadata,
    workspace_column(),
    Column("id", String(255), nullable=False),
    Column("name", Text, nullable=False),
    Column("image", Text),
    Column("service_user", Boolean, nullable=False),
    Column("name_is_chosen", Boolean, nullable=False),
    Column("created_datetime", Moment, nullable=False),
    # What the last token said: it is asked for of those who are away, too.
    Column("works_on_sessions", Boolean, nullable=False, server_default=true()),
    Column("team_ids", Json, nullable=False, server_default="[]"),
    PrimaryKeyConstraint("workspace_id", "id"),
    sqlite_with_rowid=False,
)

# Teams live with whoever signs tokens; here is known which names have come.
teams = Table(
    "teams",
    metadata,
    workspace_column(),
    Column("id", String(255), nullable=False),
    Column("seen_datetime", Moment, nullable=False),
    PrimaryKeyConstraint("workspace_id", "id"),
    sqlite_with_rowid=False,
)

# The id is unique over all workspaces: a service's calls name nothing else, so it must lead to one of them.
assistant_services = Table(
    "assistant_services",
    metadata,
    Column("assistant_service_id", String(255), primary_key=True),
    workspace_column(),
    Column("created_by_user_id", String(255), nullable=False),
    Column("created_by_user_name", Text, nullable=False),
    Column("created_datetime", Moment, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("include_in_listing", Boolean, nullable=False),
    Column("api_key_name", String(255), nullable=False),
    Column("api_key_encrypted", Text),
    Column("api_key_expires", Moment),
    Column("previous_key_encrypted", Text),
    Column("previous_key_expires", Moment),
    Column("key_last_used", Moment),
    Column("url", Text, nullable=False),
    Column("online_expires", Moment),
    # What users were last told; `online_expires` says what is so.
    Column("told_online", Boolean, nullable=False, server_default=false()),
    # Whether it has made a turn itself; one that has not may only know how to post messages.
    Column("makes_turns", Boolean, nullable=False, server_default=false()),
    Index("uq_assistant_services_id_workspace_id", "assistant_service_id", "workspace_id", unique=True),
    sqlite_with_rowid=False,
)

assistants = Table(
    "assistants",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    Column("owner_id", String(255), nullable=False),
    Column("assistant_service_id", String(255), nullable=False, index=True),
    # Where its service is registered: here, or everywhere.
    Column("service_workspace_id", String(MAX_WORKSPACE_ID_LENGTH), nullable=False, default=_home_of_service),
    Column("template_id", String(255), nullable=False),
    Column("name", Text, nullable=False),
    Column("image", Text),
    Column("metadata", Json, nullable=False),
    Column("created_datetime", Moment, nullable=False),
    # Names the default that this assistant was made for, so that two requests at once cannot both make it.
    Column("default_key", String(2048), unique=True),
    Index("ix_assistants_workspace_id_owner_id", "workspace_id", "owner_id"),
    Index("uq_assistants_id_workspace_id", "id", "workspace_id", unique=True),
    CheckConstraint(f"service_workspace_id IN (workspace_id, '{EVERYWHERE}')", name="service_workspace"),
    ForeignKeyConstraint(
        ["service_workspace_id", "assistant_service_id"],
        ["assistant_services.workspace_id", "assistant_services.assistant_service_id"],
        ondelete="CASCADE",
    ),
    sqlite_with_rowid=False,
)

# `event_head` and `message_head` count the conversation's events and messages. Whoever appends takes this row
# until the commit, so that on every database the order of positions is the order of commits. `file_bytes` counts the
# bytes of all versions of its files, as the workspace's does for all conversations.
conversations = Table(
    "conversations",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    Column("title", Text, nullable=False),
    Column("owner_id", String(255), nullable=False),
    Column("imported_from_conversation_id", Id),
    Column("made_by_assistant_id", Id),
    Column("metadata", Json, nullable=False),
    Column("created_datetime", Moment, nullable=False),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("event_head", BigInteger, nullable=False, server_default="0"),
    # The highest position in the workspace's log at which an event of this conversation went before those of others.
    Column("event_floor", BigInteger, nullable=False, server_default="0"),
    Column("message_head", BigInteger, nullable=False, server_default="0"),
    Column("file_bytes", BigInteger, nullable=False, server_default="0"),
    # For duties that go over a workspace's conversations.
    Index("uq_conversations_workspace_id_id", "workspace_id", "id", unique=True),
    sqlite_with_rowid=False,
)

# `assistant_id` repeats an assistant's `id` in its own type, for joins. It is no foreign key: the seat of a
# deleted assistant stays, so that what it said keeps a name.
participants = Table(
    "participants",
    metadata,
    workspace_column(),
    Column("conversation_id", Id, nullable=False),
    Column("role", String(16), nullable=False),
    Column("id", String(255), nullable=False),
    Column("assistant_id", Id),
    Column("name", Text, nullable=False),
    Column("image", Text),
    Column("status", Text),
    Column("status_updated_timestamp", Moment, nullable=False),
    Column("active_participant", Boolean, nullable=False),
    Column("conversation_permission", String(16), nullable=False),
    Column("metadata", Json, nullable=False),
    Column("joined_datetime", Moment, nullable=False),
    Column("version", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("conversation_id", "role", "id"),
    Index("ix_participants_id_role", "id", "role", "workspace_id", "conversation_id"),
    in_the_same_workspace("conversation_id", "conversations"),
    sqlite_with_rowid=False,
)

messages = Table(
    "messages",
    metadata,
    workspace_column(),
    Column("conversation_id", Id, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("id", Id, nullable=False),
    Column("sender_role", String(16), nullable=False),
    Column("sender_id", String(255), nullable=False),
    Column("message_type", String(32), nullable=False),
    Column("timestamp", Moment, nullable=False),
    Column("content_type", String(255), nullable=False),
    Column("content", Text, nullable=False),
    Column("filenames", Json, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("has_debug_data", Boolean, nullable=False),
    PrimaryKeyConstraint("conversation_id", "sequence"),
    # Not the other way round: an index that begins with the workspace tempts PostgreSQL to walk all of it.
    Index("uq_messages_id_workspace_id", "id", "workspace_id", unique=True),
    Index("ix_messages_conversation_id_message_type", "conversation_id", "message_type", "sequence"),
    in_the_same_workspace("conversation_id", "conversations"),
    sqlite_with_rowid=False,
)

message_debug = Table(
    "message_debug",
    metadata,
    workspace_column(),
    Column("message_id", Id, nullable=False),
    Column("debug_data", Json, nullable=False),
    PrimaryKeyConstraint("workspace_id", "message_id"),
    ForeignKeyConstraint(["workspace_id", "message_id"], ["messages.workspace_id", "messages.id"], ondelete="CASCADE"),
    sqlite_with_rowid=False,
)

# Bytes that are stored, each once for a workspace, under the random key that the store knows them by.
contents = Table(
    "contents",
    metadata,
    workspace_column(),
    Column("hash", String(64), nullable=False),
    Column("storage_key", String(255), nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),
    Column("touched_datetime", Moment, nullable=False),
    PrimaryKeyConstraint("workspace_id", "hash"),
    sqlite_with_rowid=False,
)

files = Table(
    "files",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    Column("conversation_id", Id, nullable=False),
    # Compared byte by byte, so that a prefix is a range and means the same on every database.
    Column("filename", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False),
    Column("current_version", Integer, nullable=False),
    Column("created_datetime", Moment, nullable=False),
    Column("revision", Integer, nullable=False, server_default="0"),
    Index("uq_files_conversation_id_filename", "conversation_id", "filename", unique=True),
    Index("uq_files_id_workspace_id", "id", "workspace_id", unique=True),
    in_the_same_workspace("conversation_id", "conversations"),
    sqlite_with_rowid=False,
)

file_versions = Table(
    "file_versions",
    metadata,
    workspace_column(),
    Column("file_id", Id, nullable=False),
    Column("version", Integer, nullable=False),
    Column("participant_id", String(255), nullable=False),
    Column("participant_role", String(16), nullable=False),
    Column("created_datetime", Moment, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("content_type", String(255), nullable=False),
    Column("file_size", BigInteger, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("storage_filename", String(255), nullable=False),
    PrimaryKeyConstraint("file_id", "version"),
    ForeignKeyConstraint(["workspace_id", "content_hash"], ["contents.workspace_id", "contents.hash"]),
    Index("ix_file_versions_workspace_id_content_hash", "workspace_id", "content_hash"),
    Index("ix_file_versions_workspace_id_created_datetime", "workspace_id", "created_datetime"),
    in_the_same_workspace("file_id", "files"),
    sqlite_with_rowid=False,
)

shares = Table(
    "shares",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    Column("conversation_id", Id, nullable=False, index=True),
    Column("owner_id", String(255), nullable=False),
    Column("label", Text, nullable=False),
    Column("conversation_permission", String(16), nullable=False),
    Column("is_redeemable", Boolean, nullable=False),
    Column("created_datetime", Moment, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("token_hash", String(64)),
    Column("expires_datetime", Moment),
    Index("ix_shares_workspace_id_owner_id", "workspace_id", "owner_id"),
    Index("uq_shares_id_workspace_id", "id", "workspace_id", unique=True),
    in_the_same_workspace("conversation_id", "conversations"),
    sqlite_with_rowid=False,
)

redemptions = Table(
    "redemptions",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    Column("share_id", Id, nullable=False, index=True),
    Column("redeemed_by_user_id", String(255), nullable=False),
    Column("conversation_permission", String(16), nullable=False),
    Column("new_participant", Boolean, nullable=False),
    Column("created_datetime", Moment, nullable=False),
    Index("ix_redemptions_workspace_id_redeemed_by_user_id", "workspace_id", "redeemed_by_user_id"),
    in_the_same_workspace("share_id", "shares"),
    sqlite_with_rowid=False,
)

# No foreign key to the conversation: the event that tells of its deletion outlives it. What belongs to none is few
# among many, and is found by an index of its own.
events = Table(
    "events",
    metadata,
    workspace_column(),
    Column("feed_position", BigInteger, nullable=False),
    Column("conversation_id", Id),
    Column("position", BigInteger, nullable=False),
    Column("id", String(32), nullable=False),
    Column("correlation_id", String(64), nullable=False),
    Column("type", String(64), nullable=False),
    Column("timestamp", Moment, nullable=False),
    Column("audience", String(16), nullable=False),
    Column("data", Text, nullable=False),
    Column("trace_parent", String(55)),
    PrimaryKeyConstraint("workspace_id", "feed_position"),
    Index("uq_events_conversation_id_position", "conversation_id", "position", unique=True),
    Index("ix_events_outside", "workspace_id", "feed_position", sqlite_where=OUTSIDE, postgresql_where=OUTSIDE),
    sqlite_with_rowid=False,
)

# Events that a user is still to read although their seat no longer leads to the conversation.
farewells = Table(
    "farewells",
    metadata,
    workspace_column(),
    Column("user_id", String(255), nullable=False),
    Column("feed_position", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "user_id", "feed_position"),
    sqlite_with_rowid=False,
)

# No foreign keys: an assistant is still to be told that it is out of a conversation that is gone.
deliveries = Table(
    "deliveries",
    metadata,
    workspace_column(),
    Column("assistant_id", Id, nullable=False),
    Column("conversation_id", Id, nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("retry_at", Moment),
    Column("last_error", Text),
    PrimaryKeyConstraint("assistant_id", "conversation_id"),
    sqlite_with_rowid=False,
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    Column("assistant_id", Id, nullable=False, index=True),
    Column("conversation_id", Id, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("event_id", String(32), nullable=False),
    Column("event_type", String(64), nullable=False),
    Column("envelope", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("failed_datetime", Moment, nullable=False),
    sqlite_with_rowid=False,
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("holder", String(64), nullable=False, index=True),
    Column("expires_at", Moment, nullable=False),
    sqlite_with_rowid=False,
)

# One row for each kind and key. It is no conversation's child: a job may be about anything, or outlive its cause.
jobs = Table(
    "jobs",
    metadata,
    workspace_column(),
    Column("kind", String(64), nullable=False),
    Column("key", String(255), nullable=False),
    Column("id", Id, nullable=False),
    Column("payload", Json, nullable=False),
    Column("run_at", Moment, nullable=False, index=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("claim", String(32)),
    Column("claimed_until", Moment),
    Column("last_error", Text),
    Column("created_datetime", Moment, nullable=False),
    Column("correlation_id", String(64), nullable=False, server_default=""),
    Column("trace_parent", String(55)),
    PrimaryKeyConstraint("workspace_id", "kind", "key"),
    sqlite_with_rowid=False,
)
