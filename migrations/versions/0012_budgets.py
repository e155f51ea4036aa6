"""budgets: limits, what is reserved, and which turns have a reservation."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Id, Moment

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "budget_limits",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("measure", sa.String(length=16), nullable=False),
        sa.Column("period", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("anchor", sa.String(length=10), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "scope", "subject", "measure", "period", name=op.f("pk_budget_limits")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "budget_reservations",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=True),
        sa.Column("assistant_id", Id(), nullable=True),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), nullable=False),
        sa.Column("expires_datetime", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "key", name=op.f("pk_budget_reservations")),
        sqlite_with_rowid=False,
    )
    op.add_column("turns", sa.Column("is_budgeted", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    op.drop_column("turns", "is_budgeted")
    op.drop_table("budget_reservations")
    op.drop_table("budget_limits")
