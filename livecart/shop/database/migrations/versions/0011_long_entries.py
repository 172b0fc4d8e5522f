"""Room for all fields of a product at once, in the audit log and in what a feed said: MySQL's TEXT ends at 64 KiB."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Widen the columns; SQLite's have no end."""
    if op.get_bind().dialect.name != "sqlite":
        op.execute("ALTER TABLE audit MODIFY `before` MEDIUMTEXT, MODIFY `after` MEDIUMTEXT")
        op.execute("ALTER TABLE sync_items MODIFY patch MEDIUMTEXT NOT NULL")


def downgrade() -> None:
    """Nothing: 0010 works with them too, and what is longer would be lost."""
