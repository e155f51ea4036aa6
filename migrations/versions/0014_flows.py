"""flows: blueprints, types of parameters, flows, the topics that they hold, and the hosts that serve them."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Json, Moment

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

HOLDING = sa.text("state IN ('starting', 'running', 'stopping')")


def upgrade() -> None:
    op.create_table(
        "flow_blueprints",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", Json(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "name", name=op.f("pk_flow_blueprints")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "flow_parameter_types",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("schema", Json(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "name", name=op.f("pk_flow_parameter_types")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "flows",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("flow_id", sa.String(length=40), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("blueprint_name", sa.String(length=40), nullable=False),
        sa.Column("blueprint_version", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("parameters", Json(), nullable=False),
        sa.Column("secrets", Json(), nullable=False),
        sa.Column("snapshot", Json(), nullable=False),
        sa.Column("is_withdrawn", sa.Boolean(), nullable=False),
        sa.Column("drain_milliseconds", sa.Integer(), nullable=False),
        sa.Column("error", Json(), nullable=True),
        sa.Column("cleanup", Json(), nullable=True),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("started_at", Moment(), nullable=True),
        sa.Column("stopping_at", Moment(), nullable=True),
        sa.Column("stopped_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "flow_id", "generation", name=op.f("pk_flows")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "uq_flows_holding",
        "flows",
        ["workspace_id", "flow_id"],
        unique=True,
        sqlite_where=HOLDING,
        postgresql_where=HOLDING,
    )
    op.create_index(
        "ix_flows_holding_updated_at", "flows", ["updated_at"], sqlite_where=HOLDING, postgresql_where=HOLDING
    )
    op.create_index("ix_flows_stopped_at", "flows", ["stopped_at"])
    op.create_table(
        "flow_topics",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("flow_id", sa.String(length=40), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("topic", sa.String(length=170), nullable=False),
        sa.Column("owned", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "flow_id", "generation", "topic", name=op.f("pk_flow_topics")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_flow_topics_topic", "flow_topics", ["topic"])
    op.create_table(
        "bus_topics",
        sa.Column("topic", sa.String(length=170), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("subscriptions", Json(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("topic", name=op.f("pk_bus_topics")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_bus_topics_next_attempt_at", "bus_topics", ["next_attempt_at"])
    op.create_table(
        "flow_hosts",
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("services", Json(), nullable=False),
        sa.Column("held", Json(), nullable=False),
        sa.Column("calling", Json(), nullable=False),
        sa.Column("seen_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("host_id", name=op.f("pk_flow_hosts")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for table in ("flow_hosts", "bus_topics", "flow_topics", "flows", "flow_parameter_types", "flow_blueprints"):
        op.drop_table(table)
