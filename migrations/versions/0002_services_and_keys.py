"""services' keys with an overlap, what users were told of services, default assistants."""

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Moment

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SERVICE_COLUMNS = ("api_key_expires", "previous_key_encrypted", "previous_key_expires", "key_last_used", "told_online")


def upgrade() -> None:
    op.add_column("assistant_services", sa.Column("api_key_expires", Moment()))
    op.add_column("assistant_services", sa.Column("previous_key_encrypted", sa.Text()))
    op.add_column("assistant_services", sa.Column("previous_key_expires", Moment()))
    op.add_column("assistant_services", sa.Column("key_last_used", Moment()))
    op.add_column(
        "assistant_services", sa.Column("told_online", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("assistants", sa.Column("default_key", sa.String(length=2048)))
    with op.batch_alter_table("assistants") as batch:
        batch.create_unique_constraint(batch.f("uq_assistants_default_key"), ["default_key"])


def downgrade() -> None:
    with op.batch_alter_table("assistants") as batch:
        batch.drop_constraint(batch.f("uq_assistants_default_key"), type_="unique")
        batch.drop_column("default_key")
    for name in reversed(SERVICE_COLUMNS):
        op.drop_column("assistant_services", name)
