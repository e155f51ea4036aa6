"""Runs the migrations on the connection that workbench.wiring.migrations hands over."""

from alembic import context

from workbench.wiring.migrations import context_options

connection = context.config.attributes["connection"]
context.configure(connection=connection, **context_options(connection))
with context.begin_transaction():
    context.run_migrations()
