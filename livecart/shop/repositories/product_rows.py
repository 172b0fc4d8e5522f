"""Between the rows of `products` and what the catalog takes and gives."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from livecart.shop.database.session import now_s
from livecart.shop.models.image_fetches import ImageFetchRow
from livecart.shop.models.products import PhotoRow, ProductRoomRow, ProductRow
from livecart.shop.schemas.money import as_written, digits_of
from livecart.shop.schemas.product import PATCH_FIELDS, PhotoInfo, Product, search_text

#: Columns that hold a patch's field under its own name.
_PLAIN = (
    "name", "url", "brand", "price", "currency", "stock", "on_sale", "threshold", "offers", "variants", "image_urls",
    "sale_price", "sale_to_s", "coupon", "limit_per_buyer",
)  # fmt: skip
#: Most ids in one `IN (...)`, and rows in one round of statements: SQLite's default limit of variables is above,
#: MySQL's packet far above.
CHUNK = 500
T = TypeVar("T")


def in_chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """The values in lists of at most `CHUNK`; as many as there are, also more than memory holds."""
    rest = iter(values)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def to_product(row: ProductRow, rooms: Sequence[str], photos: Sequence[PhotoInfo]) -> Product:
    return msgspec.structs.replace(
        msgspec.convert(row, Product, from_attributes=True),
        price=as_written(row.price, row.price_digits),
        sale_price=as_written(row.sale_price, row.sale_price_digits or 0),
        rooms=None if row.all_rooms else tuple(rooms),
        photos=tuple(photos),
    )


def load(session: Session, rows: Sequence[ProductRow]) -> list[Product]:
    """Products of rows in their order, with rooms and photos in two queries for each `CHUNK`."""
    products: list[Product] = []
    for part in in_chunks(rows):
        rooms = rooms_of(session, [row.id for row in part])
        photos = photos_of(session, [row.id for row in part])
        products += [to_product(row, rooms[row.id], photos[row.id]) for row in part]
    return products


def load_by_sku(session: Session, skus: Sequence[str], *, lock: bool = False) -> dict[str, Product]:
    """Those of the skus that are in the catalog, as they stand now; `lock`: until the transaction ends."""
    found: dict[str, Product] = {}
    for part in in_chunks(skus):
        query = select(ProductRow).where(ProductRow.sku.in_(part)).execution_options(populate_existing=True)
        query = query.order_by(ProductRow.id)
        rows = session.scalars(query.with_for_update() if lock else query).all()
        found |= {product.sku: product for product in load(session, rows)}
        for row in rows:
            # It is written without the session's knowledge.
            session.expunge(row)
    return found


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
        found[row.product_id].append(msgspec.convert(row, PhotoInfo, from_attributes=True))
    return found


def columns_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of these fields of a patch, beside `search_text`, which needs the whole product."""
    columns = {name: given[name] for name in _PLAIN if name in given}
    columns |= {name: list(given[name]) for name in ("words", "labels") if name in given}
    for name in given.keys() & {"price", "sale_price"}:
        columns[f"{name}_digits"] = 0 if given[name] is None else digits_of(given[name])
    if "rooms" in given:
        columns["all_rooms"] = given["rooms"] is None
    return columns


def new_row(product: Product, at_s: float) -> dict[str, Any]:
    return {
        **columns_of({name: getattr(product, name) for name in PATCH_FIELDS}),
        "sku": product.sku,
        "source": product.source,
        "is_from_price": product.is_from_price,
        "search_text": search_of(product),
        "version": 1,
        "created_at_s": at_s,
        "updated_at_s": at_s,
    }


def search_of(product: Product) -> str:
    """The text that a search looks through."""
    return search_text(product.sku, product.name, product.brand, product.words)


def shows_in_snapshot(before: Product | None, after: Product | None) -> bool:
    """True where a snapshot would differ in what products are recognised by."""
    return bool(_in_snapshot(before) != _in_snapshot(after))


def shows_in_offers(before: Product | None, after: Product | None) -> bool:
    """True where the offers would differ: by whether any are in stock, not by how many."""
    return bool(_in_offers(before) != _in_offers(after))


def write_rooms(session: Session, rooms: dict[int, Iterable[str] | None]) -> None:
    for part in in_chunks(rooms):
        session.execute(delete(ProductRoomRow).where(ProductRoomRow.product_id.in_(part)))
    entries = [
        {"product_id": product_id, "room": room, "position": position}
        for product_id, names in rooms.items()
        for position, room in enumerate(names or ())
    ]
    if entries:
        session.execute(insert(ProductRoomRow), entries)


def plan_images(session: Session, urls: Mapping[int, Sequence[str]]) -> None:
    """Note the pictures that products, by id, name now. Fetched ones are kept until their successors are in."""
    rows = session.scalars(select(ImageFetchRow).where(ImageFetchRow.product_id.in_(list(urls)))).all()
    known = {(row.product_id, row.url): row for row in rows}
    wanted = {(product_id, url) for product_id, named in urls.items() for url in named}
    at_s = now_s(session)
    for key, row in known.items():
        if key not in wanted:
            # What is held is nobody's photo.
            row.digest = None if row.state == "held" else row.digest
            row.state, row.next_try_at_s = "replaced", at_s
    for product_id, named in urls.items():
        for position, url in enumerate(named):
            known_row = known.get((product_id, url))
            if known_row is None:
                session.add(
                    ImageFetchRow(
                        product_id=product_id, url=url, host=urlsplit(url).hostname or "", position=position,
                        state="pending", tries=0, next_try_at_s=at_s,
                    )
                )  # fmt: skip
                continue
            known_row.position = position
            if known_row.state == "replaced":
                known_row.state, known_row.tries, known_row.next_try_at_s = "pending", 0, at_s
    session.flush()


def sellable(product: Product) -> bool:
    """On sale, and not known to be sold out."""
    return product.on_sale and product.stock != 0


def _in_snapshot(product: Product | None) -> Any:
    kept = ("sku", "name", "url", "brand", "words", "labels", "threshold", "rooms", "photos")
    return None if product is None else tuple(getattr(product, name) for name in kept)


def _in_offers(product: Product | None) -> Any:
    return None if product is None else (sellable(product), str(product.price), product.currency, product.is_from_price)
