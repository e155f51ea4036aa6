"""The tables of flows. What is given to all workspaces has an empty workspace; topics and hosts span them all."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

from workbench.adapters.sql.schema import Json, Moment, metadata, workspace_column

# SQLite takes a partial index for the same only where its condition is the same text.
HOLDING = text("state IN ('starting', 'running', 'stopping')")

flow_blueprints = Table(
    "flow_blueprints",
    metadata,
    workspace_column(),
    Column("name", String(40), nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", Json, nullable=False),
    Column("created_by", String(255), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    PrimaryKeyConstraint("workspace_id", "name"),
    sqlite_with_rowid=False,
)

flow_parameter_types = Table(
    "flow_parameter_types",
    metadata,
    workspace_column(),
    Column("name", String(40), nullable=False),
    Column("schema", Json, nullable=False),
    Column("updated_at", Moment, nullable=False),
    PrimaryKeyConstraint("workspace_id", "name"),
    sqlite_with_rowid=False,
)

flows = Table(
    "flows",
    metadata,
    workspace_column(),
    Column("flow_id", String(40), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("blueprint_name", String(40), nullable=False),
    Column("blueprint_version", Integer, nullable=False),
    Column("description", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("parameters", Json, nullable=False),
    Column("secrets", Json, nullable=False),
    Column("snapshot", Json, nullable=False),
    Column("is_withdrawn", Boolean, nullable=False),
    Column("drain_milliseconds", Integer, nullable=False),
    Column("error", Json),
    Column("cleanup", Json),
    Column("created_by", String(255), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("stopping_at", Moment),
    Column("stopped_at", Moment),
    PrimaryKeyConstraint("workspace_id", "flow_id", "generation"),
    Index("uq_flows_holding", "workspace_id", "flow_id", unique=True, sqlite_where=HOLDING, postgresql_where=HOLDING),
    Index("ix_flows_stopped_at", "stopped_at"),
    sqlite_with_rowid=False,
)

# What each flow that holds topics refers to; `owned` says whether it is for flows to make and to take away.
flow_topics = Table(
    "flow_topics",
    metadata,
    workspace_column(),
    Column("flow_id", String(40), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("topic", String(170), nullable=False),
    Column("owned", Boolean, nullable=False),
    PrimaryKeyConstraint("workspace_id", "flow_id", "generation", "topic"),
    Index("ix_flow_topics_topic", "topic"),
    sqlite_with_rowid=False,
)

# Every topic of flows that exists on the bus, or is still to be removed from it.
bus_topics = Table(
    "bus_topics",
    metadata,
    Column("topic", String(170), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("subscriptions", Json, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Moment),
    Index("ix_bus_topics_next_attempt_at", "next_attempt_at"),
    sqlite_with_rowid=False,
)

flow_hosts = Table(
    "flow_hosts",
    metadata,
    Column("host_id", String(64), primary_key=True),
    Column("services", Json, nullable=False),
    Column("held", Json, nullable=False),
    Column("calling", Json, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("offered", Json, nullable=False, server_default=text("'[]'")),
    Column("offered_version", BigInteger, nullable=False, server_default=text("0")),
    sqlite_with_rowid=False,
)

# One row: how often a flow has begun or changed its state. Times of several processes would not do to say what is newer.
flow_versions = Table(
    "flow_versions",
    metadata,
    Column("ledger", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
