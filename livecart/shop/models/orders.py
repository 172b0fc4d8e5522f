"""Tables of orders that shops report, and of the secrets by which they do."""

from decimal import Decimal

from sqlalchemy import Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from livecart.shop.models.base import Base, Room, RowId, Seconds, Sku, options
from livecart.shop.models.webhooks import SigningSecrets
from livecart.shop.schemas.money import Money

SHOP_CHARS = 32
ORDER_ID_CHARS = 64


class OrderSourceRow(SigningSecrets, Base):
    """A shop that may report orders at `/postback/{name}`."""

    __tablename__ = "order_sources"
    __table_args__ = (options(),)

    name: Mapped[str] = mapped_column(String(SHOP_CHARS), primary_key=True)
    created_at_s: Mapped[float] = mapped_column(Seconds)


class OrderLineRow(Base):
    """A product of an order that came by a card: paid, or refunded of what was paid."""

    __tablename__ = "order_lines"
    __table_args__ = (
        UniqueConstraint("order_key", "status", "sku"),
        Index(None, "card_id"),
        Index(None, "at_s"),
        options(),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    #: Shop and order: `till/4711`.
    order_key: Mapped[str] = mapped_column(String(SHOP_CHARS + 1 + ORDER_ID_CHARS))
    status: Mapped[str] = mapped_column(String(16))
    sku: Mapped[str] = mapped_column(Sku)
    quantity: Mapped[int] = mapped_column(Integer)
    amount: Mapped[Decimal] = mapped_column(Money)
    currency: Mapped[str] = mapped_column(String(3))
    card_id: Mapped[str] = mapped_column(String(32))
    room: Mapped[str] = mapped_column(Room)
    at_s: Mapped[float] = mapped_column(Seconds)
