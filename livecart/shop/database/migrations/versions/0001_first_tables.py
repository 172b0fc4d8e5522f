"""First tables: products, events, service."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from livecart.shop.database.migrate import create_index, create_table, drop_table
from livecart.shop.models.base import RowId

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

#: SQLite's NUMERIC is a float: there it is an integer of ten-thousandths.
_MONEY = sa.Numeric(18, 4).with_variant(sa.BigInteger(), "sqlite")
_BODY = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


def upgrade() -> None:
    create_table(
        "api_tokens",
        sa.Column("id", RowId, nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at_s", sa.Double(), nullable=False),
        sa.Column("expires_at_s", sa.Double(), nullable=True),
        sa.Column("revoked_at_s", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_tokens"),
        sa.UniqueConstraint("token_hash", name="uq_api_tokens_token_hash"),
    )
    create_table(
        "audit",
        sa.Column("id", RowId, nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    create_index("ix_audit_at_s", "audit", ["at_s"])
    create_index("ix_audit_subject_name", "audit", ["subject", "name"])

    create_table(
        "cards",
        sa.Column("card_id", sa.String(length=32), nullable=False),
        sa.Column("room", sa.String(length=128), nullable=False),
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("price", _MONEY, nullable=True),
        sa.Column("price_digits", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("shown_at_s", sa.Double(), nullable=False),
        sa.Column("withdrawn_at_s", sa.Double(), nullable=True),
        sa.Column("reason", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("card_id", name="pk_cards"),
    )
    create_index("ix_cards_room_shown_at_s", "cards", ["room", "shown_at_s"])
    create_index("ix_cards_shown_at_s", "cards", ["shown_at_s"])
    create_index("ix_cards_sku_shown_at_s", "cards", ["sku", "shown_at_s"])

    create_table(
        "catalog_revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", RowId, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_catalog_revision"),
    )
    create_table(
        "idempotency_keys",
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", _BODY, nullable=False),
        sa.Column("created_at_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("who", "key", name="pk_idempotency_keys"),
    )
    create_index("ix_idempotency_keys_created_at_s", "idempotency_keys", ["created_at_s"])

    create_table(
        "link_hosts",
        sa.Column("pattern", sa.String(length=255), nullable=False),
        sa.Column("added_at_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("pattern", name="pk_link_hosts"),
    )
    create_table(
        "products",
        sa.Column("id", RowId, nullable=False),
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("brand", sa.String(length=128), nullable=True),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("price", _MONEY, nullable=True),
        sa.Column("price_digits", sa.SmallInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("stock", sa.Integer(), nullable=True),
        sa.Column("on_sale", sa.Boolean(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=True),
        sa.Column("all_rooms", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=True),
        sa.Column("link_form", sa.Text(), nullable=True),
        sa.Column("search_text", sa.String(length=500), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at_s", sa.Double(), nullable=False),
        sa.Column("updated_at_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_products"),
        sa.UniqueConstraint("sku", name="uq_products_sku"),
    )
    create_index("ix_products_brand", "products", ["brand"])

    create_table(
        "reviews",
        sa.Column("id", RowId, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("room", sa.String(length=128), nullable=False),
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("card_id", sa.String(length=32), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("crop_digest", sa.String(length=64), nullable=False),
        sa.Column("crop_kind", sa.String(length=8), nullable=False),
        sa.Column("reports", sa.Integer(), nullable=False),
        sa.Column("created_at_s", sa.Double(), nullable=False),
        sa.Column("decided_at_s", sa.Double(), nullable=True),
        sa.Column("decided_by", sa.String(length=128), nullable=True),
        sa.Column("corrected_sku", sa.String(length=128), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
        sa.UniqueConstraint("crop_digest", "sku", name="uq_reviews_crop_digest_sku"),
    )
    create_index("ix_reviews_created_at_s", "reviews", ["created_at_s"])
    create_index("ix_reviews_state_created_at_s", "reviews", ["state", "created_at_s"])

    create_table(
        "rooms",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_rooms"),
    )
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
    create_table(
        "sync_runs",
        sa.Column("id", RowId, nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("started_at_s", sa.Double(), nullable=False),
        sa.Column("finished_at_s", sa.Double(), nullable=True),
        sa.Column("lease", sa.String(length=32), nullable=True),
        sa.Column("lease_until_s", sa.Double(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("etag", sa.String(length=255), nullable=True),
        sa.Column("last_modified", sa.String(length=64), nullable=True),
        sa.Column("fetched", sa.Integer(), nullable=False),
        sa.Column("bad", sa.Integer(), nullable=False),
        sa.Column("created", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_sync_runs"),
    )
    create_index("ix_sync_runs_source_started_at_s", "sync_runs", ["source", "started_at_s"])

    create_table(
        "viewer_events",
        sa.Column("id", RowId, nullable=False),
        sa.Column("event_key", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("card_id", sa.String(length=32), nullable=False),
        sa.Column("room", sa.String(length=128), nullable=False),
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("viewer", sa.String(length=64), nullable=False),
        sa.Column("dwell_s", sa.Double(), nullable=True),
        sa.Column("received_at_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_viewer_events"),
        sa.UniqueConstraint("event_key", name="uq_viewer_events_event_key"),
    )
    create_index("ix_viewer_events_received_at_s", "viewer_events", ["received_at_s"])
    create_index("ix_viewer_events_room_kind", "viewer_events", ["room", "kind"])
    create_index("ix_viewer_events_sku_kind", "viewer_events", ["sku", "kind"])

    create_table(
        "photos",
        sa.Column("id", RowId, nullable=False),
        sa.Column("product_id", RowId, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=False),
        sa.Column("height_px", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("created_at_s", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name="fk_photos_product_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_photos"),
        sa.UniqueConstraint("product_id", "digest", name="uq_photos_product_id_digest"),
    )
    create_index("ix_photos_digest", "photos", ["digest"])

    create_table(
        "product_rooms",
        sa.Column("product_id", RowId, autoincrement=False, nullable=False),
        sa.Column("room", sa.String(length=128), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name="fk_product_rooms_product_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("product_id", "room", name="pk_product_rooms"),
    )
    create_index("ix_product_rooms_room_product_id", "product_rooms", ["room", "product_id"])

    create_table(
        "sync_items",
        sa.Column("run_id", RowId, autoincrement=False, nullable=False),
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("patch", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name="fk_sync_items_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "sku", name="pk_sync_items"),
    )
    # All writers count at this row: it must never be missing, nor be there twice.
    op.execute("INSERT INTO catalog_revision (id, revision) VALUES (1, 0)")


def downgrade() -> None:
    """Remove them, and everything in them."""
    for name in (
        "sync_items", "product_rooms", "photos", "viewer_events", "sync_runs", "snapshots", "rooms", "reviews",
        "products", "link_hosts", "idempotency_keys", "catalog_revision", "cards", "audit", "api_tokens",
    ):  # fmt: skip
        drop_table(name)
