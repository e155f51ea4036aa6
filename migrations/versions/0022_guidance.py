"""guidance: what models write for sessions counts in bills and reservations, and whose model is at work is kept."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Moment

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("token_usage", "budget_reservations"):
        op.add_column(table, sa.Column("generations", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("sessions", sa.Column("lease_key", sa.String(length=64)))
    op.add_column("sessions", sa.Column("lease_until", Moment()))


def downgrade() -> None:
    op.drop_column("sessions", "lease_until")
    op.drop_column("sessions", "lease_key")
    for table in ("budget_reservations", "token_usage"):
        op.drop_column(table, "generations")
