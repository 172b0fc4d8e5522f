"""Offers of other platforms with the product; webhooks: endpoints, messages, and the outbox of deliveries."""

import sqlalchemy as sa

from livecart.shop.database.migrate import add_column, create_index, create_table, drop_column, drop_table

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INDEXES = {
    "webhook_messages": (["card_id"], ["created_at_s"]),
    "webhook_deliveries": (["live", "next_at_s"], ["endpoint_id", "lane", "id"], ["message_id"], ["claim"]),
}


def upgrade() -> None:
    """Add the column, NULL is none, and make the tables."""
    add_column("products", sa.Column("offers", sa.Text(), nullable=True))
    create_table(
        "webhook_endpoints",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("types", sa.Text(), nullable=False),
        sa.Column("secret", sa.String(length=128), nullable=False),
        sa.Column("old_secret", sa.String(length=128), nullable=True),
        sa.Column("old_until_s", sa.Double(), nullable=True),
        sa.Column("disabled", sa.String(length=16), nullable=True),
        sa.Column("failing_since_s", sa.Double(), nullable=True),
        sa.Column("last_error", sa.String(length=255), nullable=True),
        sa.Column("created_at_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
    )
    create_table(
        "webhook_messages",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("card_id", sa.String(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_messages"),
    )
    create_table(
        "webhook_deliveries",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("message_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", _ROW_ID, nullable=False),
        sa.Column("lane", sa.String(length=128), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at_s", sa.Double(), nullable=True),
        sa.Column("claim", sa.String(length=32), nullable=True),
        sa.Column("claimed_until_s", sa.Double(), nullable=False),
        sa.Column("error", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["webhook_messages.id"],
            name="fk_webhook_deliveries_message_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id"],
            name="fk_webhook_deliveries_endpoint_id",
            ondelete="CASCADE",
        ),
    )
    for table, indexes in _INDEXES.items():
        for columns in indexes:
            create_index(f"ix_{table}_{'_'.join(columns)}", table, columns)


def downgrade() -> None:
    """As 0005 had it."""
    for table in ("webhook_deliveries", "webhook_messages", "webhook_endpoints"):
        drop_table(table)
    drop_column("products", "offers")
