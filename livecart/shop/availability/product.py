"""One product's availability, as the database has it; many products in one query."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec.structs import replace
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from contract.card import PlatformOffer, Selling
from contract.links import check_link
from livecart.shop.models.products import PhotoRow, ProductRow
from livecart.shop.repositories import hosts
from livecart.shop.repositories.photo_check import SUFFIX
from livecart.shop.repositories.product_rows import in_chunks
from livecart.shop.schemas.money import as_written

#: Why no card may be shown: no such product, off sale, none left, its link not allowed, nothing young enough known.
Refusal = Literal["unknown", "off_sale", "sold_out", "link", "not_known"]
#: As many or fewer are told to viewers.
LOW_STOCK = 5
_COLUMNS = (
    ProductRow.sku,
    ProductRow.version,
    ProductRow.name,
    ProductRow.url,
    ProductRow.price,
    ProductRow.price_digits,
    ProductRow.currency,
    ProductRow.is_from_price,
    ProductRow.sale_price,
    ProductRow.sale_price_digits,
    ProductRow.sale_to_s,
    ProductRow.coupon,
    ProductRow.limit_per_buyer,
    ProductRow.stock,
    ProductRow.on_sale,
    ProductRow.offers,
    PhotoRow.digest,
    PhotoRow.kind,
)


class ProductAvailability(msgspec.Struct, frozen=True, kw_only=True):
    """A product with its link and price. A card for it may be shown where `refusal` is None."""

    sku: str
    #: UNIX time just before the database was asked, so that the age is never taken for less than it is.
    read_at_s: float
    refusal: Refusal | None = None
    version: int = 0
    name: str = ""
    url: str = ""
    price: Decimal | None = None
    currency: str | None = None
    is_from_price: bool = False
    selling: Selling | None = None
    stock: int | None = None
    #: File name of its first photo; see `files.photo_path`.
    photo: str | None = None
    #: Those whose links are allowed.
    offers: tuple[PlatformOffer, ...] = ()


def at_time(answer: ProductAvailability, now_s: float) -> ProductAvailability:
    """The answer as it is now: a sale may have ended since it was read."""
    selling = answer.selling
    if selling is None or selling.sale_ends_at_s is None or now_s < selling.sale_ends_at_s:
        return answer
    usual = None if selling.usual_price is None else Decimal(selling.usual_price)
    return replace(answer, price=usual, selling=_said(replace(selling, usual_price=None, sale_ends_at_s=None)))


def read_availability(session: Session, skus: Sequence[str], read_at_s: float) -> list[ProductAvailability]:
    """The products, and for a sku that is none an answer that says so."""
    allowed = hosts.allowed(session)
    photos = aliased(PhotoRow)
    first_photo = select(func.min(photos.id)).where(photos.product_id == ProductRow.id).scalar_subquery()
    query = select(*_COLUMNS).outerjoin(PhotoRow, PhotoRow.id == first_photo)
    found: dict[str, ProductAvailability] = {}
    for part in in_chunks(skus):
        for row in session.execute(query.where(ProductRow.sku.in_(part))):
            found[row.sku] = _availability(row, allowed, read_at_s)
    return [found.get(sku) or ProductAvailability(sku=sku, read_at_s=read_at_s, refusal="unknown") for sku in skus]


def _availability(row: Any, allowed: tuple[str, ...], read_at_s: float) -> ProductAvailability:
    refusal: Refusal | None = None
    if not row.on_sale:
        refusal = "off_sale"
    elif row.stock == 0:
        refusal = "sold_out"
    elif check_link(row.url, allowed) is not None:
        refusal = "link"
    price, sale = as_written(row.price, row.price_digits), as_written(row.sale_price, row.sale_price_digits or 0)
    is_sale = sale is not None and price is not None and sale < price
    answer = ProductAvailability(
        sku=row.sku,
        read_at_s=read_at_s,
        refusal=refusal,
        version=row.version,
        name=row.name,
        url=row.url,
        price=sale if is_sale else price,
        selling=_said(
            Selling(
                usual_price=str(price) if is_sale else None,
                sale_ends_at_s=row.sale_to_s if is_sale else None,
                stock_left=row.stock if row.stock and row.stock <= LOW_STOCK else None,
                coupon=row.coupon,
                limit_per_buyer=row.limit_per_buyer,
            )
        ),
        currency=row.currency,
        is_from_price=row.is_from_price,
        stock=row.stock,
        offers=tuple(offer for offer in row.offers if check_link(offer.url, allowed) is None),
        photo=None if row.digest is None else f"{row.digest}.{SUFFIX[row.kind]}",
    )
    return at_time(answer, read_at_s)


def _said(selling: Selling) -> Selling | None:
    """None where it says nothing."""
    return None if selling == Selling() else selling
