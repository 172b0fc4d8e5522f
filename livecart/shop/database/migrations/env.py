"""Alembic's entry: runs the migrations on the connection that `livecart.shop.database.migrate` gives it."""

from alembic import context

from livecart.shop.models import events, orders, products, service, webhooks  # noqa: F401  they fill the metadata
from livecart.shop.models.base import Base

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("run migrations by Store.upgrade(), which brings the connection")
# SQLite cannot change a column in place: Alembic copies the table.
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
