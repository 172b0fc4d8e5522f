"""Many products at once: what feeds, uploads and the bulk API write. Thousands a second."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy import insert as sql_insert
from sqlalchemy import update as sql_update
from sqlalchemy.orm import Session

from livecart.catalog.database.session import audit_entry, changed, now_s, write_audit
from livecart.catalog.database.tables import ProductRow
from livecart.catalog.records import hosts
from livecart.catalog.records.product_rows import (
    columns_of,
    differences,
    load,
    merged,
    new_row,
    search_of,
    shows_in_snapshot,
    write_rooms,
)
from livecart.catalog.records.products import new_product
from livecart.catalog.values import Product, ProductPatch, check_patch, to_json
from livecart.errors import InvalidValue

#: Products in one round of statements, and of one transaction in `in_batches`.
BATCH = 500


@dataclass(frozen=True, slots=True)
class Upserted:
    """How many products a bulk change created, changed, and found as they were to be."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0

    def __add__(self, other: Upserted) -> Upserted:
        return Upserted(self.created + other.created, self.changed + other.changed, self.unchanged + other.unchanged)


def upsert(session: Session, patches: Iterable[ProductPatch], *, source: str | None = None) -> Upserted:
    """Create or change products in this transaction: all of them or, by an exception, none.

    Products that are as they should be are not touched: their version stays and the audit log says nothing of them.

    Args:
        session: of `Store.write`.
        patches: fields that are not given stay as they are.
        source: the feed that owns what is created or changed; None leaves the owner.

    Raises:
        InvalidValue: naming the entry, for a field out of bounds, or a sku that stands twice.
    """
    allowed = hosts.allowed(session)
    seen: set[str] = set()
    total = Upserted()
    number = 0
    for batch in _batches(patches):
        checked = []
        for patch in batch:
            number += 1
            where = f"product {number}"
            good = check_patch(patch, allowed_hosts=allowed, where=where)
            if good.sku in seen:
                raise InvalidValue("sku", f"{good.sku!r} stands twice", where=where)
            seen.add(good.sku)
            checked.append(good)
        total += _upsert_batch(session, checked, source)
    return total


def in_batches(
    edit: Callable[[Callable[[Session], Upserted]], Upserted],
    patches: Iterable[ProductPatch],
    *,
    source: str | None = None,
) -> Upserted:
    """As `upsert`, with a transaction for each `BATCH` so that other writers come in between.

    Args:
        edit: runs one transaction: `functools.partial(store.edit, who)`.
        patches: as of `upsert`; may be many more than memory holds.
        source: as of `upsert`.
    """
    total = Upserted()
    for batch in _batches(patches):
        total += edit(lambda session, batch=batch: upsert(session, batch, source=source))  # type: ignore[misc]
    return total


def _upsert_batch(session: Session, patches: Sequence[ProductPatch], source: str | None) -> Upserted:
    at_s = now_s(session)
    query = select(ProductRow).where(ProductRow.sku.in_([patch.sku for patch in patches]))
    rows = {row.sku: row for row in session.scalars(query.order_by(ProductRow.id).with_for_update())}
    before = {product.sku: product for product in load(session, list(rows.values()))}
    for row in rows.values():
        # Written below without the session's knowledge.
        session.expunge(row)
    created = [new_product(patch) for patch in patches if patch.sku not in rows]
    changed_ = [(patch, before[patch.sku]) for patch in patches if patch.sku in rows]
    writes = _Writes(session, at_s, source)
    for patch, old in changed_:
        writes.change(rows[patch.sku].id, patch, old)
    for product in created:
        writes.create(product)
    return writes.run(len(patches))


class _Writes:
    """Gathers the rows of one batch, then writes them with one statement a table."""

    def __init__(self, session: Session, at_s: float, source: str | None) -> None:
        self._session = session
        self._at_s = at_s
        self._source = source
        self._created: list[Product] = []
        self._updates: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        self._rooms: dict[int, Iterable[str] | None] = {}
        self._audit: list[dict[str, Any]] = []
        self._skus: list[str] = []
        self._shows = False

    def create(self, product: Product) -> None:
        self._created.append(product)
        self._note("create", product.sku, None, to_json(product))
        self._shows = True

    def change(self, row_id: int, patch: ProductPatch, before: Product) -> None:
        after = merged(patch, before)
        old, new = differences(before, after)
        owner_changes = self._source is not None and before.source != self._source
        if not new and not owner_changes:
            return
        columns = columns_of(patch) | {"search_text": search_of(after), "updated_at_s": self._at_s}
        if owner_changes:
            columns["source"] = self._source
        named = {f"new_{name}": value for name, value in columns.items()}
        self._updates.setdefault(tuple(columns), []).append({"row_id": row_id, **named})
        if before.rooms != after.rooms:
            self._rooms[row_id] = after.rooms
        self._note("update", before.sku, old, new)
        self._shows |= shows_in_snapshot(before, after)

    def run(self, total: int) -> Upserted:
        self._insert_created()
        self._run_updates()
        if self._rooms:
            write_rooms(self._session, self._rooms)
        write_audit(self._session, self._audit)
        changed(self._session, self._skus, shows_in_snapshot=self._shows)
        updated = sum(map(len, self._updates.values()))
        return Upserted(len(self._created), updated, total - len(self._created) - updated)

    def _insert_created(self) -> None:
        if not self._created:
            return
        rows = [{**new_row(product, self._at_s), "source": self._source} for product in self._created]
        self._session.connection().execute(sql_insert(ProductRow.__table__), rows)  # type: ignore[arg-type]
        with_rooms = {product.sku: product.rooms for product in self._created if product.rooms}
        if with_rooms:
            query = select(ProductRow.sku, ProductRow.id).where(ProductRow.sku.in_(list(with_rooms)))
            self._rooms |= {row_id: with_rooms[sku] for sku, row_id in self._session.execute(query)}

    def _run_updates(self) -> None:
        table = ProductRow.__table__
        for names, rows in self._updates.items():
            statement = (
                sql_update(table)  # type: ignore[arg-type]
                .where(table.c.id == bindparam("row_id"))
                .values({name: bindparam(f"new_{name}") for name in names} | {"version": table.c.version + 1})
            )
            self._session.connection().execute(statement, rows)

    def _note(self, action: str, sku: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
        self._skus.append(sku)
        self._audit.append(audit_entry(self._session, action, subject="product", name=sku, before=before, after=after))


def _batches(patches: Iterable[ProductPatch]) -> Iterator[list[ProductPatch]]:
    rest = iter(patches)
    while batch := list(islice(rest, BATCH)):
        yield batch
