"""flow assistants: the service that they belong to in every workspace."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Moment

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

EVERYWHERE = "*"
FLOWS = {
    "workspace_id": EVERYWHERE,
    "assistant_service_id": "workbench.flow",
    "created_by_user_id": "semantic-workbench",
    "created_by_user_name": "Semantic Workbench Service",
    "created_datetime": datetime(2026, 1, 1, microsecond=2, tzinfo=UTC),
    "name": "Flows",
    "description": "Assistants that services of running flows speak for.",
    "include_in_listing": True,
    "api_key_name": "",
    "url": "workbench:",
    "online_expires": datetime(9999, 1, 1, microsecond=1, tzinfo=UTC),
    "told_online": True,
    "makes_turns": True,
}

services = sa.table(
    "assistant_services",
    *(sa.column(name) for name in FLOWS if name not in ("created_datetime", "online_expires")),
    sa.column("created_datetime", Moment()),
    sa.column("online_expires", Moment()),
)


def upgrade() -> None:
    op.execute(services.insert().values(**FLOWS))


def downgrade() -> None:
    op.execute(services.delete().where(services.c.assistant_service_id == FLOWS["assistant_service_id"]))
