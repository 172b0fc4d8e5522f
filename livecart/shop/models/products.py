"""Tables of the goods: products, their photos, the rooms they are shown in, the hosts that links may lead to."""

from decimal import Decimal
from typing import Any

from sqlalchemy import Boolean, Double, ForeignKey, Index, Integer, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from contract.card import PlatformOffer
from contract.catalog import Variant
from livecart.shop.models.base import Base, Digest, Json, JsonTuple, Room, RowId, Seconds, Sku, options
from livecart.shop.schemas.money import Money
from livecart.shop.schemas.product import BRAND_CHARS, COUPON_CHARS, NAME_CHARS, SEARCH_CHARS, URL_CHARS


class ProductRow(Base):
    """One product. `version` grows by one with each change; an edit names the version that it was made from."""

    __tablename__ = "products"
    __table_args__ = (
        UniqueConstraint("sku"),
        Index(None, "brand"),
        # Orders of the staff's list: without them every page would sort the whole catalog.
        Index(None, "name"),
        Index(None, "price"),
        Index(None, "updated_at_s"),
        options(),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    sku: Mapped[str] = mapped_column(Sku)
    name: Mapped[str] = mapped_column(String(NAME_CHARS))
    brand: Mapped[str | None] = mapped_column(String(BRAND_CHARS))
    words: Mapped[list[str]] = mapped_column(Json)
    labels: Mapped[list[str]] = mapped_column(Json)
    url: Mapped[str] = mapped_column(String(URL_CHARS))
    price: Mapped[Decimal | None] = mapped_column(Money)
    #: Digits behind the point as the shop wrote them: 12.90 has 2.
    price_digits: Mapped[int] = mapped_column(SmallInteger, default=0)
    currency: Mapped[str | None] = mapped_column(String(3))
    sale_price: Mapped[Decimal | None] = mapped_column(Money)
    sale_price_digits: Mapped[int | None] = mapped_column(SmallInteger)
    sale_to_s: Mapped[float | None] = mapped_column(Seconds)
    coupon: Mapped[str | None] = mapped_column(String(COUPON_CHARS))
    limit_per_buyer: Mapped[int | None] = mapped_column(Integer)
    stock: Mapped[int | None] = mapped_column(Integer)
    on_sale: Mapped[bool] = mapped_column(Boolean)
    threshold: Mapped[float | None] = mapped_column(Double)
    #: False: only in the rooms of product_rooms, which may be none.
    all_rooms: Mapped[bool] = mapped_column(Boolean)
    offers: Mapped[tuple[PlatformOffer, ...]] = mapped_column(JsonTuple(PlatformOffer), nullable=True)
    variants: Mapped[tuple[Variant, ...]] = mapped_column(JsonTuple(Variant), nullable=True)
    #: As price and stock, of a product with variants it is what `sold_as` makes of them.
    is_from_price: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("0"))
    image_urls: Mapped[tuple[str, ...]] = mapped_column(JsonTuple(str), nullable=True)
    source: Mapped[str | None] = mapped_column(String(64))
    #: Key and form in product_links.json, where it came from there.
    link_form: Mapped[dict[str, Any] | None] = mapped_column(Json)
    search_text: Mapped[str] = mapped_column(String(SEARCH_CHARS))
    version: Mapped[int] = mapped_column(Integer, default=1)
    created_at_s: Mapped[float] = mapped_column(Seconds)
    updated_at_s: Mapped[float] = mapped_column(Seconds)


class PhotoRow(Base):
    """A photo of a product; its bytes lie in the photo folder under `digest`."""

    __tablename__ = "photos"
    __table_args__ = (UniqueConstraint("product_id", "digest"), Index(None, "digest"), options())

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    product_id: Mapped[int] = mapped_column(RowId, ForeignKey("products.id", ondelete="CASCADE"))
    digest: Mapped[str] = mapped_column(Digest)
    kind: Mapped[str] = mapped_column(String(8))
    name: Mapped[str] = mapped_column(String(255))
    width_px: Mapped[int] = mapped_column(Integer)
    height_px: Mapped[int] = mapped_column(Integer)
    size_bytes: Mapped[int] = mapped_column(Integer)
    created_at_s: Mapped[float] = mapped_column(Seconds)


class NegativeRow(Base):
    """A photo of something that was taken for the product and is not it; its bytes lie in the photo folder."""

    __tablename__ = "negatives"
    __table_args__ = (UniqueConstraint("product_id", "digest"), Index(None, "digest"), options())

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    product_id: Mapped[int] = mapped_column(RowId, ForeignKey("products.id", ondelete="CASCADE"))
    digest: Mapped[str] = mapped_column(Digest)
    kind: Mapped[str] = mapped_column(String(8))
    created_at_s: Mapped[float] = mapped_column(Seconds)


class RoomRow(Base):
    """A room that staff know by a title."""

    __tablename__ = "rooms"
    __table_args__ = (options(),)

    name: Mapped[str] = mapped_column(Room, primary_key=True)
    title: Mapped[str] = mapped_column(String(255))
    version: Mapped[int] = mapped_column(Integer, default=1)
    updated_at_s: Mapped[float] = mapped_column(Seconds)


class ProductRoomRow(Base):
    """A product is on a room's list. No key to `rooms`: a catalog may name a room before anybody has opened it."""

    __tablename__ = "product_rooms"
    __table_args__ = (Index(None, "room", "product_id"), options())

    product_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("products.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    room: Mapped[str] = mapped_column(Room, primary_key=True)
    position: Mapped[int] = mapped_column(Integer)


class SlotRow(Base):
    """A product's number in the room's list on the platform, for this show. No key to products: they come and go."""

    __tablename__ = "slots"
    __table_args__ = (UniqueConstraint("room", "sku"), options())

    room: Mapped[str] = mapped_column(Room, primary_key=True)
    slot: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    sku: Mapped[str] = mapped_column(Sku)


class LinkHostRow(Base):
    """A host that links may lead to: a pattern of `contract.links.check_link`."""

    __tablename__ = "link_hosts"
    __table_args__ = (options(),)

    pattern: Mapped[str] = mapped_column(String(255), primary_key=True)
    added_at_s: Mapped[float] = mapped_column(Seconds)


class RevisionRow(Base):
    """Counts changes: row 1 those that a snapshot would show, row 2 those of price and stock beside it."""

    __tablename__ = "catalog_revision"
    __table_args__ = (options(),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(RowId)
