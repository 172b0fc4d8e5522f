"""Tables of events: cards shown, viewers' events on them, crops for review."""

from decimal import Decimal

from sqlalchemy import Double, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from livecart.shop.models.base import Base, Digest, Room, RowId, Seconds, Sku, options
from livecart.shop.schemas.money import Money
from livecart.shop.schemas.product import NAME_CHARS, URL_CHARS


class CardRow(Base):
    """A card as it was shown, with the price and link of that moment."""

    __tablename__ = "cards"
    __table_args__ = (
        Index(None, "room", "shown_at_s"),
        Index(None, "sku", "shown_at_s"),
        Index(None, "shown_at_s"),
        options(),
    )

    card_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    room: Mapped[str] = mapped_column(Room)
    sku: Mapped[str] = mapped_column(Sku)
    name: Mapped[str] = mapped_column(String(NAME_CHARS))
    url: Mapped[str] = mapped_column(String(URL_CHARS))
    price: Mapped[Decimal | None] = mapped_column(Money)
    price_digits: Mapped[int] = mapped_column(Integer)
    currency: Mapped[str | None] = mapped_column(String(3))
    confidence: Mapped[float] = mapped_column(Double)
    shown_at_s: Mapped[float] = mapped_column(Seconds)
    withdrawn_at_s: Mapped[float | None] = mapped_column(Seconds)
    reason: Mapped[str | None] = mapped_column(String(16))


class ViewerEventRow(Base):
    """One thing that one viewer did. `event_key` is made by the viewer, so that what is sent twice counts once."""

    __tablename__ = "viewer_events"
    __table_args__ = (
        UniqueConstraint("event_key"),
        # Holds all that figures are made of: those of a month are summed without a look at the rows.
        Index("ix_viewer_events_figures", "received_at_s", "sku", "room", "kind", "dwell_s"),
        options(),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    event_key: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    card_id: Mapped[str] = mapped_column(String(32))
    room: Mapped[str] = mapped_column(Room)
    sku: Mapped[str] = mapped_column(Sku)
    viewer: Mapped[str] = mapped_column(String(64))
    #: Of `dwell` only: seconds on screen.
    dwell_s: Mapped[float | None] = mapped_column(Double)
    received_at_s: Mapped[float] = mapped_column(Seconds)


class ReviewRow(Base):
    """A product crop that staff should look at. The crop lies in the crop folder under `crop_digest`."""

    __tablename__ = "reviews"
    __table_args__ = (
        Index(None, "state", "created_at_s"),
        Index(None, "created_at_s"),
        Index(None, "card_id"),
        UniqueConstraint("crop_digest", "sku"),
        options(),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(16))
    room: Mapped[str] = mapped_column(Room)
    sku: Mapped[str] = mapped_column(Sku)
    card_id: Mapped[str | None] = mapped_column(String(32))
    confidence: Mapped[float | None] = mapped_column(Double)
    crop_digest: Mapped[str] = mapped_column(Digest)
    crop_kind: Mapped[str] = mapped_column(String(8))
    reports: Mapped[int] = mapped_column(Integer)
    created_at_s: Mapped[float] = mapped_column(Seconds)
    decided_at_s: Mapped[float | None] = mapped_column(Seconds)
    decided_by: Mapped[str | None] = mapped_column(String(128))
    corrected_sku: Mapped[str | None] = mapped_column(Sku)
    version: Mapped[int] = mapped_column(Integer)
