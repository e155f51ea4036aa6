"""model assistants: their configurations, and the service that they belong to in every workspace."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from workbench.adapters.sql.schema import Id, Json, Moment

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

EVERYWHERE = "*"
MODELS = {
    "workspace_id": EVERYWHERE,
    "assistant_service_id": "workbench.model",
    "created_by_user_id": "semantic-workbench",
    "created_by_user_name": "Semantic Workbench Service",
    "created_datetime": datetime(2026, 1, 1, microsecond=1, tzinfo=UTC),
    "name": "Models",
    "description": "Assistants that this service hosts itself: language models with instructions and tools.",
    "include_in_listing": True,
    "api_key_name": "",
    "url": "workbench:",
    "online_expires": datetime(9999, 1, 1, microsecond=1, tzinfo=UTC),
    "told_online": True,
    "makes_turns": True,
}

services = sa.table(
    "assistant_services",
    *(sa.column(name) for name in MODELS if name not in ("created_datetime", "online_expires")),
    sa.column("created_datetime", Moment()),
    sa.column("online_expires", Moment()),
)


def upgrade() -> None:
    op.create_table(
        "model_assistants",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("assistant_id", Id(), nullable=False),
        sa.Column("template_id", sa.String(length=255), nullable=False),
        sa.Column("config", Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["assistant_id"],
            ["assistants.id"],
            name=op.f("fk_model_assistants_assistant_id_assistants"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("assistant_id", name=op.f("pk_model_assistants")),
        sqlite_with_rowid=False,
    )
    op.execute(services.insert().values(**MODELS))


def downgrade() -> None:
    op.execute(services.delete().where(services.c.assistant_service_id == MODELS["assistant_service_id"]))
    op.drop_table("model_assistants")
