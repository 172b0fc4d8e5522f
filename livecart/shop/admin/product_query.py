"""Pages of products in any order, filtered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session
from starlette_admin.filters import FilterApplyContext, FilterDataType, FilterGroup, FilterRule
from starlette_admin.filters.base import BaseFilter

from livecart.shop.admin.texts import later
from livecart.shop.models.products import ProductRoomRow, ProductRow
from livecart.shop.repositories.product_rows import load
from livecart.shop.repositories.search import matching
from livecart.shop.schemas.product import Product

_COLUMNS = {
    "sku": ProductRow.sku,
    "name": ProductRow.name,
    "brand": ProductRow.brand,
    "price": ProductRow.price,
    "stock": ProductRow.stock,
    "on_sale": ProductRow.on_sale,
    "updated_at_s": ProductRow.updated_at_s,
}
SORTABLE = tuple(_COLUMNS)


class _Is(BaseFilter):
    name = "is"
    label = later("is")
    data_type = FilterDataType.STRING

    def parse_value(self, raw: Any) -> str:
        """The library takes a value with commas apart. MySQL would take "a " for "a", SQLite would not."""
        return (",".join(raw) if isinstance(raw, list) else str(raw)).strip()

    def apply(self, ctx: FilterApplyContext) -> Any:
        return getattr(ProductRow, ctx.field_name) == ctx.value


class _InRoom(_Is):
    def apply(self, ctx: FilterApplyContext) -> Any:
        listed = select(ProductRoomRow.product_id).where(ProductRoomRow.room == ctx.value)
        return ProductRow.id.in_(listed)


def _state(state: str, clause: ColumnElement[bool]) -> type[BaseFilter]:
    class State(BaseFilter):
        name = state
        label = later(state)
        data_type = FilterDataType.NONE

        def apply(self, ctx: FilterApplyContext) -> Any:
            return clause

    return State


#: By field.
FILTERS: dict[str, list[type[BaseFilter]]] = {
    "on_sale": [_state("on_sale", ProductRow.on_sale.is_(True)), _state("off_sale", ProductRow.on_sale.is_(False))],
    "stock": [
        _state("in_stock", or_(ProductRow.stock != 0, ProductRow.stock.is_(None))),
        _state("sold_out", ProductRow.stock == 0),
    ],
    "brand": [_Is],
    "rooms": [_InRoom],
    "source": [_Is],
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request of a list: entries of one page, below 1: all; their order."""

    skip: int
    limit: int
    text: str
    sorts: Sequence[tuple[str, str]]
    filters: FilterGroup | None


@dataclass(frozen=True, slots=True)
class Page:
    """Products of one page. ``total``: how many are on all pages, where it was found on the way; None where not."""

    products: list[Product]
    total: int | None


def page(session: Session, wanted: Wanted) -> Page:
    """One page. What is equal comes in the order it was added in; where the last sort is "desc", in the opposite."""
    skip, limit = wanted.skip, wanted.limit
    query = _ordered(_matching(session, wanted.text, wanted.filters), wanted.sorts).offset(skip)
    if limit > 0:
        query = query.limit(limit)
    total: int | None = None
    if wanted.text.strip():
        # A text is looked for in every row. Counted on the way, the rows need not be gone through again; and they are
        # gone through as they lie, where by an index of the order each would have to be fetched (3 times as slow).
        found = session.execute(query.add_columns(func.count().over())).all()
        ids = [row_id for row_id, _ in found]
        total = found[0][1] if found else None
    else:
        ids = list(session.scalars(query))
    if (ids and len(ids) < limit) or (not ids and skip == 0):
        # The last page says how many there are.
        total = skip + len(ids)
    rows = {row.id: row for row in session.scalars(select(ProductRow).where(ProductRow.id.in_(ids)))}
    return Page(load(session, [rows[row_id] for row_id in ids if row_id in rows]), total)


def count(session: Session, text: str, filters: FilterGroup | None) -> int:
    query = _matching(session, text, filters)
    return session.scalar(query.with_only_columns(func.count(), maintain_column_froms=True)) or 0


def _matching(session: Session, text: str, filters: FilterGroup | None) -> Select[int]:
    query = matching(session, text)
    clause = _clause(filters)
    return query if clause is None else query.where(clause)


def _ordered(query: Select[int], sorts: Sequence[tuple[str, str]]) -> Select[int]:
    """As asked, then by id: in the direction of the last, as an index of that column holds the rows."""
    descending = False
    for name, direction in sorts:
        if name in _COLUMNS:
            descending = direction == "desc"
            query = query.order_by(_COLUMNS[name].desc() if descending else _COLUMNS[name].asc())
    return query.order_by(ProductRow.id.desc() if descending else ProductRow.id.asc())


def _clause(node: FilterGroup | FilterRule | None) -> ColumnElement[bool] | None:
    if node is None:
        return None
    if isinstance(node, FilterRule):
        # The library has checked field and filter against `FILTERS`.
        chosen = next(kind for kind in FILTERS[node.field] if kind.name == node.filter)
        clause: ColumnElement[bool] = chosen().apply(FilterApplyContext(None, node.field, node.value))
        return clause
    parts = [part for part in map(_clause, node.rules) if part is not None]
    if not parts:
        return None
    return or_(*parts) if node.logic == "or" else and_(*parts)
