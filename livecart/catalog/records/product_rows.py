"""Between the rows of `products` and what the catalog takes and gives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, cast

from msgspec import UNSET
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from livecart.catalog.database.tables import PhotoRow, ProductRoomRow, ProductRow
from livecart.catalog.money import digits_of, with_digits
from livecart.catalog.values import PATCH_FIELDS, PhotoInfo, PhotoKind, Product, ProductPatch, search_text, to_json

#: Columns that hold a patch's field under its own name.
_PLAIN = ("name", "url", "brand", "price", "currency", "stock", "on_sale", "threshold")
#: Most ids in one `IN (...)`: SQLite's default limit of variables is above, MySQL's packet far above.
CHUNK = 500


def to_product(row: ProductRow, rooms: Sequence[str], photos: Sequence[PhotoInfo]) -> Product:
    """What the catalog gives of a row."""
    return Product(
        sku=row.sku,
        name=row.name,
        url=row.url,
        brand=row.brand,
        words=tuple(row.words),
        labels=tuple(row.labels),
        price=None if row.price is None else with_digits(row.price, row.price_digits),
        currency=row.currency,
        stock=row.stock,
        on_sale=row.on_sale,
        threshold=row.threshold,
        rooms=None if row.all_rooms else tuple(rooms),
        photos=tuple(photos),
        source=row.source,
        version=row.version,
        updated_at_s=row.updated_at_s,
    )


def load(session: Session, rows: Sequence[ProductRow]) -> list[Product]:
    """Products of rows in their order, with rooms and photos in two queries for each `CHUNK`."""
    products: list[Product] = []
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        rooms = rooms_of(session, [row.id for row in part])
        photos = photos_of(session, [row.id for row in part])
        products += [to_product(row, rooms[row.id], photos[row.id]) for row in part]
    return products


def rooms_of(session: Session, ids: Sequence[int]) -> defaultdict[int, list[str]]:
    """Rooms by product id, in the order they were given in."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    query = select(ProductRoomRow.product_id, ProductRoomRow.room).where(ProductRoomRow.product_id.in_(ids))
    for product_id, room in session.execute(query.order_by(ProductRoomRow.product_id, ProductRoomRow.position)):
        found[product_id].append(room)
    return found


def photos_of(session: Session, ids: Sequence[int]) -> defaultdict[int, list[PhotoInfo]]:
    """Photos by product id, oldest first."""
    found: defaultdict[int, list[PhotoInfo]] = defaultdict(list)
    for row in session.scalars(select(PhotoRow).where(PhotoRow.product_id.in_(ids)).order_by(PhotoRow.id)):
        found[row.product_id].append(to_photo(row))
    return found


def to_photo(row: PhotoRow) -> PhotoInfo:
    """What the catalog gives of a photo's row."""
    return PhotoInfo(
        digest=row.digest,
        kind=cast(PhotoKind, row.kind),
        name=row.name,
        width_px=row.width_px,
        height_px=row.height_px,
        size_bytes=row.size_bytes,
    )


def columns_of(patch: ProductPatch) -> dict[str, Any]:
    """Columns that a patch sets, beside `search_text`, which needs the whole product."""
    given = patch.given()
    columns = {name: given[name] for name in _PLAIN if name in given}
    columns |= {name: list(given[name]) for name in ("words", "labels") if name in given}
    if "price" in given:
        columns["price_digits"] = 0 if patch.price in (None, UNSET) else digits_of(given["price"])
    if "rooms" in given:
        columns["all_rooms"] = given["rooms"] is None
    return columns


def merged(patch: ProductPatch, before: Product | None) -> Product:
    """The product as it will be, version and time aside."""
    given = patch.given()
    if before is None:
        return Product(sku=patch.sku, **given)
    kept = {name: getattr(before, name) for name in before.__struct_fields__}
    return Product(**{**kept, **given})


def new_row(product: Product, at_s: float) -> dict[str, Any]:
    """Every column of a new product's row."""
    patch = ProductPatch(sku=product.sku, **{name: getattr(product, name) for name in PATCH_FIELDS})
    return {
        **columns_of(patch),
        "sku": product.sku,
        "source": product.source,
        "search_text": search_of(product),
        "version": 1,
        "created_at_s": at_s,
        "updated_at_s": at_s,
    }


def search_of(product: Product) -> str:
    """The text that a search looks through."""
    return search_text(product.sku, product.name, product.brand, product.words)


def differences(before: Product, after: Product) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of a patch that differ, as JSON values: how they were, how they will be.

    12.9 and 12.90 differ: a card shows the digits.
    """
    old, new = to_json(before), to_json(after)
    names = [name for name in PATCH_FIELDS if old[name] != new[name]]
    return {name: old[name] for name in names}, {name: new[name] for name in names}


def shows_in_snapshot(before: Product | None, after: Product | None) -> bool:
    """Whether a snapshot built now would differ: how many are in stock does not matter, whether any are does."""
    return bool(_in_snapshot(before) != _in_snapshot(after))


def write_rooms(session: Session, rooms: dict[int, Iterable[str] | None]) -> None:
    """Replace the room lists of products, by id."""
    ids = list(rooms)
    for start in range(0, len(ids), CHUNK):
        session.execute(delete(ProductRoomRow).where(ProductRoomRow.product_id.in_(ids[start : start + CHUNK])))
    entries = [
        {"product_id": product_id, "room": room, "position": position}
        for product_id, names in rooms.items()
        for position, room in enumerate(names or ())
    ]
    if entries:
        session.execute(insert(ProductRoomRow), entries)


def sellable(product: Product) -> bool:
    """On sale, and not known to be sold out."""
    return product.on_sale and product.stock != 0


def _in_snapshot(product: Product | None) -> Any:
    if product is None:
        return None
    kept = ("sku", "name", "url", "brand", "words", "labels", "currency", "threshold", "rooms", "photos")
    return sellable(product), str(product.price), *(getattr(product, name) for name in kept)
