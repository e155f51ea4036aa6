"""walls: links between rows of workspaces name the workspace, so that none can lead into another.

An assistant whose service lives in this process, and so belongs to all workspaces, says that its service is everywhere;
of any other it says that it is in the assistant's own workspace.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

EVERYWHERE = "*"
HOME = "service_workspace_id"
COPY = "rows_with_walls"


class Link(NamedTuple):
    """A column of a table that names another's row by its key; `place` is the column that says in which workspace."""

    table: str
    column: str
    parent: str
    key: str = "id"
    place: str = "workspace_id"

    @property
    def name(self) -> str:
        """The constraint's."""
        return f"fk_{self.table}_{self.place}_{self.parent}"

    @property
    def former_name(self) -> str:
        """The one of the constraint that it takes the place of."""
        return f"fk_{self.table}_{self.column}_{self.parent}"

    @property
    def clause(self) -> str:
        """As SQLite keeps it."""
        references = f"REFERENCES {self.parent} (workspace_id, {self.key})"
        return f"CONSTRAINT {self.name} FOREIGN KEY({self.place}, {self.column}) {references}"

    @property
    def former_clause(self) -> str:
        """The one that it takes the place of."""
        return f"CONSTRAINT {self.former_name} FOREIGN KEY({self.column}) REFERENCES {self.parent} ({self.key})"


LINKS = (
    Link("assistants", "assistant_service_id", "assistant_services", "assistant_service_id", HOME),
    Link("participants", "conversation_id", "conversations"),
    Link("messages", "conversation_id", "conversations"),
    Link("files", "conversation_id", "conversations"),
    Link("file_versions", "file_id", "files"),
    Link("shares", "conversation_id", "conversations"),
    Link("redemptions", "share_id", "shares"),
    Link("conversation_retention", "conversation_id", "conversations"),
    Link("turns", "conversation_id", "conversations"),
    Link("turn_events", "turn_pk", "turns", "pk"),
    Link("turn_snapshots", "turn_pk", "turns", "pk"),
    Link("turn_slots", "conversation_id", "conversations"),
    Link("model_assistants", "assistant_id", "assistants"),
    Link("sessions", "conversation_id", "conversations"),
)
KEYS = {
    "uq_assistant_services_id_workspace_id": ("assistant_services", ["assistant_service_id", "workspace_id"]),
    "uq_assistants_id_workspace_id": ("assistants", ["id", "workspace_id"]),
    "uq_conversations_workspace_id_id": ("conversations", ["workspace_id", "id"]),
    "uq_files_id_workspace_id": ("files", ["id", "workspace_id"]),
    "uq_shares_id_workspace_id": ("shares", ["id", "workspace_id"]),
    "uq_turns_pk_workspace_id": ("turns", ["pk", "workspace_id"]),
}
CHECK = f"{HOME} IN (workspace_id, '{EVERYWHERE}')"
CHECK_NAME = "ck_assistants_service_workspace"
FILL = (
    f"UPDATE assistants SET {HOME} = (SELECT s.workspace_id FROM assistant_services AS s"  # noqa: S608 - names of ours
    " WHERE s.assistant_service_id = assistants.assistant_service_id)"
)


def upgrade() -> None:
    op.add_column("assistants", sa.Column(HOME, sa.String(length=63)))
    op.execute(sa.text(FILL))
    for name, (table, columns) in KEYS.items():
        op.create_index(name, table, columns, unique=True)
    op.drop_index("ix_conversations_workspace_id", table_name="conversations")
    if op.get_bind().dialect.name == "sqlite":
        for link in LINKS:
            _rebuild(link.table, lambda made, link=link: _with_wall(made, link))
        _require_whole()
        return
    op.alter_column("assistants", HOME, nullable=False)
    op.create_check_constraint(op.f(CHECK_NAME), "assistants", CHECK)
    for link in LINKS:
        op.drop_constraint(link.former_name, link.table, type_="foreignkey")
        op.create_foreign_key(
            link.name,
            link.table,
            link.parent,
            [link.place, link.column],
            ["workspace_id", link.key],
            ondelete="CASCADE",
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for link in LINKS:
            _rebuild(link.table, lambda made, link=link: _without_wall(made, link))
    else:
        for link in LINKS:
            op.drop_constraint(link.name, link.table, type_="foreignkey")
            op.create_foreign_key(
                link.former_name, link.table, link.parent, [link.column], [link.key], ondelete="CASCADE"
            )
        op.drop_constraint(op.f(CHECK_NAME), "assistants", type_="check")
    for name, (table, _) in KEYS.items():
        op.drop_index(name, table_name=table)
    op.create_index("ix_conversations_workspace_id", "conversations", ["workspace_id", "id"])
    op.drop_column("assistants", HOME)
    if op.get_bind().dialect.name == "sqlite":
        _require_whole()


def _with_wall(made: str, link: Link) -> str:
    changed = made.replace(link.former_clause, link.clause)
    if link.place == HOME:
        changed = re.sub(rf"\b{HOME} VARCHAR\(63\)", f"{HOME} VARCHAR(63) NOT NULL", changed)
        changed = changed.replace(link.clause, f"CONSTRAINT {CHECK_NAME} CHECK ({CHECK}), {link.clause}")
    return changed


def _without_wall(made: str, link: Link) -> str:
    changed = made.replace(link.clause, link.former_clause)
    if link.place == HOME:
        changed = changed.replace(f"{HOME} VARCHAR(63) NOT NULL", f"{HOME} VARCHAR(63)")
        changed = changed.replace(f"CONSTRAINT {CHECK_NAME} CHECK ({CHECK}), ", "")
    return changed


def _rebuild(table: str, change: Callable[[str], str]) -> None:
    """Copy a table into one that is made by the changed statement, with its indexes as they were.

    SQLite cannot change a constraint. It keeps the statements that made what it has, so that nothing is lost that is not
    meant to change, whereas Alembic's batches would have to be told of partial indexes and of how rows are laid.
    """
    bind = op.get_bind()
    made = bind.execute(sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name"), {"name": table})
    statement = str(made.scalar_one())
    changed = change(statement)
    if changed == statement:
        raise RuntimeError(f"The table {table} is not as it should be: {statement}")
    indexes = bind.execute(
        sa.text("SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :name AND sql IS NOT NULL"),
        {"name": table},
    )
    anew = [str(row[0]) for row in indexes]
    columns = ", ".join(_columns(bind, table))
    bind.exec_driver_sql(re.sub(rf'^CREATE TABLE "?{table}"?', f"CREATE TABLE {COPY}", changed))
    bind.exec_driver_sql(f"INSERT INTO {COPY} ({columns}) SELECT {columns} FROM {table}")  # noqa: S608 - names of ours
    bind.exec_driver_sql(f"DROP TABLE {table}")
    bind.exec_driver_sql(f"ALTER TABLE {COPY} RENAME TO {table}")
    for index in anew:
        bind.exec_driver_sql(index)


def _columns(bind: sa.Connection, table: str) -> Sequence[str]:
    return [f'"{row[1]}"' for row in bind.exec_driver_sql(f"PRAGMA table_info({table})")]


def _require_whole() -> None:
    """No row leads nowhere; while tables are rebuilt, SQLite does not look."""
    if lost := op.get_bind().exec_driver_sql("PRAGMA foreign_key_check").fetchmany(5):
        raise RuntimeError(f"Rows refer to what is not there, or not in their workspace: {lost}")
