"""causes of notes: what request set a note down, and where it stood in its trace."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("psa_pushes", sa.Column("correlation_id", sa.String(length=64), nullable=False, server_default=""))
    op.add_column("psa_pushes", sa.Column("trace_parent", sa.String(length=55), nullable=True))


def downgrade() -> None:
    op.drop_column("psa_pushes", "trace_parent")
    op.drop_column("psa_pushes", "correlation_id")
