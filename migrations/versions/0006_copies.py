"""copies: which assistant made a conversation."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Id

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conversations", sa.Column("made_by_assistant_id", Id(), nullable=True))


def downgrade() -> None:
    op.drop_column("conversations", "made_by_assistant_id")
