"""Pictures that feeds name, and how far they have been fetched."""

import sqlalchemy as sa

from livecart.shop.database.migrate import add_column, create_index, create_table, drop_column, drop_table

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the column, NULL is none, and make the table."""
    add_column("products", sa.Column("image_urls", sa.Text(), nullable=True))
    create_table(
        "image_fetches",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("product_id", _ROW_ID, nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("etag", sa.String(length=255), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at_s", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_image_fetches"),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name="fk_image_fetches_product_id", ondelete="CASCADE"
        ),
    )
    for columns in (["product_id"], ["state", "next_try_at_s"]):
        create_index(f"ix_image_fetches_{'_'.join(columns)}", "image_fetches", columns)


def downgrade() -> None:
    """As 0006 had it."""
    drop_table("image_fetches")
    drop_column("products", "image_urls")
