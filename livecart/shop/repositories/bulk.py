"""Products written as patches ask: one, or thousands a second. Form, API, tables, folders and feeds all end here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta
from sqlalchemy import bindparam, select
from sqlalchemy import insert as sql_insert
from sqlalchemy import update as sql_update
from sqlalchemy.orm import Session

from livecart.shop.database.session import audit_entry, changed, now_s, write_audit
from livecart.shop.errors import InvalidValue
from livecart.shop.models.products import ProductRow
from livecart.shop.repositories import hosts
from livecart.shop.repositories.product_rows import (
    columns_of,
    in_chunks,
    load_by_sku,
    new_row,
    plan_images,
    search_of,
    shows_in_offers,
    shows_in_snapshot,
    write_rooms,
)
from livecart.shop.schemas.product import (
    PATCH_FIELDS,
    Product,
    ProductChange,
    ProductPatch,
    check_patch,
    sold_as,
    to_json,
)


@dataclass(frozen=True, slots=True)
class Upserted:
    """Counts of the products that a bulk change created, changed, and found as they were to be."""

    created: Annotated[int, Meta(examples=[1])] = 0
    changed: int = 0
    unchanged: int = 0

    def __add__(self, other: Upserted) -> Upserted:
        return Upserted(self.created + other.created, self.changed + other.changed, self.unchanged + other.unchanged)


class Edit(NamedTuple):
    """A patch, the product as it stands (None: there is none), and as it will be, version and time aside."""

    patch: ProductPatch
    before: Product | None
    after: Product

    @property
    def change(self) -> ProductChange | None:
        """The fields that differ, as JSON values: 12.9 and 12.90 do, a card shows the digits. None: a new product."""
        if self.before is None:
            return None
        old, new = to_json(self.before), to_json(self.after)
        names = [name for name in PATCH_FIELDS if old[name] != new[name]]
        return ProductChange(self.patch.sku, {name: old[name] for name in names}, {name: new[name] for name in names})


def edit_of(patch: ProductPatch, before: Product | None, where: str = "") -> Edit:
    """The edit that a checked patch makes.

    Raises:
        InvalidValue: a new product has no name or no link; or the patch gives a price or stock, and no variants, or a
            sale price, where the product has variants, from which they follow.
    """
    given = patch.given()
    if before is None:
        for name in ("name", "url"):
            if name not in given:
                raise InvalidValue(name, "needed_when_new", where=where, sku=patch.sku)
        after = sold_as(Product(sku=patch.sku, **given))
    else:
        if given.get("variants") and any(variant.price is not None for variant in before.variants):
            # Theirs was the price: where they name none now, there is none.
            given = {"price": None} | given
        after = sold_as(msgspec.structs.replace(before, **given))
    if after.variants:
        for name in ("price", "stock"):
            if "variants" not in given and given.get(name, getattr(after, name)) != getattr(after, name):
                raise InvalidValue(name, "of_variants", where=where)
        if given.get("sale_price") is not None:
            raise InvalidValue("sale_price", "of_variants", where=where)
        patch = msgspec.structs.replace(patch, price=after.price, stock=after.stock, sale_price=None, sale_to_s=None)
    return Edit(patch, before, after)


def write(session: Session, edits: Sequence[Edit], *, source: str | None = None) -> Upserted:
    """Write what differs, with one statement a table: rows, versions, room lists, audit entries.

    Args:
        session: of `Store.write`, in which the products are locked.
        edits: of at most `CHUNK` different products.
        source: the feed that owns what is created or changed; None leaves the owner.

    Raises:
        IntegrityError: somebody else created one of the products.
    """
    at_s = now_s(session)
    owner = {} if source is None else {"source": source}
    new: list[dict[str, Any]] = []
    updates: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    written: list[Edit] = []
    log: list[dict[str, Any]] = []
    for edit in edits:
        patch, before, after = edit
        change = edit.change
        if change is None:
            new.append(new_row(after, at_s) | owner)
            log.append(audit_entry(session, "create", subject="product", name=patch.sku, after=to_json(after)))
        elif change.after or (before is not None and source not in (None, before.source)):
            columns = columns_of(patch.given()) | owner
            columns |= {
                "is_from_price": after.is_from_price, "search_text": search_of(after), "updated_at_s": at_s,
            }  # fmt: skip
            updates.setdefault(tuple(columns), []).append(
                {"of_sku": patch.sku, **{f"new_{name}": value for name, value in columns.items()}}
            )
            said = {"before": change.before, "after": change.after}
            log.append(audit_entry(session, "update", subject="product", name=patch.sku, **said))
        else:
            continue
        written.append(edit)
    if new:
        session.connection().execute(sql_insert(ProductRow.__table__), new)  # type: ignore[arg-type]
    _update_rows(session, updates)
    _write_rooms(session, written)
    _plan_images(session, written)
    write_audit(session, log)
    changed(
        session,
        [edit.patch.sku for edit in written],
        shows_in_snapshot=any(shows_in_snapshot(edit.before, edit.after) for edit in written),
        shows_in_offers=any(edit.before and shows_in_offers(edit.before, edit.after) for edit in written),
    )
    return Upserted(len(new), len(written) - len(new), len(edits) - len(written))


def upsert(session: Session, patches: Iterable[ProductPatch], *, source: str | None = None) -> Upserted:
    """Create or change products in this transaction: all of them or, by an exception, none.

    Products that are as they should be are not touched: their version stays and the audit log says nothing of them.
    `source` is as of `write`.

    Raises:
        InvalidValue: naming the entry, for a field out of bounds, or a sku that stands twice.
    """
    allowed = hosts.allowed(session)
    seen: set[str] = set()
    total = Upserted()
    for batch in in_chunks(patches):
        checked = []
        for patch in batch:
            where = f"product {len(seen) + 1}"
            good = check_patch(patch, allowed_hosts=allowed, where=where)
            if good.sku in seen:
                raise InvalidValue("sku", "sku_twice", where=where, sku=good.sku)
            seen.add(good.sku)
            checked.append(good)
        known = load_by_sku(session, [patch.sku for patch in checked], lock=True)
        total += write(session, [edit_of(patch, known.get(patch.sku)) for patch in checked], source=source)
    return total


def in_batches(
    edit: Callable[[Callable[[Session], Upserted]], Upserted],
    patches: Iterable[ProductPatch],
    *,
    source: str | None = None,
) -> Upserted:
    """As `upsert`, with a transaction for each `CHUNK` so that other writers come in between."""
    total = Upserted()
    for batch in in_chunks(patches):
        total += edit(lambda session, batch=batch: upsert(session, batch, source=source))  # type: ignore[misc]
    return total


def _update_rows(session: Session, updates: dict[tuple[str, ...], list[dict[str, Any]]]) -> None:
    table = ProductRow.__table__
    for names, rows in updates.items():
        values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names} | {"version": table.c.version + 1}
        statement = sql_update(table).where(table.c.sku == bindparam("of_sku")).values(values)  # type: ignore[arg-type]
        session.connection().execute(statement, rows)


def _plan_images(session: Session, edits: list[Edit]) -> None:
    urls = {
        edit.patch.sku: edit.after.image_urls
        for edit in edits
        if edit.after.image_urls != (edit.before.image_urls if edit.before else ())
    }
    if urls:
        ids = session.execute(select(ProductRow.sku, ProductRow.id).where(ProductRow.sku.in_(list(urls))))
        plan_images(session, {row_id: urls[sku] for sku, row_id in ids})


def _write_rooms(session: Session, edits: list[Edit]) -> None:
    rooms = {patch.sku: after.rooms for patch, before, after in edits if after.rooms != (before and before.rooms)}
    if rooms:
        ids = session.execute(select(ProductRow.sku, ProductRow.id).where(ProductRow.sku.in_(list(rooms))))
        write_rooms(session, {row_id: rooms[sku] for sku, row_id in ids})
