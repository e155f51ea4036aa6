"""workspace choices: what a workspace decided about its sessions, where that was up to the settings alone."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

HERE = "NULLIF(current_setting('app.workspace_id', true), '')"
DUTY = "NULLIF(current_setting('app.duty', true), '')"


def upgrade() -> None:
    op.create_table(
        "workspace_choices",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("choice", sa.String(length=32), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "choice", name=op.f("pk_workspace_choices")),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name != "postgresql":
        return
    own = f"workspace_id = {HERE}"
    op.execute("ALTER TABLE workspace_choices ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE workspace_choices FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY wall ON workspace_choices USING ({own}) WITH CHECK ({own} AND workspace_id <> '*')")
    op.execute(f"CREATE POLICY duties ON workspace_choices USING ({DUTY} IS NOT NULL)")


def downgrade() -> None:
    op.drop_table("workspace_choices")
