"""Tables of the service itself: audit log, answered requests, tokens, feed runs, snapshots."""

from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.dialects.mysql import MEDIUMBLOB
from sqlalchemy.orm import Mapped, mapped_column

from livecart.shop.models.base import Base, Digest, LongJson, RowId, Seconds, Sku, Who, options


class AuditRow(Base):
    """One change, written in the change's own transaction. `before` and `after` hold only the fields that differ."""

    __tablename__ = "audit"
    __table_args__ = (Index(None, "subject", "name"), Index(None, "at_s"), options())

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    at_s: Mapped[float] = mapped_column(Seconds)
    who: Mapped[str] = mapped_column(Who)
    action: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(255))
    before: Mapped[dict[str, Any] | None] = mapped_column(LongJson)
    after: Mapped[dict[str, Any] | None] = mapped_column(LongJson)


class IdempotencyRow(Base):
    """A request that was answered, by the key its client gave it. Written in the transaction of what it did."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "created_at_s"), options())

    who: Mapped[str] = mapped_column(Who, primary_key=True)
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    request_digest: Mapped[str] = mapped_column(Digest)
    status: Mapped[int] = mapped_column(Integer)
    body: Mapped[bytes] = mapped_column(LargeBinary().with_variant(MEDIUMBLOB(), "mysql", "mariadb"))
    created_at_s: Mapped[float] = mapped_column(Seconds)


class TokenRow(Base):
    """An API token: only its SHA-256 is here."""

    __tablename__ = "api_tokens"
    __table_args__ = (UniqueConstraint("token_hash"), options())

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    role: Mapped[str] = mapped_column(String(16))
    token_hash: Mapped[str] = mapped_column(Digest)
    created_at_s: Mapped[float] = mapped_column(Seconds)
    expires_at_s: Mapped[float | None] = mapped_column(Seconds)
    revoked_at_s: Mapped[float | None] = mapped_column(Seconds)


class SyncRunRow(Base):
    """One reading of a feed, from its first page to its last change."""

    __tablename__ = "sync_runs"
    __table_args__ = (Index(None, "source", "started_at_s"), options())

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    source: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    started_at_s: Mapped[float] = mapped_column(Seconds)
    finished_at_s: Mapped[float | None] = mapped_column(Seconds)
    #: Who works at it, and until when nobody else may take it over.
    lease: Mapped[str | None] = mapped_column(String(32))
    lease_until_s: Mapped[float] = mapped_column(Seconds)
    #: Where to go on after a kill: of the feed while it is read, the last sku written after that.
    cursor: Mapped[str | None] = mapped_column(Text)
    #: The validators of the feed's answer, for If-None-Match.
    etag: Mapped[str | None] = mapped_column(String(255))
    last_modified: Mapped[str | None] = mapped_column(String(64))
    fetched: Mapped[int] = mapped_column(Integer)
    bad: Mapped[int] = mapped_column(Integer)
    created: Mapped[int] = mapped_column(Integer)
    changed: Mapped[int] = mapped_column(Integer)
    removed: Mapped[int] = mapped_column(Integer)
    detail: Mapped[str | None] = mapped_column(Text)


class SyncItemRow(Base):
    """A product as a running sync has read it. Nothing of it is in the catalog before the whole feed is here."""

    __tablename__ = "sync_items"
    __table_args__ = (options(),)

    run_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("sync_runs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    sku: Mapped[str] = mapped_column(Sku, primary_key=True)
    patch: Mapped[dict[str, Any]] = mapped_column(LongJson)
