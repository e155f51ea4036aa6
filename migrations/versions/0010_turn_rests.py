"""turns: until when one is watched that is to end when it is not."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Moment

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

WATCHED = sa.text("watched_until IS NOT NULL AND status IN ('opened', 'streaming')")


def upgrade() -> None:
    op.add_column("turns", sa.Column("watched_until", Moment()))
    op.create_index(
        "ix_turns_watched_until", "turns", ["watched_until"], sqlite_where=WATCHED, postgresql_where=WATCHED
    )


def downgrade() -> None:
    op.drop_index("ix_turns_watched_until", table_name="turns")
    op.drop_column("turns", "watched_until")
