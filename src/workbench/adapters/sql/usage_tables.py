"""The tables of model calls and bills.

No foreign keys: what was used outlives conversations, messages, turns and assistants.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, PrimaryKeyConstraint, String, Table, false, text

from workbench.adapters.sql.schema import Id, Json, Moment, metadata, workspace_column

# One text for both databases, as conditions of partial indexes are compared by their text.
OF_A_MESSAGE = "message_id IS NOT NULL"
OF_A_TURN = "turn_pk IS NOT NULL"
ZERO = "0"

turn_model_calls = Table(
    "turn_model_calls",
    metadata,
    workspace_column(),
    Column("turn_pk", Id, nullable=False),
    Column("call_id", String(128), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("model", String(255), nullable=False),
    Column("model_ref", String(255)),
    Column("model_id", String(255)),
    Column("display_name", String(255)),
    Column("provider", String(255)),
    Column("call_kind", String(50), nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("total_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("cost_micros", BigInteger),
    Column("cost_source", String(16), nullable=False),
    Column("finish_reason", String(50)),
    Column("latency_ms", BigInteger),
    Column("late", Boolean, nullable=False, server_default=false()),
    Column("created_datetime", Moment, nullable=False),
    PrimaryKeyConstraint("workspace_id", "turn_pk", "call_id"),
    sqlite_with_rowid=False,
)

token_usage = Table(
    "token_usage",
    metadata,
    workspace_column(),
    Column("id", Id, nullable=False),
    Column("usage_type", String(50), nullable=False, server_default="chat"),
    Column("turn_pk", Id),
    Column("message_id", Id),
    Column("conversation_id", Id),
    Column("user_id", String(255)),
    Column("assistant_id", Id),
    Column("assistant_service_id", String(255)),
    Column("prompt_tokens", BigInteger, nullable=False, server_default=ZERO),
    Column("completion_tokens", BigInteger, nullable=False, server_default=ZERO),
    Column("total_tokens", BigInteger, nullable=False, server_default=ZERO),
    Column("cached_tokens", BigInteger, nullable=False, server_default=ZERO),
    Column("reasoning_tokens", BigInteger, nullable=False, server_default=ZERO),
    Column("cost_micros", BigInteger),
    Column("cost_complete", Boolean, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Column("call_count", Integer, nullable=False),
    Column("model_breakdown", Json, nullable=False),
    Column("call_details", Json, nullable=False),
    Column("provisional", Boolean, nullable=False),
    Column("source", String(16), nullable=False),
    # The day of `created_datetime` in UTC, written out: the databases do not agree on how a day is cut from a time.
    Column("usage_day", String(10), nullable=False),
    Column("created_datetime", Moment, nullable=False),
    Column("generations", BigInteger, nullable=False, server_default=ZERO),
    Column("metadata", Json, nullable=False),
    PrimaryKeyConstraint("workspace_id", "id"),
    Index(
        "uq_usage_message",
        "message_id",
        unique=True,
        sqlite_where=text(OF_A_MESSAGE),
        postgresql_where=text(OF_A_MESSAGE),
    ),
    Index("uq_usage_turn", "turn_pk", unique=True, sqlite_where=text(OF_A_TURN), postgresql_where=text(OF_A_TURN)),
    Index("ix_token_usage_created", "workspace_id", "created_datetime", "id"),
    Index("ix_token_usage_user", "workspace_id", "user_id", "created_datetime", "id"),
    Index("ix_token_usage_conversation", "workspace_id", "conversation_id", "created_datetime", "id"),
    Index("ix_token_usage_assistant", "workspace_id", "assistant_id", "created_datetime", "id"),
    sqlite_with_rowid=False,
)

# Repeats the breakdowns, so that sums by model are plain SQL on both databases.
token_usage_models = Table(
    "token_usage_models",
    metadata,
    workspace_column(),
    Column("usage_id", Id, nullable=False),
    Column("model", String(255), nullable=False),
    Column("model_ref", String(255)),
    Column("model_id", String(255)),
    Column("display_name", String(255)),
    Column("provider", String(255)),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("total_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("cost_micros", BigInteger),
    Column("cost_complete", Boolean, nullable=False),
    Column("calls", Integer, nullable=False),
    PrimaryKeyConstraint("workspace_id", "usage_id", "model"),
    sqlite_with_rowid=False,
)
