"""Runs the migrations on the connection that workbench.wiring.revising hands over."""

from alembic import context

from workbench.wiring.revising import context_options

connection = context.config.attributes["connection"]
context.configure(connection=connection, **context_options(connection))
with context.begin_transaction():
    if connection.dialect.name == "postgresql":
        # Rows are of all workspaces, and also who owns the tables sees none without saying what for.
        connection.exec_driver_sql("SELECT set_config('app.duty', 'migration', true)")
    context.run_migrations()
