"""The tables of budgets: limits that were set, and what is reserved by what is under way.

No foreign keys: a limit may be set before its user has come for the first time, and what is reserved runs out by itself.
"""

from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, String, Table

from workbench.adapters.sql.schema import Id, Moment, metadata, workspace_column

# `amount` is null where there is no end to it; `anchor` is a day, written out.
budget_limits = Table(
    "budget_limits",
    metadata,
    workspace_column(),
    Column("scope", String(16), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("measure", String(16), nullable=False),
    Column("period", String(16), nullable=False),
    Column("amount", BigInteger),
    Column("anchor", String(10)),
    PrimaryKeyConstraint("workspace_id", "scope", "subject", "measure", "period"),
    sqlite_with_rowid=False,
)

# A few rows a workspace, one for each turn or other use of models under way, so that the primary key is index enough.
budget_reservations = Table(
    "budget_reservations",
    metadata,
    workspace_column(),
    Column("key", String(255), nullable=False),
    Column("user_id", String(255)),
    Column("assistant_id", Id),
    Column("tokens", BigInteger, nullable=False),
    Column("cost_micros", BigInteger, nullable=False),
    Column("generations", BigInteger, nullable=False, server_default="0"),
    Column("expires_datetime", Moment, nullable=False),
    PrimaryKeyConstraint("workspace_id", "key"),
    sqlite_with_rowid=False,
)
