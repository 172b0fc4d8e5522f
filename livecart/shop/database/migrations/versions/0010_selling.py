"""Sale price and its end, coupon, and limit per buyer of a product."""

from typing import Any

import sqlalchemy as sa

from livecart.shop.database.migrate import add_column, drop_column

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_COLUMNS: dict[str, Any] = {
    "sale_price": sa.Numeric(18, 4).with_variant(sa.BigInteger(), "sqlite"),
    "sale_price_digits": sa.SmallInteger(),
    "sale_to_s": sa.Double(),
    "coupon": sa.String(length=40),
    "limit_per_buyer": sa.Integer(),
}


def upgrade() -> None:
    """Add the columns, NULL is none."""
    for name, kind in _COLUMNS.items():
        add_column("products", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    """As 0009 had it."""
    for name in _COLUMNS:
        drop_column("products", name)
