"""Negatives of products; an index that figures are summed from; reviews are found by their card."""

import sqlalchemy as sa

from livecart.shop.database.migrate import create_index, create_table, drop_index, drop_table
from livecart.shop.models.base import RowId

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_FIGURES = "ix_viewer_events_figures"


def upgrade() -> None:
    create_table(
        "negatives",
        sa.Column("id", RowId, nullable=False),
        sa.Column("product_id", RowId, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("created_at_s", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name="fk_negatives_product_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_negatives"),
        sa.UniqueConstraint("product_id", "digest", name="uq_negatives_product_id_digest"),
    )
    create_index("ix_negatives_digest", "negatives", ["digest"])
    create_index("ix_reviews_card_id", "reviews", ["card_id"])
    create_index(_FIGURES, "viewer_events", ["received_at_s", "sku", "room", "kind", "dwell_s"])
    drop_index("ix_viewer_events_received_at_s", "viewer_events")
    drop_index("ix_viewer_events_room_kind", "viewer_events")
    drop_index("ix_viewer_events_sku_kind", "viewer_events")


def downgrade() -> None:
    """As 0001 had it."""
    create_index("ix_viewer_events_sku_kind", "viewer_events", ["sku", "kind"])
    create_index("ix_viewer_events_room_kind", "viewer_events", ["room", "kind"])
    create_index("ix_viewer_events_received_at_s", "viewer_events", ["received_at_s"])
    drop_index(_FIGURES, "viewer_events")
    drop_index("ix_reviews_card_id", "reviews")
    drop_table("negatives")
