"""Alembic's entry: runs the migrations on the connection that `livecart.catalog.migrate` gives it."""

from __future__ import annotations

from alembic import context

from livecart.catalog.database import tables, tables_events, tables_service  # noqa: F401  they fill the metadata
from livecart.catalog.database.tables_base import Base

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("run migrations by Store.upgrade(), which brings the connection")
# SQLite cannot change a column in place: Alembic copies the table.
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
