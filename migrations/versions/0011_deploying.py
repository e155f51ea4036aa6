"""deploying: events and jobs carry the trace that they belong to, and jobs the request that set them down."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Without a default that must be written, neither database touches the rows that are there.
    op.add_column("events", sa.Column("trace_parent", sa.String(length=55), nullable=True))
    op.add_column("jobs", sa.Column("correlation_id", sa.String(length=64), server_default="", nullable=False))
    op.add_column("jobs", sa.Column("trace_parent", sa.String(length=55), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "trace_parent")
    op.drop_column("jobs", "correlation_id")
    op.drop_column("events", "trace_parent")
