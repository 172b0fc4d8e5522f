"""Products by text: a part of the name, the brand, a word or the sku, Chinese or not. Pages by key, never by offset."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from sqlalchemy import ColumnElement, LargeBinary, Select, cast, false, func, select
from sqlalchemy.orm import Session

from livecart.shop.errors import InvalidValue
from livecart.shop.models.products import ProductRoomRow, ProductRow
from livecart.shop.repositories.product_rows import load
from livecart.shop.schemas.product import SEARCH_CHARS, Product, fold

MOST_PER_PAGE = 200
#: More different words fit into no product's text.
_MOST_WORDS = SEARCH_CHARS // 2


@dataclass(frozen=True, slots=True)
class ProductPage:
    """Products in the order they were added, and where the next page starts."""

    products: list[Product]
    next_cursor: Annotated[int | None, Meta(description="null: these were the last.", examples=[50])]


def search(
    session: Session,
    text: str = "",
    *,
    room: str | None = None,
    brand: str | None = None,
    on_sale: bool | None = None,
    in_stock: bool | None = None,
    cursor: int | None = None,
    limit: int = 50,
) -> ProductPage:
    """One page of the products that match everything asked for.

    The product whose sku is exactly `text` comes first, on the first page.

    Args:
        session: of `Store.read`.
        text: words that must all occur in sku, name, brand or words; case and width do not matter.
        room: only what is on this room's list.
        brand: only this brand.
        on_sale: only what is on sale, or is not.
        in_stock: only what is not sold out, or is.
        cursor: `next_cursor` of the page before.
        limit: 1 to 200.
    """
    if not 1 <= limit <= MOST_PER_PAGE:
        raise InvalidValue("limit", "out_of_range", value=limit, least=1, most=MOST_PER_PAGE)
    query = matching(session, text, brand=brand, on_sale=on_sale, in_stock=in_stock)
    if room is not None:
        query = query.join(ProductRoomRow, ProductRoomRow.product_id == ProductRow.id).where(
            ProductRoomRow.room == room.strip()
        )
    exact = session.scalar(query.where(ProductRow.sku == text.strip())) if text.strip() else None
    page = query.order_by(ProductRow.id).limit(limit + 1)
    if exact is not None:
        page = page.where(ProductRow.id != exact)
    if cursor is not None:
        page = page.where(ProductRow.id > cursor)
    ids = list(session.scalars(page))
    more = len(ids) > limit
    ids = ids[:limit]
    shown = [exact, *ids] if exact is not None and cursor is None else ids
    rows = session.scalars(select(ProductRow).where(ProductRow.id.in_(shown)))
    by_id = {row.id: row for row in rows}
    products = load(session, [by_id[row_id] for row_id in shown if row_id in by_id])
    return ProductPage(products, ids[-1] if more else None)


def matching(
    session: Session,
    text: str = "",
    *,
    brand: str | None = None,
    on_sale: bool | None = None,
    in_stock: bool | None = None,
) -> Select[int]:
    """Ids of products that match.

    A text may stand anywhere, also in the middle of Chinese that has no blanks, so the rows are gone through in the
    order of their ids: benchmarks/bench_store.py measures it. MariaDB has no n-gram index that would do better.
    """
    query = select(ProductRow.id)
    words = dict.fromkeys(fold(text).split())
    if len(words) > _MOST_WORDS:
        return query.where(false())
    for word in words:
        query = query.where(_holds(session, word))
    if brand is not None:
        # MySQL would take "a " for "a", SQLite would not.
        query = query.where(ProductRow.brand == brand.strip())
    if on_sale is not None:
        query = query.where(ProductRow.on_sale.is_(on_sale))
    if in_stock is not None:
        query = query.where((ProductRow.stock != 0) | ProductRow.stock.is_(None) if in_stock else ProductRow.stock == 0)
    return query


def _holds(session: Session, word: str) -> ColumnElement[bool]:
    # LIKE would fold the case once more, for each row, and has characters of its own.
    if session.get_bind().dialect.name == "sqlite":
        return func.instr(ProductRow.search_text, word) > 0
    # Byte by byte: in UTF-8 a word begins nowhere else, and MariaDB compares characters at half the speed.
    return func.instr(cast(ProductRow.search_text, LargeBinary), word) > 0
