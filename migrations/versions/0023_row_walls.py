"""row walls: PostgreSQL itself shows each transaction the rows of its workspace alone.

A transaction says first for which workspace it is (`app.workspace_id`), or which registered duty it does for all
(`app.duty`); one that says neither sees nothing and stores nothing. SQLite has no such thing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

TABLES = (
    "assistant_services",
    "assistants",
    "audit",
    "budget_limits",
    "budget_reservations",
    "contents",
    "conversation_retention",
    "conversations",
    "dead_letters",
    "deliveries",
    "embedding_spaces",
    "embeddings",
    "erasures",
    "events",
    "farewells",
    "file_versions",
    "files",
    "flow_blueprints",
    "flow_parameter_types",
    "flow_topics",
    "flows",
    "gone_turns",
    "idempotency_keys",
    "jobs",
    "message_debug",
    "message_parts",
    "messages",
    "model_assistants",
    "participants",
    "playbook_versions",
    "playbooks",
    "psa_connections",
    "psa_push_bodies",
    "psa_pushes",
    "rate_uses",
    "redemptions",
    "resolution_outputs",
    "session_branches",
    "session_documents",
    "session_escalations",
    "session_lanes",
    "session_playbooks",
    "session_steps",
    "session_tickets",
    "sessions",
    "shares",
    "teams",
    "token_usage",
    "token_usage_models",
    "turn_events",
    "turn_model_calls",
    "turn_slots",
    "turn_snapshots",
    "turns",
    "users",
    "workspace_retention",
    "workspaces",
)
SHARED = {"assistant_services": "*", "flow_blueprints": "", "flow_parameter_types": ""}
"""What is there for every workspace to see, and the workspace that such rows name."""

# After a transaction the setting is an empty text, not null.
HERE = "NULLIF(current_setting('app.workspace_id', true), '')"
DUTY = "NULLIF(current_setting('app.duty', true), '')"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in TABLES:
        op.execute(sa.text(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"))
        own = f"workspace_id = {HERE}"
        op.execute(sa.text(f"CREATE POLICY wall ON {table} USING ({own}) WITH CHECK ({own} AND workspace_id <> '*')"))
        op.execute(sa.text(f"CREATE POLICY duties ON {table} USING ({DUTY} IS NOT NULL)"))
    for table, workspace in SHARED.items():
        shown = f"workspace_id = '{workspace}' AND {HERE} IS NOT NULL"
        op.execute(sa.text(f"CREATE POLICY shared ON {table} FOR SELECT USING ({shown})"))


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in SHARED:
        op.execute(sa.text(f"DROP POLICY shared ON {table}"))
    for table in TABLES:
        for policy in ("duties", "wall"):
            op.execute(sa.text(f"DROP POLICY {policy} ON {table}"))
        op.execute(sa.text(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"))
        op.execute(sa.text(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"))
