"""reopening: until when a session can be reopened is kept with it; of those resolved before nothing is, which is seven days."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Moment

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("reopenable_until", Moment(), nullable=True))


def downgrade() -> None:
    op.drop_column("sessions", "reopenable_until")
