"""A count of changes of price and stock, which need no snapshot. The list of snapshots, which nothing read, goes."""

import sqlalchemy as sa
from alembic import op

from livecart.shop.database.migrate import create_table, drop_table
from livecart.shop.models.base import RowId

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the row beside that of the snapshot, unless it is there."""
    op.execute(
        "INSERT INTO catalog_revision (id, revision) SELECT 2, 1 FROM catalog_revision WHERE id = 1"
        " AND NOT EXISTS (SELECT 1 FROM catalog_revision AS other WHERE other.id = 2)"
    )
    drop_table("snapshots")


def downgrade() -> None:
    """As 0003 had it: the next price or stock must show in a snapshot."""
    create_table(
        "snapshots",
        sa.Column("version", RowId, nullable=False),
        sa.Column("revision", RowId, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", RowId, nullable=False),
        sa.Column("products", sa.Integer(), nullable=False),
        sa.Column("built_at_s", sa.Double(), nullable=False),
        sa.Column("build_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_snapshots"),
    )
    op.execute("UPDATE catalog_revision SET revision = revision + 1 WHERE id = 1")
    op.execute("DELETE FROM catalog_revision WHERE id = 2")
