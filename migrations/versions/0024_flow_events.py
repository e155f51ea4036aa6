"""flow events: an event may belong to no conversation, and such events are found by an index of their own."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Id

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

OUTSIDE = sa.text("conversation_id IS NULL")


def upgrade() -> None:
    with op.batch_alter_table("events", table_kwargs={"sqlite_with_rowid": False}) as batch:
        batch.alter_column("conversation_id", existing_type=Id(), nullable=True)
    op.create_index(
        "ix_events_outside", "events", ["workspace_id", "feed_position"], sqlite_where=OUTSIDE, postgresql_where=OUTSIDE
    )


def downgrade() -> None:
    op.drop_index("ix_events_outside", table_name="events")
    op.execute(sa.text("DELETE FROM events WHERE conversation_id IS NULL"))
    with op.batch_alter_table("events", table_kwargs={"sqlite_with_rowid": False}) as batch:
        batch.alter_column("conversation_id", existing_type=Id(), nullable=False)
