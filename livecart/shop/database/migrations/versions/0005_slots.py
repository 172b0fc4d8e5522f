"""Numbers of products in a room's list on the platform."""

import sqlalchemy as sa

from livecart.shop.database.migrate import create_table, drop_table

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    create_table(
        "slots",
        sa.Column("room", sa.String(length=128), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("room", "slot", name="pk_slots"),
        sa.UniqueConstraint("room", "sku", name="uq_slots_room_sku"),
    )


def downgrade() -> None:
    """Remove it."""
    drop_table("slots")
