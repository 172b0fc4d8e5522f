"""Orders that shops report, and the secrets by which they do."""

import sqlalchemy as sa

from livecart.shop.database.migrate import create_index, create_table, drop_table

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MONEY = sa.Numeric(18, 4).with_variant(sa.BigInteger(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    create_table(
        "order_sources",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("secret", sa.String(length=128), nullable=False),
        sa.Column("old_secret", sa.String(length=128), nullable=True),
        sa.Column("old_until_s", sa.Double(), nullable=True),
        sa.Column("created_at_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_order_sources"),
    )
    create_table(
        "order_lines",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("order_key", sa.String(length=97), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("amount", _MONEY, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("card_id", sa.String(length=32), nullable=False),
        sa.Column("room", sa.String(length=128), nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_order_lines"),
        sa.UniqueConstraint("order_key", "status", "sku", name="uq_order_lines_order_key_status_sku"),
    )
    for column in ("card_id", "at_s"):
        create_index(f"ix_order_lines_{column}", "order_lines", [column])


def downgrade() -> None:
    """As 0008 had it."""
    drop_table("order_lines")
    drop_table("order_sources")
