"""Indexes of the orders in which staff list products."""

from livecart.shop.database.migrate import create_index, drop_index

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_COLUMNS = ("name", "price", "updated_at_s")


def upgrade() -> None:
    for column in _COLUMNS:
        create_index(f"ix_products_{column}", "products", [column])


def downgrade() -> None:
    """As 0002 had it."""
    for column in _COLUMNS:
        drop_index(f"ix_products_{column}", "products")
