"""flow rest: what hosts outside are told to run, and the number that says what is newer."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Json

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

HOLDING = sa.text("state IN ('starting', 'running', 'stopping')")


def upgrade() -> None:
    op.add_column("flow_hosts", sa.Column("offered", Json(), server_default=sa.text("'[]'"), nullable=False))
    version = sa.Column("offered_version", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    op.add_column("flow_hosts", version)
    op.create_table(
        "flow_versions",
        sa.Column("ledger", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("ledger", name=op.f("pk_flow_versions")),
        sqlite_with_rowid=False,
    )
    # Asked which flows have changed, one number is read now.
    op.drop_index("ix_flows_holding_updated_at", "flows")


def downgrade() -> None:
    op.create_index(
        "ix_flows_holding_updated_at", "flows", ["updated_at"], sqlite_where=HOLDING, postgresql_where=HOLDING
    )
    op.drop_table("flow_versions")
    op.drop_column("flow_hosts", "offered_version")
    op.drop_column("flow_hosts", "offered")
