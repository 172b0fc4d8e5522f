"""Variants of a product, and whether its price is the lowest of several."""

import sqlalchemy as sa

from livecart.shop.database.migrate import add_column, drop_column

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, NULL is no variant."""
    add_column("products", sa.Column("variants", sa.Text(), nullable=True))
    add_column("products", sa.Column("is_from_price", sa.Boolean(), nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    """As 0007 had it."""
    drop_column("products", "is_from_price")
    drop_column("products", "variants")
