"""Alembic's entry point: run migrations on the connection that ``schema.py`` hands over."""

from __future__ import annotations

from alembic import context

from sync_engine.store.tables import metadata

# Tables are created, filled and dropped in the caller's transaction: a migration that fails leaves the
# database as it was. Both databases can do that; Alembic has to be told so for SQLite.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
    compare_type=True,
)

with context.begin_transaction():
    context.run_migrations()
